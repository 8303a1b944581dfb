"""The accounts and the audit in D1 as admins look at them: SQLite writes the JSON, which is passed on as it is."""

from shared_kernel.contracts.user import ListAudit, ListUsers
from shared_kernel.cursor import Cursor, Listed
from shared_kernel.sql import Database
from user.application.ports import AUDIT_ORDER, USERS_ORDER
from user.infrastructure.d1_accounts import COMPANY_ID
from user.infrastructure.d1_lists import Filters, listed, newest

# A merge patch onto nothing leaves out the members that are null, as the contract does.
_USER = f"""json_patch('{{}}', json_object('id', id, 'email', email, 'name', name,
  'role', iif(given_role = 'customer' AND {COMPANY_ID} IS NOT NULL, 'buyer', given_role),
  'disabled', json(iif(disabled, 'true', 'false')), 'company_id', {COMPANY_ID}, 'version', version,
  'created_at', created_at, 'updated_at', updated_at))"""
_ENTRY = """json_object('id', id, 'action', action, 'actor_id', actor_id, 'subject_id', subject_id,
  'details', json(details), 'occurred_at', occurred_at)"""

# What concerns a company is written about it, or about a member of it. Each half comes from its index in the order of
# the page, so that no more of either is read than the page holds.
_ENTRIES_OF = f"""SELECT id, {_ENTRY} AS json FROM audit WHERE id IN (
  SELECT id FROM audit WHERE subject_id = ?1 AND id < ?2
  UNION SELECT id FROM audit WHERE json_extract(details, '$.company_id') = ?1 AND id < ?2
  ORDER BY id DESC LIMIT ?3
) ORDER BY id DESC"""
_AFTER_EVERY_ID = "~"


class D1Directory:
    """Lists of accounts and of what was audited."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def other_admins(self, account_id: str) -> int:
        """How many other accounts could give rights."""
        count = "SELECT count(*) AS n FROM users WHERE given_role = 'admin' AND disabled = 0 AND id <> ?"
        (row,) = await self._database.rows(count, account_id)
        return int(row["n"] or 0)

    async def users(self, wanted: ListUsers, after: Cursor | None) -> list[Listed]:
        """One account more than the page holds, where there are more."""
        filters: Filters = {
            "email": None if wanted.email is None else wanted.email.lower(),
            "given_role": wanted.role,
        }
        return await newest(
            self._database, f"SELECT id, {_USER} AS json FROM users", filters, after, wanted.limit, USERS_ORDER
        )

    async def audit(self, wanted: ListAudit, after: Cursor | None) -> list[Listed]:
        """One entry more than the page holds, where there are more."""
        if wanted.subject is None:
            return await newest(
                self._database, f"SELECT id, {_ENTRY} AS json FROM audit", {}, after, wanted.limit, AUDIT_ORDER
            )
        until = _AFTER_EVERY_ID if after is None else after.id
        return listed(await self._database.rows(_ENTRIES_OF, wanted.subject, until, wanted.limit + 1), AUDIT_ORDER)

    async def check(self) -> None:
        """Read something; raises when that is not possible."""
        await self._database.rows("SELECT id FROM users LIMIT 1")
