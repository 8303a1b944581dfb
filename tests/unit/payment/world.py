"""The payment service on the host: its own adapters and schema over SQLite, with a pause before each step.

A step is one use of the database, by the service or by the sandbox provider's book: whatever happens
between two steps happens in one place. A test can let something fail, or something else run, at any of them.
"""

import functools
import json
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from payment.application.admin import Admin
from payment.application.changes import Changes
from payment.application.charges import Charges
from payment.application.ports import PaymentProvider
from payment.application.reading import Reading
from payment.application.reconciliation import reconcile
from payment.application.webhooks import Webhooks
from payment.domain.payment import Payment, payment_id
from payment.infrastructure.d1 import D1Payments
from payment.infrastructure.d1_ledger import D1Ledger
from payment.infrastructure.d1_refunds import D1Refunds
from payment.infrastructure.d1_webhooks import D1Webhooks
from payment.infrastructure.sandbox import SandboxProvider
from payment.infrastructure.sandbox_bank import SandboxBank
from shared_kernel.clock import rfc3339
from shared_kernel.contracts import payment as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.money import Money
from shared_kernel.rpc import Principal
from shared_kernel.sql import ConstraintViolated, Outcome, Row, SqlValue, Statement
from tests.unit.sqlite_database import SqliteDatabase, migrations

_Answer = TypeVar("_Answer")
SERVICE = Principal(kind="service", id="order")
STAFF = Principal(kind="staff", id="staff")
GUEST = Principal(kind="guest", id="guest")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WEBHOOK_SECRET = "a-secret-of-the-sandbox"
START = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


class Crash(Exception):
    """The process is gone."""


class _Pause:
    def __await__(self) -> Generator[None]:
        yield


async def pause() -> None:
    """Let the test decide who runs next."""
    await _Pause()


async def go_on() -> None:
    """Do not pause."""


def _now(work: Coroutine[Any, Any, _Answer]) -> _Answer:
    """The answer of work that never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        answer: _Answer = end.value
        return answer
    raise AssertionError("the work waits for something")


class SteppedDatabase:
    """D1 as the adapters see it; `before_step` and `after_step` run around each use."""

    def __init__(self) -> None:
        self.sqlite = SqliteDatabase(_schema())
        self.before_step: Callable[[], Awaitable[None]] = go_on
        self.after_step: Callable[[], Awaitable[None]] = go_on
        self.last_answer = ""

    async def rows(self, sql: str, *parameters: SqlValue) -> list[Row]:
        return await self._stepped(self.sqlite.rows(sql, *parameters))

    async def text(self, sql: str, *parameters: SqlValue) -> str | None:
        return await self._stepped(self.sqlite.text(sql, *parameters))

    async def batch(self, statements: Sequence[Statement]) -> list[Outcome]:
        return await self._stepped(self.sqlite.batch(statements))

    def look(self, sql: str, *parameters: SqlValue) -> list[Row]:
        """A test's own look, or interference, which is no step."""
        return _now(self.sqlite.rows(sql, *parameters))

    def stored(self) -> str:
        """All rows of all tables as text, but for the ids of events."""
        tables = ("payments", "refunds", "transfers", "looks", "webhooks", "sandbox_charges", "sandbox_refunds")
        kept = [self.look(f"SELECT * FROM {table}") for table in tables]
        return repr((kept, self.look("SELECT json_remove(event, '$.id') FROM outbox")))

    async def _stepped(self, use: Coroutine[Any, Any, _Answer]) -> _Answer:
        try:
            await self.before_step()
            answer = await use
        except ConstraintViolated as refusal:
            self.last_answer = repr(refusal)
            raise
        finally:
            use.close()
        self.last_answer = repr(answer)
        await self.after_step()
        return answer


@functools.cache
def _schema() -> str:
    return migrations("payment")


