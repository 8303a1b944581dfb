"""What the schema refuses by itself, whatever the code above it decides."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from payment.application.ports import LostRace
from payment.domain.charge import Captured, Declined
from payment.domain.payment import Payment, Terms, requested
from payment.infrastructure.d1 import D1Payments
from shared_kernel.contracts.payment import Failure, PaymentStatus
from shared_kernel.sql import ConstraintViolated
from tests.unit.payment.world import START, SteppedDatabase, idr

STATUSES: tuple[PaymentStatus, ...] = (
    "created",
    "captured",
    "declined",
    "cancelled",
    "partially_refunded",
    "refunded",
    "refund_due",
)
LEGAL = {
    ("created", "captured"),
    ("created", "declined"),
    ("created", "cancelled"),
    ("captured", "partially_refunded"),
    ("captured", "refunded"),
    ("captured", "refund_due"),
    ("partially_refunded", "refunded"),
    ("partially_refunded", "refund_due"),
    ("refund_due", "refunded"),
}
NO = Failure(code="card_declined", detail="no")


def _shape(status: PaymentStatus) -> dict[str, object]:
    """The other columns that agree with a status."""
    held = status in ("captured", "partially_refunded", "refunded", "refund_due")
    return {
        "status": status,
        "captured_minor": 1000 if held else 0,
        "refunded_minor": {"partially_refunded": 400, "refunded": 1000}.get(status, 0),
        "failure_code": "x" if status == "declined" else None,
        "failure_detail": "x" if status == "declined" else None,
    }


def _change(database: SteppedDatabase, columns: dict[str, object]) -> None:
    assignments = ", ".join(f"{name} = {_literal(value)}" for name, value in columns.items())
    database.look(f"UPDATE payments SET {assignments}, version = version + 1")


def _literal(value: object) -> str:
    return "NULL" if value is None else repr(value)


def _stored(status: PaymentStatus) -> SteppedDatabase:
    """A payment in this status, put there past the triggers that the tests are about."""
    database = SteppedDatabase()
    payment = requested("order-1", Terms("ord_1", idr(1000), "sandbox", "card"), START)
    asyncio.run(D1Payments(database).add(payment, None))
    columns = _shape(status)
    trigger_names = ("payments_status", "payments_refunded")
    triggers = [
        str(row["sql"]) for row in database.look("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        if row["name"] in trigger_names
    ]  # fmt: skip
    for name in trigger_names:
        database.look(f"DROP TRIGGER {name}")
    _change(database, columns)
    for trigger in triggers:
        database.look(trigger)
    return database


@pytest.mark.parametrize("after", STATUSES)
@pytest.mark.parametrize("before", STATUSES)
def test_schema_allows_exactly_the_legal_changes_of_status(before: PaymentStatus, after: PaymentStatus) -> None:
    database = _stored(before)
    # The sum of the refunds is another rule: it is left out so that only the change of status decides.
    database.look("DROP TRIGGER payments_refunded")
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
        "INSERT INTO refunds SELECT 'r2', id, 601, 'x', 'pending', '' FROM payments",
        "INSERT INTO refunds SELECT 'r2', id, 1, 'x', 'succeeded', '' FROM payments",
        "INSERT INTO refunds SELECT 'r2', id, 0, 'x', 'pending', '' FROM payments",
        "INSERT INTO refunds VALUES ('r2', 'pay_nobody', 1, 'x', 'pending', '')",
        "UPDATE refunds SET amount_minor = 1",
        "UPDATE refunds SET status = 'succeeded', amount_minor = 1",
        "UPDATE refunds SET status = 'failed'",
        "DELETE FROM refunds",
        "DELETE FROM payments",
        "UPDATE payments SET updated_at = ''",
    ],
)
def test_refund_that_cannot_be_is_refused_by_the_schema(sql: str) -> None:
    database = _stored("captured")
    database.look("INSERT INTO refunds SELECT 'r1', id, 400, 'x', 'pending', '' FROM payments")
    before = database.stored()
    with pytest.raises(ConstraintViolated):
        database.look(sql)
    assert database.stored() == before


def _first() -> Payment:
    return requested("order-1", Terms("ord_1", idr(1000), "sandbox", "card"), START)


def test_change_of_an_older_version_is_a_lost_race_and_an_illegal_one_is_not() -> None:
    async def story() -> None:
        payments = D1Payments(SteppedDatabase())
        first = _first()
        await payments.add(first, None)
        with pytest.raises(LostRace):
            await payments.add(first, None)
        captured = first.settled(Captured(), START)
        await payments.save(first, captured, None)
        with pytest.raises(LostRace):
            await payments.save(first, first.settled(Declined(NO), START), None)
        illegal = replace(captured, status="created", version=captured.version + 1)
        with pytest.raises(ConstraintViolated):
            await payments.save(captured, illegal, None)
        assert await payments.find(first.id) == captured

    asyncio.run(story())


CAPTURE: tuple[Callable[[Payment], Payment], ...] = (
    lambda payment: payment.settled(Captured(), START),
    lambda payment: payment.refunding("rfd_1", idr(300), "damaged", START),
    lambda payment: payment.refund_succeeded("rfd_1", START),
    lambda payment: payment.cancelling("late", START),
    lambda payment: payment.returning_the_rest(START),
)
DECLINE: tuple[Callable[[Payment], Payment], ...] = (lambda payment: payment.settled(Declined(NO), START),)


@pytest.mark.parametrize("decisions", [CAPTURE, DECLINE])
def test_payment_is_read_as_it_was_written(decisions: tuple[Callable[[Payment], Payment], ...]) -> None:
    async def story() -> None:
        payments = D1Payments(SteppedDatabase())
        stored = _first()
        await payments.add(stored, None)
        for decide in decisions:
            changed = decide(stored)
            await payments.save(stored, changed, None)
            assert await payments.find(stored.id) == changed
            stored = changed

    asyncio.run(story())
