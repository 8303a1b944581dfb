"""Attempts to sign in, in D1: counted and refused by the one statement that writes them."""

from datetime import datetime

from shared_kernel.clock import to_milliseconds
from shared_kernel.sql import Database, Statement
from user.domain.attempts import Limits, Origin
from user.domain.errors import TooManySignIns

_BEGIN = """
INSERT INTO sign_in_attempts (account, address, at_ms) SELECT ?1, ?2, ?3 WHERE
  (SELECT count(*) FROM sign_in_attempts WHERE account = ?1 AND address = ?2 AND at_ms > ?4) < ?5
  AND (SELECT count(*) FROM sign_in_attempts WHERE account = ?1 AND at_ms > ?4) < ?6
  AND (SELECT count(*) FROM sign_in_attempts WHERE address = ?2 AND at_ms > ?4) < ?7
"""
# The newest attempts up to a limit: the oldest of these is the one that must be forgotten before the next may begin.
_BLOCKING = """
SELECT max(coalesce(together, 0), coalesce(account, 0), coalesce(address, 0)) AS at_ms FROM (SELECT
  (SELECT at_ms FROM sign_in_attempts WHERE account = ?1 AND address = ?2 ORDER BY at_ms DESC LIMIT 1 OFFSET ?3 - 1)
    AS together,
  (SELECT at_ms FROM sign_in_attempts WHERE account = ?1 ORDER BY at_ms DESC LIMIT 1 OFFSET ?4 - 1) AS account,
  (SELECT at_ms FROM sign_in_attempts WHERE address = ?2 ORDER BY at_ms DESC LIMIT 1 OFFSET ?5 - 1) AS address
)
"""


class D1Attempts:
    """The attempts that are remembered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, origin: Origin, limits: Limits, now: datetime) -> None:
        """Insert an attempt where every limit leaves room for it; TooManySignIns."""
        now_ms = to_milliseconds(now)
        allowed = (limits.together, limits.per_account, limits.per_address)
        since_ms = limits.window_starts_ms(now_ms)
        (outcome,) = await self._database.batch([Statement(_BEGIN, (*origin, now_ms, since_ms, *allowed))])
        if outcome.changes:
            return
        (blocking,) = await self._database.rows(_BLOCKING, *origin, *allowed)
        raise TooManySignIns(limits.retry_after_seconds(int(blocking["at_ms"] or 0), now_ms))

    async def succeeded(self, origin: Origin) -> None:
        """Delete all of the origin; not by their ids, which SQLite gives again to later attempts of others."""
        delete = "DELETE FROM sign_in_attempts WHERE account = ? AND address = ?"
        await self._database.batch([Statement(delete, origin)])
