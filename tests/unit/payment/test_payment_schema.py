"""What the schema refuses by itself, whatever the code above it decides."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest

from payment.application.ports import LostRace
from payment.domain.charge import (
    Authorised,
    Captured,
    Chargeback,
    Declined,
    RefundDone,
    RefundImpossible,
    RefundPending,
    Waiting,
)
from payment.domain.payment import Payment, Terms, requested
from payment.domain.refund import Settlement
from payment.infrastructure.d1 import D1Payments
from payment.infrastructure.d1_ledger import D1Ledger
from shared_kernel.contracts.payment import Failure, Instructions, PaymentStatus
from shared_kernel.sql import ConstraintViolated
from tests.unit.payment.world import START, SteppedDatabase, idr
from tests.unit.sqlite_database import REPOSITORY, SqliteDatabase

STATUSES: tuple[PaymentStatus, ...] = get_args(PaymentStatus)
UNDECIDED = ("created", "pending", "authorised")
HELD = ("captured", "partially_refunded", "refunded", "refund_due", "disputed")
LEGAL = {
    ("created", "pending"),
    ("created", "authorised"),
    ("pending", "authorised"),
    *((before, after) for before in UNDECIDED for after in ("captured", "declined", "expired", "cancelled")),
    # What is paid after the end is captured, to be given back.
    *((before, "captured") for before in ("declined", "expired", "cancelled")),
    ("captured", "partially_refunded"),
    ("captured", "refunded"),
    ("captured", "refund_due"),
    ("captured", "disputed"),
    ("partially_refunded", "refunded"),
    ("partially_refunded", "refund_due"),
    ("partially_refunded", "disputed"),
    ("refund_due", "partially_refunded"),
    ("refund_due", "refunded"),
    ("refund_due", "disputed"),
    ("refunded", "refund_due"),
    *(("disputed", after) for after in ("captured", "partially_refunded", "refunded", "refund_due")),
}
_MIGRATIONS = sorted((REPOSITORY / "services" / "payment" / "migrations").glob("*.sql"))
TRANSFER = "INSERT INTO transfers (id, payment_id, from_account, to_account, amount_minor, currency, at)"
INSERT = "INSERT INTO refunds (id, payment_id, amount_minor, reason, kind, status, created_at)"
NO = Failure(code="card_declined", detail="no")


def _shape(status: PaymentStatus) -> dict[str, object]:
    """The other columns that agree with a status."""
    return {
        "status": status,
        "is_open": int(status in UNDECIDED),
        "captured_minor": 1000 if status in HELD else 0,
        "refunded_minor": {"partially_refunded": 400, "refunded": 1000}.get(status, 0),
        "provider_reference": "p_1",
        "instructions": "{}",
        "failure_code": "x" if status == "declined" else None,
        "failure_detail": "x" if status == "declined" else None,
        "cancellation": "late",
    }


def _change(database: SteppedDatabase, columns: dict[str, object]) -> None:
    assignments = ", ".join(f"{name} = {_literal(value)}" for name, value in columns.items())
    database.look(f"UPDATE payments SET {assignments}, version = version + 1")


def _literal(value: object) -> str:
    return "NULL" if value is None else repr(value)


def _stored(status: PaymentStatus) -> SteppedDatabase:
    """A payment in this status, put there past the triggers that the tests are about."""
    database = SteppedDatabase()
    asyncio.run(D1Payments(database).add(_first(), "saga", None))
    trigger_names = ("payments_status", "payments_refunded", "payments_ledger")
    triggers = [
        str(row["sql"]) for row in database.look("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        if row["name"] in trigger_names
    ]  # fmt: skip
    for name in trigger_names:
        database.look(f"DROP TRIGGER {name}")
    _change(database, _shape(status))
    for trigger in triggers:
        database.look(trigger)
    return database


@pytest.mark.parametrize("after", STATUSES)
@pytest.mark.parametrize("before", STATUSES)
def test_schema_allows_exactly_the_legal_changes_of_status(before: PaymentStatus, after: PaymentStatus) -> None:
    database = _stored(before)
    # The sums of refunds and ledger are other rules: left out, so that only the change of status decides.
    database.look("DROP TRIGGER payments_refunded")
    database.look("DROP TRIGGER payments_ledger")
    if before == after or (before, after) in LEGAL:
        _change(database, _shape(after))
    else:
        with pytest.raises(ConstraintViolated, match="illegal change"):
            _change(database, _shape(after))


@pytest.mark.parametrize(
    ("status", "wrong"),
    [
        ("created", {"captured_minor": 1000}),
        ("created", {"status": "captured"}),
        ("created", {"status": "captured", "captured_minor": 1001}),
        ("created", {"status": "declined"}),
        ("created", {"failure_code": "x", "failure_detail": "x"}),
        ("created", {"status": "lost"}),
        ("captured", {"refunded_minor": 1}),
        ("captured", {"status": "partially_refunded"}),
        ("captured", {"status": "partially_refunded", "refunded_minor": 1000}),
        ("captured", {"status": "refunded", "refunded_minor": 999}),
        ("captured", {"status": "refunded", "refunded_minor": 1001}),
        ("captured", {"status": "partially_refunded", "refunded_minor": 400}),
        ("created", {"is_open": 0}),
        ("captured", {"is_open": 1}),
        ("expired", {"is_open": 1}),
        ("cancelled", {"is_open": 2}),
        ("created", {"status": "pending", "instructions": None}),
        ("created", {"status": "pending", "provider_reference": None}),
        ("pending", {"provider_reference": "p_2"}),
        ("pending", {"provider_reference": None}),
        # Nothing in the ledger says that the money came.
        ("created", {"status": "captured", "is_open": 0, "captured_minor": 1000}),
        ("captured", {"status": "refund_due"}),
        ("captured", {"expires_at": "x"}),
        ("captured", {"amount_minor": 1}),
        ("captured", {"order_id": "ord_2"}),
        ("captured", {"idempotency_key": "another"}),
    ],
)
def test_row_that_contradicts_itself_is_refused(status: PaymentStatus, wrong: dict[str, object]) -> None:
    database = _stored(status)
    before = database.stored()
    with pytest.raises(ConstraintViolated):
        _change(database, wrong)
    assert database.stored() == before


@pytest.mark.parametrize(
    "sql",
    [
        f"{INSERT} SELECT 'r2', id, 601, 'x', 'refund', 'pending', '' FROM payments",
        f"{INSERT} SELECT 'r2', id, 1, 'x', 'refund', 'succeeded', '' FROM payments",
        f"{INSERT} SELECT 'r2', id, 0, 'x', 'refund', 'pending', '' FROM payments",
        f"{INSERT} VALUES ('r2', 'pay_nobody', 1, 'x', 'refund', 'pending', '')",
        f"{INSERT} SELECT 'r2', id, 1, 'x', 'chargeback', 'pending', '' FROM payments",
        f"{INSERT} SELECT 'r2', id, 1, 'x', 'chargeback', 'succeeded', '' FROM payments",
        f"{INSERT} SELECT 'r2', id, 1, 'x', 'gift', 'pending', '' FROM payments",
        "UPDATE refunds SET kind = 'chargeback', provider_reference = 'd', status = 'succeeded'",
        "UPDATE refunds SET status = 'succeeded', settlement = '{}'",
        "UPDATE refunds SET settlement = '{}'",
        "UPDATE refunds SET amount_minor = 1",
        "UPDATE refunds SET status = 'succeeded', amount_minor = 1",
        "UPDATE refunds SET status = 'failed'",
        "UPDATE refunds SET status = 'due'",
        "UPDATE refunds SET status = 'due', detail = 'x', asking_until = '2026'",
        "UPDATE refunds SET provider_reference = 'r', asking_until = '2026'",
        "DELETE FROM refunds",
        "DELETE FROM payments",
        "UPDATE payments SET updated_at = ''",
    ],
)
def test_refund_that_cannot_be_is_refused_by_the_schema(sql: str) -> None:
    database = _stored("captured")
    database.look(f"{INSERT} SELECT 'r1', id, 400, 'x', 'refund', 'pending', '' FROM payments")
    before = database.stored()
    with pytest.raises(ConstraintViolated):
        database.look(sql)
    assert database.stored() == before


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE refunds SET status = 'due', detail = 'x'",
        "UPDATE refunds SET settlement = NULL",
        "UPDATE refunds SET settlement = '{}'",
        "UPDATE refunds SET status = 'withdrawn'",
    ],
)
@pytest.mark.parametrize("kind", ["by hand", "chargeback"])
def test_what_was_paid_by_hand_or_charged_back_stays_so(sql: str, kind: str) -> None:
    database = _stored("captured")
    if kind == "chargeback":
        columns = INSERT.replace("kind", "kind, provider_reference")
        database.look(f"{columns} SELECT 'r1', id, 400, 'x', 'chargeback', 'dp_1', 'succeeded', '' FROM payments")
    else:
        database.look(f"{INSERT} SELECT 'r1', id, 400, 'x', 'refund', 'pending', '' FROM payments")
        database.look("UPDATE refunds SET status = 'due', detail = 'x'")
        database.look("UPDATE refunds SET status = 'succeeded', detail = NULL, settlement = '{}'")
    before = database.stored()
    with pytest.raises(ConstraintViolated):
        database.look(sql)
    assert database.stored() == before


def test_body_of_a_webhook_is_forgotten_once_it_is_done_and_never_changed() -> None:
    database = SteppedDatabase()
    columns = "id, provider, event_id, body, notice, status, attempts, received_at"
    database.look(f"INSERT INTO webhooks ({columns}) VALUES ('whk_1', 'x', 'e', 'body', '{{}}', 'received', 0, '')")
    for sql in ("UPDATE webhooks SET body = ''", "UPDATE webhooks SET body = 'another'"):
        with pytest.raises(ConstraintViolated):
            database.look(sql)
    database.look("UPDATE webhooks SET status = 'done'")
    for sql in ("UPDATE webhooks SET body = 'another'", "UPDATE webhooks SET event_id = 'f'", "DELETE FROM webhooks"):
        with pytest.raises(ConstraintViolated):
            database.look(sql)
    database.look("UPDATE webhooks SET body = ''")
    with pytest.raises(ConstraintViolated):
        database.look("UPDATE webhooks SET body = 'body'")


def _first() -> Payment:
    return requested("order-1", Terms("ord_1", idr(1000), "sandbox", "card"), START, START)


def test_change_of_an_older_version_is_a_lost_race_and_an_illegal_one_is_not() -> None:
    async def story() -> None:
        payments = D1Payments(SteppedDatabase())
        first = _first()
        await payments.add(first, "saga", None)
        with pytest.raises(LostRace):
            await payments.add(first, "saga", None)
        captured = first.settled(Captured("p_1"), START)
        await payments.save(first, captured, "provider_answer", None)
        with pytest.raises(LostRace):
            await payments.save(first, first.settled(Declined(NO), START), "provider_answer", None)
        illegal = replace(captured, status="created", version=captured.version + 1)
        with pytest.raises(ConstraintViolated):
            await payments.save(captured, illegal, "saga", None)
        assert await payments.find(first.id) == captured

    asyncio.run(story())


Decide = Callable[[Payment], Payment]
WAITING = Waiting("p_1", Instructions(type="virtual_account", bank="bca", account_number="123"))
CAPTURE: tuple[Decide, ...] = (
    lambda payment: payment.settled(Captured("p_1"), START),
    lambda payment: payment.refunding("rfd_1", idr(300), "damaged", START),
    lambda payment: payment.refund_settled("rfd_1", RefundPending("r_1"), START),
    lambda payment: payment.refund_settled("rfd_1", RefundDone("r_1"), START),
    lambda payment: payment.cancelling("late", START),
    lambda payment: payment.returning_the_rest(START),
)
DECLINE: tuple[Decide, ...] = (lambda payment: payment.settled(Declined(NO), START),)
LATE: tuple[Decide, ...] = (
    lambda payment: payment.settled(WAITING, START),
    lambda payment: payment.cancelling("late", START),
    lambda payment: payment.stopped(WAITING, START),
    lambda payment: payment.settled(Captured("p_1"), START),
    lambda payment: payment.returning_the_rest(START),
    lambda payment: payment.refund_settled(payment.refunds[0].id, RefundImpossible("a virtual account"), START),
    lambda payment: payment.refund_settled(payment.refunds[0].id, RefundDone("by_hand"), START),
)
BY_HAND: tuple[Decide, ...] = (
    *LATE[:-1],
    lambda payment: payment.refund_paid_by_hand(payment.refunds[0].id, Settlement("stl_1", "123", "a note"), START),
)
DISPUTE: tuple[Decide, ...] = (
    lambda payment: payment.settled(Authorised("p_1"), START),
    lambda payment: payment.settled(Captured("p_1"), START),
    lambda payment: payment.refunding("rfd_1", idr(900), "damaged", START),
    lambda payment: payment.disputed(START),
    lambda payment: payment.charged_back(Chargeback("dp_1", idr(300)), START),
    lambda payment: payment.dispute_ended(START),
    lambda payment: payment.refunding("rfd_2", idr(700), "damaged", START),
    lambda payment: payment.refund_settled("rfd_2", RefundDone("r_2"), START),
    lambda payment: payment.refund_failed("rfd_2", "account closed", START),
    lambda payment: payment.refund_settled("rfd_2", RefundDone("r_3"), START),
)


@pytest.mark.parametrize("decisions", [CAPTURE, DECLINE, LATE, BY_HAND, DISPUTE])
def test_payment_is_read_as_it_was_written(decisions: tuple[Decide, ...]) -> None:
    async def story() -> None:
        database = SteppedDatabase()
        payments = D1Payments(database)
        stored = _first()
        await payments.add(stored, "saga", None)
        for number, decide in enumerate(decisions):
            changed = decide(stored)
            await payments.save(stored, changed, f"cause {number}", None)
            assert await payments.find(stored.id) == changed
            stored = changed
        causes = [row["cause"] for row in database.look("SELECT cause FROM payment_changes ORDER BY version")]
        assert causes == ["saga", *(f"cause {number}" for number in range(len(decisions)))]

    asyncio.run(story())


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO ledger_entries VALUES ('t', 'orders', 'IDR', -1)",
        "UPDATE ledger_entries SET amount_minor = 0",
        "DELETE FROM ledger_entries",
        "UPDATE transfers SET amount_minor = 1",
        "DELETE FROM transfers",
        f"{TRANSFER} SELECT 'u', id, 'orders', 'orders', 1, 'IDR', '' FROM payments",
        f"{TRANSFER} SELECT 'u', id, 'orders', 'provider:sandbox', 0, 'IDR', '' FROM payments",
        f"{TRANSFER} SELECT 'u', id, 'orders', 'provider:sandbox', 1, 'USD', '' FROM payments",
        f"{TRANSFER} SELECT 't', id, 'orders', 'provider:sandbox', 1, 'IDR', '' FROM payments",
        "UPDATE payment_changes SET cause = 'nobody'",
        "DELETE FROM payment_changes",
    ],
)
def test_ledger_and_history_are_only_added_to_and_always_balance(sql: str) -> None:
    database = _stored("created")
    database.look(f"{TRANSFER} SELECT 't', id, 'orders', 'provider:sandbox', 1, 'IDR', '' FROM payments")
    before = (database.look("SELECT * FROM ledger_entries"), database.look("SELECT * FROM payment_changes"))
    assert [row["amount_minor"] for row in before[0]] == [-1, 1]
    with pytest.raises(ConstraintViolated):
        database.look(sql)
    assert (database.look("SELECT * FROM ledger_entries"), database.look("SELECT * FROM payment_changes")) == before


def test_payments_of_the_first_schema_are_carried_over_with_their_ledger() -> None:
    before = "\n".join(path.read_text() for path in _MIGRATIONS[:2])
    database = SqliteDatabase(before)

    async def story() -> None:
        for sql in (
            """INSERT INTO payments (id, idempotency_key, order_id, provider, method, currency, amount_minor, status,
                captured_minor, refunded_minor, created_at, updated_at, version)
                VALUES ('pay_1', 'order-1', 'ord_1', 'sandbox', 'card', 'IDR', 1000, 'created', 0, 0,
                '2026-11-21T08:30:00.000Z', '2026-11-21T08:30:00.000Z', 1)""",
            "UPDATE payments SET status = 'captured', captured_minor = 1000, version = 2",
            "INSERT INTO refunds VALUES ('rfd_1', 'pay_1', 300, 'damaged', 'pending', '2026-11-21T08:30:00.000Z')",
            "UPDATE refunds SET status = 'succeeded'",
            "UPDATE payments SET status = 'partially_refunded', refunded_minor = 300, version = 3",
            "INSERT INTO refunds VALUES ('rfd_2', 'pay_1', 100, 'damaged', 'pending', '2026-11-21T08:30:00.000Z')",
            "INSERT INTO sandbox_charges VALUES (1, 'order-1', 'pay_1', 1000, 'IDR', 'charged', NULL, 1)",
            "INSERT INTO sandbox_refunds VALUES ('rfd_1', 'order-1', 300)",
        ):
            await database.rows(sql)
        for migration in _MIGRATIONS[2:]:
            database.extend(migration.read_text())
        payment = await D1Payments(database).find("pay_1")
        assert payment is not None
        assert (payment.status, payment.refunded, payment.refundable) == ("partially_refunded", idr(300), idr(600))
        assert payment.expires_at == "2026-11-21T09:30:00.000Z"
        assert json.loads(await D1Ledger(database).balances())["items"] == [
            {"account": "orders", "balance": {"amount": -700, "currency": "IDR"}},
            {"account": "provider:sandbox", "balance": {"amount": 700, "currency": "IDR"}},
        ]
        ((due, looks),) = await D1Payments(database).due(START, 10)
        assert (due, looks) == (payment, 0)
        done = payment.refund_settled("rfd_2", RefundDone("r_2"), START)
        await D1Payments(database).save(payment, done, "reconciliation", None)
        assert await D1Payments(database).find("pay_1") == done

    asyncio.run(story())
