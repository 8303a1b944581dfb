"""A log record as one line of JSON, with the trace of whoever writes it."""

import asyncio
import json
import logging
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import StringConstraints, TypeAdapter, ValidationError

from shared_kernel.log_lines import log_line
from shared_kernel.tracing import present_trace_id, present_traceparent, traced

TRACES = [f"{number:032x}" for number in range(1, 6)]


def parent(trace: str) -> str:
    """A `traceparent` of the trace."""
    return f"00-{trace}-b7ad6b7169203331-01"


def line_of(message: str, *given: object, fields: dict[str, object] | None = None) -> dict[str, Any]:
    """The line of a record."""
    record = logging.LogRecord("order", logging.WARNING, "", 0, message, given, None)
    if fields is not None:
        record.fields = fields
    line: dict[str, Any] = json.loads(log_line(record, "order"))
    return line


def test_line_has_its_time_its_level_and_its_service() -> None:
    record = logging.LogRecord("order.saga", logging.ERROR, "", 0, "step %s", ("one",), None)
    record.created = 1_795_000_000.25
    assert json.loads(log_line(record, "order")) == {
        "time": "2026-11-18T11:06:40.250Z",
        "level": "error",
        "service": "order",
        "logger": "order.saga",
        "message": "step one",
    }


def test_fields_stand_beside_the_rest_and_text_stays_on_one_line() -> None:
    line = line_of("two\nlines", fields={"step": "reserve", "at": object})
    assert (line["message"], line["step"]) == ("two\nlines", "reserve")
    record = logging.LogRecord("order", logging.INFO, "", 0, "two\nlines", (), None)
    assert "\n" not in log_line(record, "order")


def test_exception_goes_with_its_traceback() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.LogRecord("order", logging.ERROR, "", 0, "no", (), sys.exc_info())
    assert "ValueError: broken" in json.loads(log_line(record, "order"))["exception"]


@dataclass(frozen=True)
class Stored:
    """What a service keeps, and checks when it reads it."""

    address: Annotated[str, StringConstraints(pattern="^[A-Za-z .0-9]+$")]


def test_traceback_of_a_validation_does_not_show_what_it_refused() -> None:
    stored = {"address": "Jl. Rahasia, input_type=\n7"}
    try:
        TypeAdapter(Stored).validate_python(stored)
    except ValidationError:
        record = logging.LogRecord("order", logging.ERROR, "", 0, "no", (), sys.exc_info())
    line = log_line(record, "order")
    assert "string_pattern_mismatch" in line
    assert "Rahasia" not in line


def test_line_carries_the_trace_within_and_none_after() -> None:
    with traced(parent(TRACES[0])):
        assert line_of("in")["trace_id"] == TRACES[0]
        with traced(parent(TRACES[1])):
            assert line_of("deeper")["trace_id"] == TRACES[1]
        assert line_of("in again")["trace_id"] == TRACES[0]
    assert "trace_id" not in line_of("out")


@pytest.mark.parametrize("unreadable", [None, "", "nonsense", "00-1-2-3"])
def test_what_is_no_traceparent_is_no_trace(unreadable: str | None) -> None:
    with traced(unreadable):
        assert present_trace_id() is None
        assert "trace_id" not in line_of("in")


def test_an_exception_ends_the_trace() -> None:
    with pytest.raises(RuntimeError), traced(parent(TRACES[0])):
        raise RuntimeError
    assert present_traceparent() is None


async def _one(trace: str, seen: list[tuple[str, str | None]]) -> None:
    with traced(parent(trace)):
        for _ in range(5):
            await asyncio.sleep(0)
            seen.append((trace, present_trace_id()))


async def _many() -> list[tuple[str, str | None]]:
    seen: list[tuple[str, str | None]] = []
    await asyncio.gather(*(_one(trace, seen) for trace in TRACES))
    return seen


def test_tasks_of_one_loop_do_not_see_each_others_trace() -> None:
    seen = asyncio.run(_many())
    assert len(seen) == 25
    assert [trace for trace, _ in seen[:5]] == TRACES
    assert all(trace == present for trace, present in seen)
