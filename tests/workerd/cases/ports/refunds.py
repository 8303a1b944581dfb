"""Refunds and disputes to their ends, and the list of refunds, over the schema that holds the same rules."""

import itertools
import json
from datetime import timedelta

from payment.domain.charge import Captured, Chargeback, RefundDone, RefundImpossible
from payment.domain.payment import Payment, Terms, requested
from payment.domain.refund import Settlement
from payment.infrastructure.d1 import D1Payments
from payment.infrastructure.d1_ledger import D1Ledger
from payment.infrastructure.d1_refunds import D1Refunds
from shared_kernel.contracts.payment import ListRefunds
from shared_kernel.cursor import InvalidCursor
from shared_kernel.ids import derived_id
from shared_kernel.money import LARGEST_AMOUNT_MINOR, Money
from shared_kernel.sql import ConstraintViolated, Database
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.scratch import NOW

TERMS = Terms("ord_1", Money(amount=LARGEST_AMOUNT_MINOR, currency="IDR"), "sandbox", "card")
IDS = [derived_id("rfd", str(number)) for number in range(4)]


def idr(amount_minor: int) -> Money:
    return Money(amount=amount_minor, currency="IDR")


async def stored(database: Database, *changes: Payment) -> Payment:
    """Each change of the payment written after the one before, and read back as it was written."""
    payments = D1Payments(database)
    for before, after in itertools.pairwise(changes):
        await payments.save(before, after, "a cause", None)
        assert await payments.find(after.id) == after
    return changes[-1]


async def captured(database: Database) -> Payment:
    asked = requested("order-1", TERMS, NOW, NOW)
    await D1Payments(database).add(asked, "saga", None)
    return await stored(database, asked, asked.settled(Captured("p_1"), NOW))


async def balances(database: Database) -> dict[str, int]:
    told = json.loads(await D1Ledger(database).balances())
    assert told["balanced"]
    return {item["account"]: item["balance"]["amount"] for item in told["items"]}


async def test_a_due_refund_is_paid_by_hand_for_good(payment_db: Database) -> None:
    paid = await captured(payment_db)
    begun = paid.refunding(IDS[0], TERMS.amount, "damaged", NOW)
    due = begun.refund_settled(IDS[0], RefundImpossible("no way back"), NOW)
    settlement = Settlement("stl_1", "transfer na\u00efve \U0001f4b8", "a note")
    await stored(payment_db, paid, begun, due, due.refund_paid_by_hand(IDS[0], settlement, NOW))
    assert await balances(payment_db) == {
        "orders": 0,
        "paid_by_hand": -LARGEST_AMOUNT_MINOR,
        "provider:sandbox": LARGEST_AMOUNT_MINOR,
        "refunds_due": 0,
    }
    with raises(ConstraintViolated):
        await payment_db.rows("UPDATE refunds SET status = 'due', detail = 'x', settlement = NULL")


async def test_a_refund_that_failed_is_due_and_can_be_made_again(payment_db: Database) -> None:
    paid = await captured(payment_db)
    begun = paid.refunding(IDS[0], idr(5), "damaged", NOW)
    done = begun.refund_settled(IDS[0], RefundDone("r_1"), NOW)
    failed = done.refund_failed(IDS[0], "account closed", NOW)
    again = failed.refund_settled(IDS[0], RefundDone("r_2"), NOW)
    await stored(payment_db, paid, begun, done, failed, again, again.refund_failed(IDS[0], "once more", NOW))
    held = LARGEST_AMOUNT_MINOR
    assert await balances(payment_db) == {"orders": 5 - held, "provider:sandbox": held, "refunds_due": -5}


async def test_a_lost_dispute_takes_the_place_of_what_was_to_be_refunded(payment_db: Database) -> None:
    paid = await captured(payment_db)
    begun = paid.refunding(IDS[0], idr(5), "damaged", NOW)
    disputed = begun.disputed(NOW)
    lost = disputed.charged_back(Chargeback("dp_1", TERMS.amount), NOW)
    await stored(payment_db, paid, begun, disputed, lost)
    assert (lost.status, [refund.status for refund in lost.refunds]) == ("refunded", ["withdrawn", "succeeded"])
    held = LARGEST_AMOUNT_MINOR
    assert await balances(payment_db) == {"chargebacks": held, "orders": -held, "provider:sandbox": 0}


async def test_a_disputed_payment_is_looked_at_until_that_has_ended(payment_db: Database) -> None:
    payments, paid = D1Payments(payment_db), await captured(payment_db)
    disputed = await stored(payment_db, paid, paid.disputed(NOW))
    later = NOW + timedelta(days=1)
    assert await payments.due(later, 10) == [(disputed, 0)]
    await stored(payment_db, disputed, disputed.dispute_ended(NOW))
    assert await payments.due(later, 10) == []


async def test_one_at_a_time_asks_for_a_refund_until_it_is_answered_or_the_claim_ends(payment_db: Database) -> None:
    payments, paid = D1Payments(payment_db), await captured(payment_db)
    begun = paid.refunding(IDS[0], idr(5), "damaged", NOW)
    await stored(payment_db, paid, begun)
    until, later = NOW + timedelta(seconds=90), NOW + timedelta(seconds=180)
    assert [await payments.claim_refund(IDS[0], NOW, until) for _ in range(3)] == [True, False, False]
    assert not await payments.claim_refund(IDS[1], NOW, until)
    assert await payments.due(until - timedelta(milliseconds=1), 10) == []
    assert await payments.due(until, 10) == [(begun, 0)]
    assert not await payments.claim_refund(IDS[0], until - timedelta(milliseconds=1), later)
    assert await payments.claim_refund(IDS[0], until, later)
    with raises(ConstraintViolated):
        await payment_db.rows("UPDATE refunds SET asking_until = ?", "2026-11-21T08:30:00.000Z")
    done = begun.refund_settled(IDS[0], RefundDone("r_1"), NOW)
    await stored(payment_db, begun, done)
    assert not await payments.claim_refund(IDS[0], later, later + timedelta(seconds=90))
    assert await payment_db.rows("SELECT asking_until FROM refunds") == [{"asking_until": None}]


async def test_refunds_are_listed_page_by_page_each_status_in_its_order(payment_db: Database) -> None:
    payment = await captured(payment_db)
    for number, refund_id in enumerate(IDS):
        begun = payment.refunding(refund_id, idr(number + 1), "damaged", NOW + timedelta(seconds=number // 2))
        payment = await stored(payment_db, payment, begun, begun.refund_settled(refund_id, RefundImpossible("no"), NOW))
    refunds = D1Refunds(payment_db)

    async def page(request: ListRefunds) -> tuple[list[str], str | None]:
        told = json.loads(await refunds.page(request))
        return [item["id"] for item in told["items"]], told["next_cursor"]

    oldest_first = [*sorted(IDS[:2]), *sorted(IDS[2:])]
    first, cursor = await page(ListRefunds(status="due", limit=3))
    assert (first, await page(ListRefunds(status="due", limit=3, cursor=cursor))) == (
        oldest_first[:3],
        (oldest_first[3:], None),
    )
    assert await page(ListRefunds()) == (oldest_first[::-1], None)
    assert await page(ListRefunds(status="pending")) == ([], None)
    with raises(InvalidCursor):
        await page(ListRefunds(cursor=cursor))
    assert await refunds.payment_of(IDS[0]) == payment.id
    assert await refunds.payment_of("rfd_nobody") is None
