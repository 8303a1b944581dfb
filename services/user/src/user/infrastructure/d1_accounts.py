"""Accounts in D1: where the schema refuses a change, the adapter asks why and says it in the domain's words."""

from datetime import datetime

from shared_kernel.clock import rfc3339
from shared_kernel.errors import Unavailable
from shared_kernel.sql import ConstraintViolated, Database, SqlValue, Statement
from user.application.ports import Told
from user.domain.account import Account
from user.domain.company import Invitation
from user.domain.errors import EmailTaken, InvitationNotValid, LastAdmin, StaleVersion, UserNotFound
from user.infrastructure.d1_audit import REQUIRE_CHANGE, written
from user.infrastructure.d1_companies import joining

COMPANY_ID = "(SELECT company_id FROM buyers WHERE buyers.user_id = users.id)"
"""The approved company of an account; as an expression, so that SQLite looks one account up instead of listing all."""

_RECORD = f"""json_object('id', id, 'email', email, 'name', name, 'password_hash', password_hash,
  'given_role', given_role, 'disabled', json(iif(disabled, 'true', 'false')), 'company_id', {COMPANY_ID},
  'version', version, 'created_at', created_at, 'updated_at', updated_at)"""

_END_SESSIONS = "UPDATE sessions SET ended_at = ? WHERE user_id = ? AND ended_at IS NULL AND id IS NOT ?"


class D1Accounts:
    """The accounts, each change with what is told of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, account_id: str) -> Account | None:
        """The account, or None."""
        return await self._one("id = ?", account_id)

    async def find(self, email: str) -> Account | None:
        """The account with this address, or None."""
        return await self._one("email = ?", email.lower())

    async def add(self, account: Account, invitation: Invitation | None, now: datetime, told: Told) -> None:
        """Insert the account and make it the member that was invited; EmailTaken, InvitationNotValid."""
        insert = Statement(
            "INSERT INTO users (id, email, name, password_hash, given_role, disabled, version, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                account.id,
                account.email,
                account.name,
                account.password_hash,
                account.given_role,
                int(account.disabled),
                account.version,
                account.created_at,
                account.updated_at,
            ),
        )
        join = [] if invitation is None else joining(invitation, rfc3339(now))
        try:
            await self._database.batch([insert, *join, *written(told)])
        except ConstraintViolated as refusal:
            if await self.find(account.email) is not None:
                raise EmailTaken from refusal
            if invitation is not None:
                raise InvitationNotValid from refusal
            raise

    async def replace(self, account: Account, told: Told, *, ending_sessions: bool = False) -> None:
        """Update the version before; StaleVersion, UserNotFound, LastAdmin."""
        update = Statement(
            "UPDATE users SET name = ?, given_role = ?, disabled = ?, version = ?, updated_at = ?"
            " WHERE id = ? AND version = ?",
            (
                account.name,
                account.given_role,
                int(account.disabled),
                account.version,
                account.updated_at,
                account.id,
                account.version - 1,
            ),
        )
        end = [Statement(_END_SESSIONS, (account.updated_at, account.id, None))] if ending_sessions else []
        try:
            await self._database.batch([update, REQUIRE_CHANGE, *end, *written(told)])
        except ConstraintViolated as refusal:
            await self._explain(account)
            raise Unavailable("the account was changed at the same moment: try again") from refusal

    async def set_password(
        self, before: Account, password_hash: str, kept_session_id: str | None, now: datetime, told: Told
    ) -> bool:
        """Update the hash that was verified; False when there is another one by now."""
        update = Statement(
            "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?",
            (password_hash, before.id, before.password_hash),
        )
        end = Statement(_END_SESSIONS, (rfc3339(now), before.id, kept_session_id))
        try:
            await self._database.batch([update, REQUIRE_CHANGE, end, *written(told)])
        except ConstraintViolated:
            return False
        return True

    async def _one(self, condition: str, value: SqlValue) -> Account | None:
        text = await self._database.text(f"SELECT {_RECORD} FROM users WHERE {condition}", value)
        return None if text is None else Account.model_validate_json(text)

    async def _explain(self, account: Account) -> None:
        kept = await self.get(account.id)
        if kept is None:
            raise UserNotFound
        if kept.version != account.version - 1:
            raise StaleVersion(kept.version)
        if kept.is_active_admin and not account.is_active_admin:
            raise LastAdmin
