"""Companies, their members and their invitations in D1.

The view `buyers` says who may order for which company; everything that asks for it asks there.
"""

from pydantic import TypeAdapter

from shared_kernel.contracts.company import ListCompanies
from shared_kernel.cursor import Cursor, Listed
from shared_kernel.money import LARGEST_AMOUNT_MINOR
from shared_kernel.sql import Database, SqlValue, Statement
from user.application.companies import ORDER
from user.application.ports import Told
from user.domain.company import Account, Company, Founding, Invitation, Member
from user.infrastructure.d1_audit import written
from user.infrastructure.d1_lists import newest

_COMPANY = TypeAdapter(Company)
_ACCOUNT = TypeAdapter(Account)
_FOUNDING = TypeAdapter(Founding)
_INVITATION = TypeAdapter(Invitation)

_CAN_ACT = "json(iif(account.given_role = 'customer' AND account.disabled = 0, 'true', 'false'))"


def _spent(company_id: str, user_id: str) -> str:
    """What is counted of these two, each an SQL expression; a sum that is too large to be held is shown as the
    largest."""
    return f"""json((
      SELECT json_group_array(json_object('amount', amount_minor, 'currency', currency)) FROM (
        SELECT currency, CAST(min(total(amount_minor), {LARGEST_AMOUNT_MINOR}) AS INTEGER) AS amount_minor
        FROM spending AS counted
        WHERE counted.company_id = {company_id} AND counted.user_id = {user_id} AND released_at IS NULL
        GROUP BY currency ORDER BY currency
      )
    ))"""


_LIMIT = """json(iif(
    limit_minor IS NULL, 'null', json_object('amount', limit_minor, 'currency', limit_currency)
  ))"""
_MEMBER = f"""json_object(
  'user_id', member.user_id, 'email', COALESCE(member.email, account.email), 'name', account.name,
  'role', member.role, 'status', member.status, 'spending_limit', {_LIMIT},
  'can_act', {_CAN_ACT}, 'spent', {_spent("member.company_id", "member.user_id")}, 'version', member.version,
  'token_digest', token_digest, 'invitation_expires_at', invitation_expires_at
)"""
_WHOLE = f"""json_object(
  'id', company.id, 'name', company.name, 'tax_id', tax_id, 'address', json(address), 'status', company.status,
  'reason', reason, 'members', json((
    SELECT json_group_array(json(one)) FROM (
      SELECT {_MEMBER} AS one
      FROM company_members AS member LEFT JOIN users AS account ON account.id = member.user_id
      WHERE member.company_id = company.id ORDER BY member.created_at, member.user_id
    )
  )),
  'version', company.version, 'created_at', company.created_at, 'updated_at', company.updated_at
)"""

_SUMMARIES = """SELECT id, json_object('id', id, 'name', name, 'tax_id', tax_id, 'status', status,
  'created_at', created_at) AS json FROM companies"""


def _account(company_id: str) -> str:
    return f"""json_object(
      'id', account.id, 'email', account.email, 'name', account.name, 'can_act', {_CAN_ACT},
      'company_id', (SELECT company_id FROM company_members WHERE user_id = account.id AND occupies = 1),
      'spent', {_spent(company_id, "account.id")}
    )"""


