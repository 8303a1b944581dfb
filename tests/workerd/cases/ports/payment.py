"""The payments' adapter: one writer wins each version, and the schema refuses what no race explains."""

import json
from dataclasses import replace
from datetime import timedelta

from payment.application.ports import LostRace, Notice, Webhook
from payment.domain.charge import Captured, Declined, RefundDone, RefundImpossible, Waiting
from payment.domain.payment import Payment, Terms, never_requested, requested
from payment.infrastructure.d1 import D1Payments
from payment.infrastructure.d1_ledger import D1Ledger
from payment.infrastructure.d1_webhooks import D1Webhooks
from shared_kernel.contracts.payment import Failure, Instructions, ListWebhooks
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
    asked = requested("order-1", TERMS, LATER, NOW)
    await payments.add(asked, "saga", None)
    paid = asked.settled(Captured("p_1"), NOW)
    await payments.save(asked, paid, "provider_answer", thing_made("captured"))
    return payments, paid


async def events(database: Database) -> int:
    return len(await database.rows("SELECT position FROM outbox"))


async def test_a_payment_is_read_as_it_was_written(payment_db: Database) -> None:
    payments, paid = await captured(payment_db)
    assert await payments.find(paid.id) == paid
    assert await payments.find("none") is None
    cancelled = never_requested("order-2", TERMS, "naïve \U0001f4b8", NOW)
    await payments.add(cancelled, "saga", thing_made("cancelled"))
    assert await payments.find(cancelled.id) == cancelled
    assert await events(payment_db) == 2


async def test_a_decline_keeps_its_reason(payment_db: Database) -> None:
    payments = D1Payments(payment_db)
    asked = requested("order-1", TERMS, LATER, NOW)
    await payments.add(asked, "saga", None)
    declined = asked.settled(Declined(Failure(code="card_declined", detail="no")), NOW)
    await payments.save(asked, declined, "provider_answer", thing_made("declined"))
    assert await payments.find(asked.id) == declined


async def test_the_second_of_two_first_versions_lost_the_race(payment_db: Database) -> None:
    payments = D1Payments(payment_db)
    asked = requested("order-1", TERMS, LATER, NOW)
    await payments.add(asked, "saga", thing_made("first"))
    with raises(LostRace):
        await payments.add(never_requested("order-1", TERMS, "late", NOW), "saga", thing_made("second"))
    assert (await payments.find(asked.id), await events(payment_db)) == (asked, 1)


async def test_a_change_of_an_older_version_lost_the_race_and_tells_nothing(payment_db: Database) -> None:
    payments, paid = await captured(payment_db)
    asked = requested("order-1", TERMS, LATER, NOW)
    with raises(LostRace):
        await payments.save(asked, asked.cancelling("late", NOW), "saga", thing_made("too late"))
    assert (await payments.find(paid.id), await events(payment_db)) == (paid, 1)


async def test_refunds_are_begun_and_finished_in_their_order(payment_db: Database) -> None:
    payments, before = await captured(payment_db)
    for number, amount_minor in enumerate((1000, LARGEST_AMOUNT_MINOR - 1000)):
        begun = before.refunding(f"rfd_{9 - number}", idr(amount_minor), "damaged", NOW)
        await payments.save(before, begun, "staff staff", None)
        assert await payments.find(before.id) == begun
        before = begun.refund_settled(f"rfd_{9 - number}", RefundDone("r"), NOW)
        await payments.save(begun, before, "provider_answer", thing_made(f"refund {number}"))
        assert await payments.find(before.id) == before
    assert (before.status, await events(payment_db)) == ("refunded", 3)


async def test_more_than_was_captured_is_refused_by_the_schema_and_is_no_race(payment_db: Database) -> None:
    payments, paid = await captured(payment_db)
    begun = paid.refunding("rfd_1", TERMS.amount, "damaged", NOW)
    await payments.save(paid, begun, "staff staff", None)
    twice = replace(begun, refunds=(*begun.refunds, replace(begun.refunds[0], id="rfd_2")), version=begun.version + 1)
    with raises(ConstraintViolated):
        await payments.save(begun, twice, "staff staff", thing_made("twice"))
    assert (await payments.find(paid.id), await events(payment_db)) == (begun, 1)


async def test_what_the_domain_forbids_is_refused_by_the_schema_and_is_no_race(payment_db: Database) -> None:
    payments, paid = await captured(payment_db)
    back = replace(paid, status="created", version=paid.version + 1)
    with raises(ConstraintViolated):
        await payments.save(paid, back, "saga", None)
    with raises(ConstraintViolated):
        await payments.add(replace(paid, id="pay_other", idempotency_key="other"), "saga", None)
    assert await payments.find(paid.id) == paid


