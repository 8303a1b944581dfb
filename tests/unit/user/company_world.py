"""The companies of the user service on SQLite in memory, with its real schema and adapters, and a clock to turn."""

import asyncio
import json
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from shared_kernel.clock import rfc3339
from shared_kernel.contracts import company as contract
from shared_kernel.ids import derived_id
from shared_kernel.money import Money
from shared_kernel.permissions import Kind
from shared_kernel.rpc import Call, Principal
from shared_kernel.sql import Row, SqlValue, Statement
from tests.unit.sqlite_database import SqliteDatabase, migrations
from user.application.companies import Companies
from user.application.company_ports import Companies as Stored
from user.application.spending import Spending
from user.domain.tokens import digest
from user.infrastructure.d1_companies import D1Companies, joining
from user.infrastructure.d1_spending import D1Spendings

Answer = TypeVar("Answer")

TRACE = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
ADDRESS = contract.CompanyAddress(line1="Jl. Sudirman 1", city="Jakarta", postal_code="10220", country="ID")


class World:
    """One user service: its companies for each caller, and what its database holds."""

    def __init__(self, database: SqliteDatabase | None = None) -> None:
        self.database = database or SqliteDatabase(migrations("user"))
        self.now = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
        self.published = 0
        self.stored = D1Companies(self.database)
        self.staff = self.companies("somebody", "staff")
        self.saga = self.spending("service")

    def companies(self, person: str, kind: Kind = "customer", stored: Stored | None = None) -> Companies:
        """The contract Companies for this person."""
        return Companies(stored or self.stored, _call(kind, user(person)), self.clock, self._publish)

    def spending(self, kind: Kind) -> Spending:
        """The contract Spending for a caller of this kind."""
        return Spending(D1Spendings(self.database), _call(kind, "order"), self.clock)

    def clock(self) -> datetime:
        """The time, a millisecond on each time that somebody asks."""
        self.wait(0.001)
        return self.now

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def account(self, person: str, role: str = "customer") -> str:
        """The id of a new account of this person."""
        run(self.database.batch([account(user(person), email(person), role)]))
        return user(person)

    def accounts(self, *people: str) -> None:
        """An account for each."""
        for person in people:
            self.account(person)

    def disable(self, person: str, disabled: bool = True) -> None:
        """Disable an account, or enable it again."""
        self.execute("UPDATE users SET disabled = ? WHERE id = ?", int(disabled), user(person))

    def founded(self, founder: str, tax_id: str = "01.234") -> contract.Company:
        """A new company of somebody who has an account."""
        return run(self.companies(founder).found_company(description(tax_id)))

    def approved(self, founder: str, tax_id: str = "01.234") -> str:
        """The id of an approved company, whose founder gets an account."""
        self.account(founder)
        company = self.founded(founder, tax_id)
        self.review(company.id, "approved")
        return company.id

    def review(self, company_id: str, decision: str, reason: str | None = None) -> contract.Company:
        """What staff decide."""
        request = contract.ReviewCompany.model_validate({"id": company_id, "decision": decision, "reason": reason})
        return run(self.staff.review_company(request))

    def seen(self, company_id: str, person: str, kind: Kind = "customer") -> contract.Company:
        """The company as this person sees it."""
        return run(self.companies(person, kind).get_company(contract.GetCompany(id=company_id)))

    def member(self, company_id: str, person: str) -> contract.Member:
        """The member as staff see him."""
        return next(each for each in self.seen(company_id, "x", "staff").members if each.user_id == user(person))

    def add(
        self, by: str, company_id: str, person: str, role: contract.MemberRole = "buyer", limit: Money | None = None
    ) -> contract.Member:
        """An admin adds or invites somebody."""
        new = contract.NewMember(email=email(person), role=role, spending_limit=limit)
        return run(self.companies(by).add_member(contract.AddMember(company_id=company_id, member=new)))

    def change(self, by: str, company_id: str, person: str, **changes: Any) -> contract.Member:
        """An admin changes a member, of whose present version he knows."""
        version = changes.pop("version", None) or self.member(company_id, person).version
        request = contract.ChangeMember(
            company_id=company_id,
            user_id=user(person),
            expected_version=version,
            keeps_limit="spending_limit" not in changes,
            **changes,
        )
        return run(self.companies(by).change_member(request))

    def remove(self, by: str, company_id: str, user_id: str) -> None:
        """An admin removes a member, or he leaves."""
        run(self.companies(by).remove_member(contract.RemoveMember(company_id=company_id, user_id=user_id)))

    def register(self, person: str, token: str) -> str:
        """The id of a new account that takes the invitation, as the register use case does; it must be good."""
        invitation = run(self.stored.invitation(digest(token)))
        assert invitation is not None
        assert invitation.is_good_for(email(person), self.now)
        new = account(invitation.user_id, email(person))
        run(self.database.batch([new, *joining(invitation, rfc3339(self.now))]))
        return invitation.user_id

    def buys_for(self, person: str) -> str | None:
        """The company of which this person is a buyer."""
        return run(self.database.text("SELECT company_id FROM buyers WHERE user_id = ?", user(person)))

    def authorise(self, order: str, person: str, company_id: str, amount: Money) -> str:
        """The decision on an order."""
        return run(self.saga.authorise(placed(order, person, company_id, amount))).decision

    def approve(self, order: str, company_id: str, person: str) -> str:
        """The decision after somebody's yes."""
        request = contract.ApproveSpending(order_id=order_id(order), company_id=company_id, approver_id=user(person))
        return run(self.saga.approve(request)).decision

    def may_approve(self, order: str, company_id: str, person: str) -> None:
        """Ask whether somebody's yes would count; it raises when not."""
        request = contract.ApproveSpending(order_id=order_id(order), company_id=company_id, approver_id=user(person))
        run(self.saga.may_approve(request))

    def release(self, order: str) -> None:
        """Give an order up."""
        run(self.saga.release(contract.OrderSpending(order_id=order_id(order))))

    def execute(self, sql: str, *parameters: SqlValue) -> None:
        """Write past the service."""
        run(self.database.batch([Statement(sql, parameters)]))

    def query(self, sql: str, *parameters: SqlValue) -> list[Row]:
        """What a statement gives."""
        return run(self.database.rows(sql, *parameters))

    def events(self) -> list[tuple[str, str, Any]]:
        """Type, subject and data of the outbox's events, in order."""
        told = [json.loads(str(row["event"])) for row in self.query("SELECT event FROM outbox ORDER BY position")]
        assert len({event["id"] for event in told}) == len(told)
        return [(event["type"], event["subject"], event["data"]) for event in told]

    def audit(self) -> list[tuple[object, ...]]:
        """Action, actor, subject and details of the audit's rows, in order."""
        rows = self.query("SELECT action, actor_id, subject_id, details FROM audit ORDER BY occurred_at, id")
        return [(row["action"], row["actor_id"], row["subject_id"], json.loads(str(row["details"]))) for row in rows]

    def _publish(self) -> None:
        self.published += 1


