"""What the cron forgets in D1: sessions that are over, attempts that count no more, keys that verify nothing."""

from datetime import datetime

from shared_kernel.clock import rfc3339, to_milliseconds
from shared_kernel.sql import Database, Statement
from user.domain.attempts import Limits

MOST_FORGOTTEN = 5_000
"""Rows that one sweep deletes of each table; the next one, a minute later, goes on. Each client that is in use leaves a
refresh token every ten minutes, so this is enough for 50,000 of them."""

# However many sessions are over, one sweep looks at no more than it could delete.
_OVER = """SELECT id FROM (SELECT id FROM sessions WHERE ended_at IS NOT NULL ORDER BY ended_at LIMIT ?2)
  UNION ALL SELECT id FROM (SELECT id FROM sessions WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)"""
_TOKENS = f"""DELETE FROM refresh_tokens WHERE digest IN (
  SELECT digest FROM refresh_tokens WHERE session_id IN ({_OVER}) LIMIT ?2)"""
_SESSIONS = f"""DELETE FROM sessions WHERE id IN (
  SELECT id FROM sessions WHERE id IN ({_OVER})
  AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = sessions.id) LIMIT ?2)"""
_ATTEMPTS = """DELETE FROM sign_in_attempts WHERE id IN (
  SELECT id FROM sign_in_attempts WHERE at_ms <= ?1 ORDER BY at_ms LIMIT ?2)"""
_KEYS = "DELETE FROM signing_keys WHERE verifies_until <= ?1"


async def sweep(database: Database, limits: Limits, now: datetime) -> None:
    """Delete what is over, at most MOST_FORGOTTEN rows of each table."""
    at = rfc3339(now)
    window_ms = limits.window_starts_ms(to_milliseconds(now))
    await database.batch(
        [
            Statement(_TOKENS, (at, MOST_FORGOTTEN)),
            Statement(_SESSIONS, (at, MOST_FORGOTTEN)),
            Statement(_ATTEMPTS, (window_ms, MOST_FORGOTTEN)),
            Statement(_KEYS, (at,)),
        ]
    )
