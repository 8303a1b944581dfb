"""Sessions and their refresh tokens in D1; of a token only the digest is kept."""

from datetime import datetime

from pydantic import TypeAdapter

from shared_kernel.clock import rfc3339
from shared_kernel.contracts.user import Standing
from shared_kernel.sql import ConstraintViolated, Database, Statement
from user.domain.audit import AuditEntry
from user.domain.session import Session, ShownToken
from user.infrastructure.d1_accounts import COMPANY_ID
from user.infrastructure.d1_audit import recorded_if_changed

_SHOWN = TypeAdapter(ShownToken)


class D1Sessions:
    """The sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, session: Session, digest: str, verified_hash: str, new_hash: str | None) -> bool:
        """Insert the session of an account that is as it was when its password was verified."""
        # A user's id is never NULL: where the account is another one by now, nothing of the batch is written.
        start = Statement(
            "INSERT INTO sessions (id, user_id, started_at, expires_at)"
            " VALUES (?, (SELECT id FROM users WHERE id = ? AND disabled = 0 AND password_hash = ?), ?, ?)",
            (session.id, session.user_id, verified_hash, session.started_at, session.expires_at),
        )
        rehash = Statement("UPDATE users SET password_hash = ? WHERE id = ?", (new_hash, session.user_id))
        token = _issue(digest, session.id, session.started_at)
        try:
            await self._database.batch([start, token, *([] if new_hash is None else [rehash])])
        except ConstraintViolated:
            return False
        return True

    async def shown(self, digest: str) -> ShownToken | None:
        """The token with its session, or None."""
        text = await self._database.text(
            "SELECT json_array(json_object('id', id, 'user_id', user_id, 'started_at', started_at,"
            " 'expires_at', expires_at, 'ended_at', ended_at), used_at)"
            " FROM refresh_tokens JOIN sessions ON sessions.id = session_id WHERE digest = ?",
            digest,
        )
        return None if text is None else _SHOWN.validate_json(text)

    async def rotate(self, shown_digest: str, next_digest: str, now: datetime) -> bool:
        """Mark the token as used and insert the next; the trigger refuses a second use."""
        at = rfc3339(now)
        use = Statement("UPDATE refresh_tokens SET used_at = ? WHERE digest = ?", (at, shown_digest))
        # A session's id is never NULL: where it lives no more, nothing of the batch is written.
        succeed = Statement(
            "INSERT INTO refresh_tokens (digest, session_id, issued_at) VALUES (?, (SELECT sessions.id"
            " FROM refresh_tokens JOIN sessions ON sessions.id = session_id"
            " WHERE digest = ? AND ended_at IS NULL AND expires_at > ?), ?)",
            (next_digest, shown_digest, at, at),
        )
        try:
            await self._database.batch([use, succeed])
        except ConstraintViolated:
            return False
        return True

    async def end(self, user_id: str, session_id: str | None, now: datetime, entry: AuditEntry) -> bool:
        """End what lives of them, and write the entry where something did."""
        end = Statement(
            "UPDATE sessions SET ended_at = ?1"
            " WHERE user_id = ?2 AND ended_at IS NULL AND expires_at > ?1 AND (?3 IS NULL OR id = ?3)",
            (rfc3339(now), user_id, session_id),
        )
        ended, _ = await self._database.batch([end, recorded_if_changed(entry)])
        return ended.changes > 0

    async def standing(self, session_id: str, now: datetime) -> Standing | None:
        """The account behind a session that lives."""
        text = await self._database.text(
            "SELECT json_object('user_id', id, 'role', iif(company_id IS NULL, given_role, 'buyer'),"
            " 'company_id', company_id) FROM"
            f" (SELECT users.id, given_role, {COMPANY_ID} AS company_id"
            " FROM sessions JOIN users ON users.id = user_id"
            " WHERE sessions.id = ? AND ended_at IS NULL AND expires_at > ? AND disabled = 0)",
            session_id,
            rfc3339(now),
        )
        return None if text is None else Standing.model_validate_json(text)


def _issue(digest: str, session_id: str, at: str) -> Statement:
    return Statement(
        "INSERT INTO refresh_tokens (digest, session_id, issued_at) VALUES (?, ?, ?)", (digest, session_id, at)
    )
