"""A request keeps its trace through all parts; what is not a trace starts a new one."""

import re

import pytest

from shared_kernel.tracing import next_traceparent, trace_id

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("received", [f"00-{TRACE}-{PARENT}-01", f"01-{TRACE}-{PARENT}-01-more"])
def test_the_trace_stays_and_the_parent_changes(received: str) -> None:
    following = next_traceparent(received)
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", following)
    assert PARENT not in following
    assert trace_id(following) == TRACE


def test_a_trace_that_is_not_recorded_stays_so() -> None:
    assert next_traceparent(f"00-{TRACE}-{PARENT}-00").endswith("-00")


@pytest.mark.parametrize(
    "received",
    [
        None,
        "",
        "nonsense",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01\n",
    ],
)
def test_an_unreadable_trace_starts_a_new_one(received: str | None) -> None:
    one, other = next_traceparent(received), next_traceparent(received)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", one)
    assert trace_id(one) != trace_id(other)
    assert TRACE not in one