class D1Companies:
    """The port Companies, and the accounts' port Invitations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, company_id: str) -> Company | None:
        """The company with its members in the order in which they came, in one statement."""
        text = await self._database.text(f"SELECT {_WHOLE} FROM companies AS company WHERE id = ?", company_id)
        return None if text is None else _COMPANY.validate_json(text)

    async def founding(self, founder_id: str, tax_id: str) -> Founding:
        """Both in one statement; tax numbers are compared without regard to case."""
        text = await self._database.text(
            f"""SELECT json_object(
              'founder', json((SELECT {_account("NULL")} FROM users AS account WHERE id = ?)),
              'tax_id_taken', json(iif(
                EXISTS (SELECT 1 FROM companies WHERE tax_id = ? AND status <> 'rejected'), 'true', 'false'
              ))
            )""",
            founder_id,
            tax_id,
        )
        return _FOUNDING.validate_json(text or "")

    async def account(self, email: str, company_id: str) -> Account | None:
        """Found by the address, which is unique."""
        text = await self._database.text(
            f"SELECT {_account('?2')} FROM users AS account WHERE email = ?1", email, company_id
        )
        return None if text is None else _ACCOUNT.validate_json(text)

    async def save(self, before: Company | None, after: Company, told: Told) -> None:
        """The triggers refuse a version that is not the next, and the indexes what is taken."""
        company = _insert(after) if before is None else _update(after)
        await self._database.batch([company, *_changes(before, after), *written(told)])

    async def page(self, wanted: ListCompanies, after: Cursor | None) -> list[Listed]:
        """One company more than the page holds, where there are more."""
        return await newest(self._database, _SUMMARIES, {"status": wanted.status}, after, wanted.limit, ORDER)

    async def invitation(self, token_digest: str) -> Invitation | None:
        """Whether it is good for who comes with it, the invitation says itself."""
        text = await self._database.text(
            f"""SELECT json_object('company_id', company_id, 'user_id', user_id, 'email', email, 'role', role,
              'spending_limit', {_LIMIT}, 'expires_at', invitation_expires_at, 'version', version)
            FROM company_members WHERE token_digest = ? AND status = 'invited'""",
            token_digest,
        )
        return None if text is None else _INVITATION.validate_json(text)


def joining(invitation: Invitation, at: str) -> list[Statement]:
    """What makes the account with the invitation's id a member, for the batch that has written the account before.

    The batch fails (ConstraintViolated) when the invitation was taken, taken back or changed meanwhile. What is to
    be told of it, company_events.joined says.
    """
    join = Statement(
        """UPDATE company_members SET status = 'active', email = NULL, token_digest = NULL,
        invitation_expires_at = NULL, version = version + 1, updated_at = ?
        WHERE company_id = ? AND user_id = ? AND status = 'invited' AND version = ?""",
        (at, invitation.company_id, invitation.user_id, invitation.version),
    )
    # A version is never NULL: where nobody has joined, nothing of the batch is written.
    count = Statement(
        "UPDATE companies SET version = iif(changes() = 1, version + 1, NULL), updated_at = ? WHERE id = ?",
        (at, invitation.company_id),
    )
    return [join, count]


def _insert(company: Company) -> Statement:
    return Statement(
        """INSERT INTO companies (id, name, tax_id, address, status, reason, version, created_at, updated_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            company.id,
            company.name,
            company.tax_id,
            company.address.model_dump_json(),
            company.status,
            company.reason,
            company.version,
            company.created_at,
            company.updated_at,
        ),
    )


def _update(company: Company) -> Statement:
    return Statement(
        "UPDATE companies SET status = ?, reason = ?, version = ?, updated_at = ? WHERE id = ?",
        (company.status, company.reason, company.version, company.updated_at, company.id),
    )


def _changes(before: Company | None, after: Company) -> list[Statement]:
    """The members that differ: first those who go, because an address can be taken over by its account."""
    gone, changed, new = after.members_since(before)
    delete = "DELETE FROM company_members WHERE company_id = ? AND user_id = ?"
    return [
        *(Statement(delete, (after.id, each.user_id)) for each in gone),
        *(_update_member(after, each) for each in changed),
        *(_insert_member(after, each) for each in new),
    ]


def _insert_member(company: Company, member: Member) -> Statement:
    at = company.updated_at
    return Statement(
        """INSERT INTO company_members (company_id, user_id, role, status, limit_minor, limit_currency, email,
        token_digest, invitation_expires_at, version, created_at, updated_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            company.id,
            member.user_id,
            member.role,
            member.status,
            *_limit(member),
            member.email if member.status == "invited" else None,
            member.token_digest,
            member.invitation_expires_at,
            member.version,
            at,
            at,
        ),
    )


def _update_member(company: Company, member: Member) -> Statement:
    return Statement(
        """UPDATE company_members SET role = ?, limit_minor = ?, limit_currency = ?, version = ?, updated_at = ?
        WHERE company_id = ? AND user_id = ?""",
        (member.role, *_limit(member), member.version, company.updated_at, company.id, member.user_id),
    )


def _limit(member: Member) -> tuple[SqlValue, SqlValue]:
    limit = member.spending_limit
    return (None, None) if limit is None else (limit.amount, limit.currency)
