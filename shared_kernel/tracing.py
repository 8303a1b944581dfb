"""W3C Trace Context (level 1): reading a `traceparent`, making the next one, and knowing the present one.

The id of the whole request stays, the id of the part that calls changes with each hop. An unreadable
header starts a new trace, as the recommendation asks (section 3.2.2). The present trace is that of the
asyncio task: requests that share an isolate do not see each other's. A function that JavaScript calls, as
a workflow's step, starts without one.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_present: ContextVar[str | None] = ContextVar("traceparent", default=None)

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def next_traceparent(received: str | None) -> str:
    """A `traceparent` for what we do now: of the received trace, or of a new one."""
    match = _TRACEPARENT.fullmatch(received or "")
    if match is None or not _is_readable(*match.groups()):
        return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    return f"00-{match[2]}-{secrets.token_hex(8)}-{match[4]}"


def _is_readable(version: str, trace: str, parent: str, _flags: str, rest: str | None) -> bool:
    # Only a version after 00 may carry more than four fields, and ff is not a version (section 2.2.2).
    return version != "ff" and (version != "00" or rest is None) and set(trace) != {"0"} and set(parent) != {"0"}


def trace_id(traceparent: str) -> str:
    """The 32 hexadecimal digits that every part of one request shares."""
    return traceparent.split("-")[1]


@contextmanager
def traced(traceparent: str | None) -> Iterator[None]:
    """Within the block this is the present trace, by which every log line can be found; None for no trace."""
    before = _present.set(traceparent)
    try:
        yield
    finally:
        _present.reset(before)


def present_traceparent() -> str | None:
    """The `traceparent` of what is done now; None outside of `traced`."""
    return _present.get()


def present_trace_id() -> str | None:
    """The trace of what is done now; None outside of `traced`, or when its header is no `traceparent`."""
    match = _TRACEPARENT.fullmatch(_present.get() or "")
    return match[2] if match else None