def account(user_id: str, address: str, role: str = "customer") -> Statement:
    """What writes an account."""
    return Statement(
        """INSERT INTO users (id, email, name, password_hash, given_role, disabled, version, created_at, updated_at)
        VALUES (?, ?, ?, '$argon2id$x', ?, 0, 1, '2026', '2026')""",
        (user_id, address, address.split("@")[0].title(), role),
    )


def user(person: str) -> str:
    """The id of a person's account."""
    return derived_id("usr", person)


def email(person: str) -> str:
    """A person's address."""
    return f"{person}@example.com"


def order_id(order: str) -> str:
    """The id of an order."""
    return derived_id("ord", order)


def idr(amount_minor: int) -> Money:
    """Rupiah."""
    return Money(amount=amount_minor, currency="IDR")


def usd(amount_minor: int) -> Money:
    """Dollars."""
    return Money(amount=amount_minor, currency="USD")


def description(tax_id: str = "01.234") -> contract.NewCompany:
    """A company as its founder describes it."""
    return contract.NewCompany(name="Toko Maju", tax_id=tax_id, address=ADDRESS)


def placed(order: str, person: str, company_id: str, amount: Money) -> contract.SpendOnOrder:
    """An order that somebody has placed for a company."""
    return contract.SpendOnOrder(order_id=order_id(order), user_id=user(person), company_id=company_id, amount=amount)


def run(work: Awaitable[Answer]) -> Answer:
    """What the work gives, in a loop of its own."""

    async def whole() -> Answer:
        return await work

    return asyncio.run(whole())


def _call(kind: Kind, id: str) -> Call:
    return Call(principal=Principal(kind=kind, id=id), traceparent=TRACE, deadline_ms=2**53)