class World:
    """One payment service with its database, its sandbox provider and a clock that a test can turn."""

    def __init__(self, database: SteppedDatabase | None = None) -> None:
        self.database = database or SteppedDatabase()
        self.payments = D1Payments(self.database)
        self.now = START
        bank = SandboxBank(self.database, WEBHOOK_SECRET, lambda: self.now)
        self.sandbox = SandboxProvider(bank, WEBHOOK_SECRET)
        self.providers: dict[str, PaymentProvider] = {"sandbox": self.sandbox}
        self.published = 0

    def changes(self) -> Changes:
        return Changes(self.payments, self._publish, lambda: self.now, TRACE)

    def charges(self, principal: Principal = SERVICE) -> contract.Charges:
        return Charges(self.changes(), self.providers, principal)

    def admin(self, principal: Principal = STAFF) -> contract.Admin:
        sandbox = self.sandbox if self.providers else None
        refunds, ledger, webhooks = D1Refunds(self.database), D1Ledger(self.database), D1Webhooks(self.database)
        return Admin(self.changes(), self.providers, refunds, ledger, webhooks, sandbox, principal)

    def reading(self, principal: Principal = STAFF) -> contract.Payments:
        sandbox = self.sandbox if self.providers else None
        return Reading(self.changes(), self.providers, self.webhooks(), sandbox, principal)

    def webhooks(self) -> Webhooks:
        return Webhooks(D1Webhooks(self.database), self.changes(), self.providers)

    async def reconcile(self) -> int:
        return await reconcile(self.payments, self.changes(), self.providers)

    def later(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    async def book(self) -> list[dict[str, object]]:
        """The sandbox's lines, as staff see them."""
        items: list[dict[str, object]] = json.loads(await self.admin().list_sandbox_charges(Nothing()))["items"]
        return items

    def kept_minor(self) -> int:
        """What the sandbox took and did not give back, over all charges."""
        (row,) = self.database.look(
            """SELECT (SELECT coalesce(sum(amount_minor), 0) FROM sandbox_charges WHERE status = 'charged')
                - (SELECT coalesce(sum(amount_minor), 0) FROM sandbox_refunds) AS kept"""
        )
        return int(str(row["kept"]))

    def charged(self) -> int:
        """How many charges were made, given back or not."""
        return len(self.database.look("SELECT 1 FROM sandbox_charges WHERE status = 'charged'"))

    def ledger(self) -> dict[str, int]:
        """The balance of each account in IDR; AssertionError when a transfer does not balance."""
        told = json.loads(_now(D1Ledger(self.database.sqlite).balances()))
        assert told["balanced"]
        return {item["account"]: item["balance"]["amount"] for item in told["items"]}

    def causes(self, key: str = "order-1") -> list[tuple[str | None, str, str]]:
        """The payment's changes as from, to and cause, in order; a webhook's id is left out."""
        rows = self.database.look(
            "SELECT from_status, to_status, cause FROM payment_changes WHERE payment_id = ? ORDER BY version",
            payment_id(key),
        )
        return [
            (None if row["from_status"] is None else str(row["from_status"]), str(row["to_status"]),
             str(row["cause"]).partition(" whk_")[0])
            for row in rows
        ]  # fmt: skip

    def events(self) -> list[str]:
        """The types of the events in the outbox, in order."""
        return [
            str(row["type"])
            for row in self.database.look("SELECT event ->> 'type' AS type FROM outbox ORDER BY position")
        ]

    def stored(self, key: str = "order-1") -> Row:
        """The payment's row."""
        (row,) = self.database.look("SELECT * FROM payments WHERE id = ?", payment_id(key))
        return row

    async def payment(self, key: str = "order-1") -> Payment:
        found = await self.payments.find(payment_id(key))
        assert found is not None
        return found

    def _publish(self) -> None:
        self.published += 1


def idr(amount_minor: int) -> Money:
    return Money(amount=amount_minor, currency="IDR")


def request(token: str = "tok_ok", *, key: str = "order-1", amount: Money | None = None) -> contract.RequestPayment:
    return contract.RequestPayment(
        idempotency_key=key,
        order_id="ord_1",
        amount=amount or idr(1000),
        provider="sandbox",
        method="card",
        token=token,
    )


def request_qris(*, key: str = "order-1", provider: contract.ProviderName = "sandbox") -> contract.RequestPayment:
    return contract.RequestPayment(
        idempotency_key=key,
        order_id="ord_1",
        amount=idr(1000),
        provider=provider,
        method="qris",
        expires_at=rfc3339(START + timedelta(minutes=10)),
    )


def cancel(
    *,
    key: str = "order-1",
    amount: Money | None = None,
    provider: contract.ProviderName = "sandbox",
    method: contract.Method = "card",
) -> contract.CancelPayment:
    return contract.CancelPayment(
        idempotency_key=key,
        order_id="ord_1",
        amount=amount or idr(1000),
        provider=provider,
        method=method,
        reason="insufficient_inventory",
    )


def refund(amount_minor: int, *, key: str, of: str = "order-1", reason: str = "damaged") -> contract.RefundPayment:
    return contract.RefundPayment(
        payment_id=payment_id(of), idempotency_key=key, amount=idr(amount_minor), reason=reason
    )