async def test_what_is_half_done_is_due_for_a_look_until_it_is_changed(payment_db: Database) -> None:
    payments, paid = await captured(payment_db)
    assert await payments.due(LATER, 10) == []
    cancelling = paid.cancelling("insufficient_inventory", NOW)
    await payments.save(paid, cancelling, "saga", None)
    returning = cancelling.returning_the_rest(NOW)
    await payments.save(cancelling, returning, "saga", None)
    assert await payments.due(NOW, 10) == []
    assert await payments.due(LATER, 10) == [(returning, 0)]
    await payments.postpone(cancelling, 7, None)
    assert await payments.due(LATER, 10) == [(returning, 0)]
    await payments.postpone(returning, 1, LATER + timedelta(minutes=1))
    assert await payments.due(LATER, 10) == []
    assert await payments.due(LATER + timedelta(minutes=1), 10) == [(returning, 1)]
    await payments.postpone(returning, 2, None)
    assert await payments.due(LATER + timedelta(days=9), 10) == []


async def test_a_payment_is_found_by_every_reference_that_a_webhook_may_tell(payment_db: Database) -> None:
    payments, paid = await captured(payment_db)
    begun = paid.refunding("rfd_1", idr(1), "damaged", NOW)
    await payments.save(paid, begun, "staff staff", None)
    done = begun.refund_settled("rfd_1", RefundDone("r_1"), NOW)
    await payments.save(begun, done, "provider_answer", None)
    for notice in (
        Notice("e", reference=paid.id),
        Notice("e", provider_reference="p_1"),
        Notice("e", refund_reference="rfd_1"),
        Notice("e", refund_reference="r_1"),
    ):
        assert await payments.find_for("sandbox", notice) == done
        assert await payments.find_for("xendit", notice) is None
    assert await payments.find_for("sandbox", Notice("e")) is None


async def test_a_payment_that_came_too_late_is_owed_and_the_ledger_says_so(payment_db: Database) -> None:
    payments = D1Payments(payment_db)
    stored = requested("order-1", TERMS, LATER, NOW)
    await payments.add(stored, "saga", None)
    waiting = Waiting("p_1", Instructions(type="virtual_account", bank="bca", account_number="8808"))
    for number, changed in enumerate(
        (
            pending := stored.settled(waiting, NOW),
            cancelling := pending.cancelling("late", NOW),
            cancelled := cancelling.stopped(waiting, NOW),
            late := cancelled.settled(Captured("p_1"), NOW),
            returning := late.returning_the_rest(NOW),
            returning.refund_settled(returning.refunds[0].id, RefundImpossible("no way back"), NOW),
        )
    ):
        await payments.save(stored, changed, f"cause {number}", None)
        assert await payments.find(changed.id) == changed
        stored = changed
    largest = TERMS.amount.amount
    assert json.loads(await D1Ledger(payment_db).balances()) == {
        "balanced": True,
        "items": [
            {"account": "orders", "balance": idr(0).model_dump()},
            {"account": "provider:sandbox", "balance": idr(largest).model_dump()},
            {"account": "refunds_due", "balance": idr(-largest).model_dump()},
        ],
    }
    causes = await payment_db.rows("SELECT cause FROM payment_changes ORDER BY version")
    assert [row["cause"] for row in causes] == ["saga", *(f"cause {number}" for number in range(6))]


async def test_a_webhook_is_kept_once_and_done_for_good(payment_db: Database) -> None:
    webhooks = D1Webhooks(payment_db)
    webhook = Webhook("xendit", {}, '{"na\u00efve": "\U0001f4b8"}')
    notice = Notice("evt_1", reference="pay_1")
    kept = await webhooks.keep("whk_1", webhook, notice, NOW)
    assert (kept.id, kept.notice, kept.status, kept.attempts) == ("whk_1", notice, "received", 0)
    assert await webhooks.keep("whk_2", webhook, notice, NOW) == kept
    assert await webhooks.due(NOW, 10) == []
    assert await webhooks.due(LATER, 10) == [kept]
    await webhooks.mark(kept, "payment_not_found", LATER)
    failed = await webhooks.find("whk_1")
    assert failed is not None
    assert (failed.status, failed.attempts) == ("failed", 1)
    assert await webhooks.due(LATER, 10) == [failed]
    listed = json.loads(await webhooks.page(ListWebhooks(status="failed")))
    assert [(item["id"], item["failure"]) for item in listed["items"]] == [("whk_1", "payment_not_found")]
    await webhooks.mark(failed, None, None)
    await webhooks.mark(failed, "payment_not_found", LATER)
    done = await webhooks.find("whk_1")
    assert done is not None
    assert (done.status, done.attempts) == ("done", 2)
    assert await webhooks.due(LATER, 10) == []
    assert [row["body"] for row in await payment_db.rows("SELECT body FROM webhooks")] == [webhook.body]
    forgotten = [await webhooks.forget(at, 10) for at in (NOW, LATER, LATER)]
    assert [count > 0 for count in forgotten] == [False, True, False]
    assert [row["body"] for row in await payment_db.rows("SELECT body FROM webhooks")] == [""]
    assert await webhooks.keep("whk_3", webhook, notice, LATER) == done
