"""The payments' adapter: one writer wins each version, and the schema refuses what no race explains."""

from dataclasses import replace
from datetime import timedelta

from payment.application.ports import LostRace
from payment.domain.charge import Captured, Declined
from payment.domain.payment import Payment, Terms, never_requested, requested
from payment.infrastructure.d1 import D1Payments
from shared_kernel.clock import rfc3339
from shared_kernel.contracts.payment import Failure
from shared_kernel.money import LARGEST_AMOUNT_MINOR, Money
from shared_kernel.sql import ConstraintViolated, Database
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.scratch import NOW, thing_made

TERMS = Terms("ord_1", Money(amount=LARGEST_AMOUNT_MINOR, currency="IDR"), "sandbox", "card")
LATER = NOW + timedelta(minutes=5)


def idr(amount_minor: int) -> Money:
    return Money(amount=amount_minor, currency="IDR")


async def captured(database: Database) -> tuple[D1Payments, Payment]:
    payments = D1Payments(database)
    asked = requested("order-1", TERMS, NOW)
    await payments.add(asked, None)
    paid = asked.settled(Captured(), NOW)
    await payments.save(asked, paid, thing_made("captured"))
    return payments, paid


async def events(database: Database) -> int:
    return len(await database.rows("SELECT position FROM outbox"))


async def test_a_payment_is_read_as_it_was_written(payment_db: Database) -> None:
    payments, paid = await captured(payment_db)
    assert await payments.find(paid.id) == paid
    assert await payments.find("none") is None
    cancelled = never_requested("order-2", TERMS, "naïve \U0001f4b8", NOW)
    await payments.add(cancelled, thing_made("cancelled"))
    assert await payments.find(cancelled.id) == cancelled
    assert await events(payment_db) == 2


async def test_a_decline_keeps_its_reason(payment_db: Database) -> None:
    payments = D1Payments(payment_db)
    asked = requested("order-1", TERMS, NOW)
    await payments.add(asked, None)
    declined = asked.settled(Declined(Failure(code="card_declined", detail="no")), NOW)
    await payments.save(asked, declined, thing_made("declined"))
    assert await payments.find(asked.id) == declined


async def test_the_second_of_two_first_versions_lost_the_race(payment_db: Database) -> None:
    payments = D1Payments(payment_db)
    asked = requested("order-1", TERMS, NOW)
    await payments.add(asked, thing_made("first"))
    with raises(LostRace):
        await payments.add(never_requested("order-1", TERMS, "late", NOW), thing_made("second"))
    assert (await payments.find(asked.id), await events(payment_db)) == (asked, 1)


async def test_a_change_of_an_older_version_lost_the_race_and_tells_nothing(payment_db: Database) -> None:
    payments, paid = await captured(payment_db)
    asked = requested("order-1", TERMS, NOW)
    with raises(LostRace):
        await payments.save(asked, asked.cancelling("late", NOW), thing_made("too late"))
    assert (await payments.find(paid.id), await events(payment_db)) == (paid, 1)


async def test_refunds_are_begun_and_finished_in_their_order(payment_db: Database) -> None:
    payments, before = await captured(payment_db)
    for number, amount_minor in enumerate((1000, LARGEST_AMOUNT_MINOR - 1000)):
        begun = before.refunding(f"rfd_{9 - number}", idr(amount_minor), "damaged", NOW)
        await payments.save(before, begun, None)
        assert await payments.find(before.id) == begun
        before = begun.refund_succeeded(f"rfd_{9 - number}", NOW)
        await payments.save(begun, before, thing_made(f"refund {number}"))
        assert await payments.find(before.id) == before
    assert (before.status, await events(payment_db)) == ("refunded", 3)


async def test_more_than_was_captured_is_refused_by_the_schema_and_is_no_race(payment_db: Database) -> None:
    payments, paid = await captured(payment_db)
    begun = paid.refunding("rfd_1", TERMS.amount, "damaged", NOW)
    await payments.save(paid, begun, None)
    twice = replace(begun, refunds=(*begun.refunds, replace(begun.refunds[0], id="rfd_2")), version=begun.version + 1)
    with raises(ConstraintViolated):
        await payments.save(begun, twice, thing_made("twice"))
    assert (await payments.find(paid.id), await events(payment_db)) == (begun, 1)


async def test_what_the_domain_forbids_is_refused_by_the_schema_and_is_no_race(payment_db: Database) -> None:
    payments, paid = await captured(payment_db)
    back = replace(paid, status="created", version=paid.version + 1)
    with raises(ConstraintViolated):
        await payments.save(paid, back, None)
    with raises(ConstraintViolated):
        await payments.add(replace(paid, id="pay_other", idempotency_key="other"), None)
    assert await payments.find(paid.id) == paid


async def test_what_is_half_done_is_found_once_nobody_touched_it_for_long(payment_db: Database) -> None:
    payments, paid = await captured(payment_db)
    assert await payments.unfinished(rfc3339(LATER), None, 10) == []
    cancelling = paid.cancelling("insufficient_inventory", NOW)
    await payments.save(paid, cancelling, None)
    returning = cancelling.returning_the_rest(NOW)
    await payments.save(cancelling, returning, None)
    assert await payments.unfinished(rfc3339(NOW), None, 10) == []
    assert await payments.unfinished(rfc3339(LATER), None, 10) == [returning]


async def test_what_is_half_done_is_paged_through_the_longest_untouched_first(payment_db: Database) -> None:
    payments = D1Payments(payment_db)
    waiting = []
    for number in (3, 1, 2, 0):
        asked = requested(f"order-{number}", TERMS, NOW)
        await payments.add(asked, None)
        # Two of them were touched at the same moment, so that only their ids tell them apart.
        cancelling = asked.cancelling("late", NOW + timedelta(seconds=number // 2))
        await payments.save(asked, cancelling, None)
        waiting.append(cancelling)
    waiting.sort(key=lambda payment: (payment.updated_at, payment.id))
    assert await payments.unfinished(rfc3339(LATER), None, 3) == waiting[:3]
    assert await payments.unfinished(rfc3339(LATER), waiting[0], 2) == waiting[1:3]
    assert await payments.unfinished(rfc3339(LATER), waiting[2], 3) == waiting[3:]
    assert await payments.unfinished(rfc3339(LATER), waiting[3], 3) == []
