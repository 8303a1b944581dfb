"""The time, as something that is passed in.

A Worker's clock stands still between I/O, so two events of one request may carry the same time:
order comes from sequence numbers, never from times.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def system_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def to_milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970-01-01 UTC, rounded down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_milliseconds(moment_ms: int) -> datetime:
    """The UTC time of that many milliseconds since 1970-01-01."""
    return _EPOCH + timedelta(milliseconds=moment_ms)


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, the one form that is stored and sent: it sorts as text.

    >>> rfc3339(datetime(2026, 11, 21, 8, 30, tzinfo=UTC))
    '2026-11-21T08:30:00.000Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
