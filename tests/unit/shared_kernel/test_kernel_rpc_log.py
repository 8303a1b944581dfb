"""What the server of a call logs, and in which trace."""

import logging
from typing import Any

import pytest

from shared_kernel.clock import to_milliseconds
from shared_kernel.errors import Conflict, Unavailable
from shared_kernel.rpc import Call, Principal
from shared_kernel.tracing import present_traceparent
from tests.unit.shared_kernel.wire import START, TRACEPARENT, Answer, Greet, Greeting, Wire, refusing, run


def _served(answer: Answer, principal: Principal, caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The lines that one call of this principal leaves where it is served."""
    wire = Wire(answer)
    call = Call(principal=principal, traceparent=TRACEPARENT, deadline_ms=to_milliseconds(START) + 1000)
    with caplog.at_level(logging.INFO):
        run(wire.entrypoint.greet(call.model_dump_json(), '{"name":"Ana"}'))
    return [vars(record)["fields"] for record in caplog.records if hasattr(record, "fields")]


def test_a_services_own_call_leaves_a_line_with_its_outcome(caplog: pytest.LogCaptureFixture) -> None:
    saga = Principal(kind="service", id="order-saga")
    told = {"call": "greet", "caller": "order-saga", "duration_ms": 0}
    assert _served(lambda _: Greeting(text=""), saga, caplog) == [told | {"outcome": "ok"}]
    caplog.clear()
    assert _served(refusing(Conflict("no", code="sold_out")), saga, caplog) == [told | {"outcome": "sold_out"}]


@pytest.mark.parametrize(
    "principal", [Principal(kind="guest", id="guest", credential="token"), Principal(kind="service", id="gateway")]
)
def test_a_call_for_a_caller_of_the_api_leaves_a_line_only_when_it_is_a_fault(
    principal: Principal, caplog: pytest.LogCaptureFixture
) -> None:
    assert _served(lambda _: Greeting(text=""), principal, caplog) == []
    assert _served(refusing(Conflict("no")), principal, caplog) == []
    (line,) = _served(refusing(Unavailable("down")), principal, caplog)
    assert (line["call"], line["caller"], line["outcome"]) == ("greet", principal.id, "unavailable")


def test_what_is_done_for_a_call_is_done_in_its_trace() -> None:
    seen: list[str | None] = []

    def answer(_request: Greet) -> Greeting:
        seen.append(present_traceparent())
        return Greeting(text="")

    Wire(answer).greet()
    assert seen == [TRACEPARENT]
    assert present_traceparent() is None
