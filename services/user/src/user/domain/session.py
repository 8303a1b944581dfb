"""The session: how long it lasts, and what becomes of it when one of its refresh tokens is shown.

A refresh token is good once (RFC 9700, 4.14.2): one that comes again was stolen, from its owner or from the thief, and
nobody can tell which of the two is calling.
"""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from shared_kernel.clock import rfc3339
from shared_kernel.contracts.model import Message

Verdict = Literal["rotates", "reused", "dead"]


class Session(Message):
    """A session that somebody signed in to; it lasts from then, however often it is refreshed."""

    id: str
    user_id: str
    started_at: str
    expires_at: str
    ended_at: str | None = None

    @staticmethod
    def start(session_id: str, user_id: str, now: datetime, lasts_seconds: int) -> "Session":
        """A session that begins now."""
        expires_at = now + timedelta(seconds=lasts_seconds)
        return Session(id=session_id, user_id=user_id, started_at=rfc3339(now), expires_at=rfc3339(expires_at))

    def is_live(self, now: datetime) -> bool:
        """Whether it has neither ended nor expired."""
        return self.ended_at is None and rfc3339(now) < self.expires_at

    def seconds_left(self, now: datetime) -> int:
        """The whole seconds until it expires."""
        return max(0, (datetime.fromisoformat(self.expires_at) - now) // timedelta(seconds=1))


class ShownToken(NamedTuple):
    """A refresh token that is known: its session, and when it was used."""

    session: Session
    used_at: str | None

    def verdict(self, now: datetime) -> Verdict:
        """What its being shown means: the next tokens, the session's end, or nothing any more."""
        if not self.session.is_live(now):
            return "dead"
        return "rotates" if self.used_at is None else "reused"
