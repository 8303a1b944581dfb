"""Disputes and refunds that fail after they were made, as the service hears of them, and their money in the books."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from payment.domain.charge import Charge, Declined, Outcome
from payment.domain.errors import NotRefundable, WebhookFailed
from payment.domain.payment import payment_id
from payment.infrastructure.d1 import D1Payments
from shared_kernel.contracts import payment as contract
from tests.unit.payment.bank import REQUEST, Bank, told
from tests.unit.payment.world import Crash, World, cancel, go_on, idr, refund
from tests.unit.sqlite_database import REPOSITORY, SqliteDatabase

ID = payment_id("order-1")
CANCEL = cancel(provider="xendit", method="virtual_account")


async def _paid() -> tuple[World, Bank]:
    world, bank = World(), Bank()
    world.providers["xendit"] = bank
    await world.charges().request_payment(REQUEST)
    bank.standing[ID], bank.refunds = "paid", "done"
    await world.webhooks().receive(told("evt_paid", reference=ID))
    return world, bank


async def _disputed() -> tuple[World, Bank]:
    world, bank = await _paid()
    bank.dispute = "open"
    await world.webhooks().receive(told("evt_disputed", reference=ID, disputed=True))
    assert world.stored()["status"] == "disputed"
    return world, bank


async def _tell(world: World, event_id: str = "evt_ended") -> None:
    await world.webhooks().receive(told(event_id, reference=ID, disputed=True))


def test_dispute_that_is_won_leaves_the_money_where_it_was() -> None:
    async def story() -> None:
        world, bank = await _disputed()
        bank.dispute = "won"
        for event_id in ("evt_ended", "evt_ended", "evt_again"):
            await _tell(world, event_id)
        assert world.stored()["status"] == "captured"
        assert world.events() == ["payment.pending", "payment.captured", "payment.disputed"]
        assert world.ledger() == {"orders": -1000, "provider:xendit": 1000}
        assert world.causes()[-2:] == [("captured", "disputed", "webhook"), ("disputed", "captured", "webhook")]

    asyncio.run(story())


def test_dispute_that_is_lost_takes_the_money_from_the_provider_once() -> None:
    async def story() -> None:
        world, bank = await _disputed()
        bank.dispute = 1000
        for event_id in ("evt_ended", "evt_ended", "evt_again"):
            await _tell(world, event_id)
        assert world.stored()["status"] == "refunded"
        assert world.events()[-2:] == ["payment.disputed", "payment.refunded"]
        assert world.ledger() == {"chargebacks": 1000, "orders": -1000, "provider:xendit": 0}
        (lost,) = (await world.payment()).refunds
        assert (lost.kind, lost.provider_reference) == ("chargeback", "dp_1")

    asyncio.run(story())


def test_dispute_that_is_lost_in_part_leaves_the_rest() -> None:
    async def story() -> None:
        world, bank = await _disputed()
        bank.dispute = 400
        await _tell(world)
        assert world.stored()["status"] == "partially_refunded"
        rest = await world.admin().refund(refund(600, key="a"))
        assert (rest.status, rest.payment.status) == ("succeeded", "refunded")
        assert world.ledger() == {"chargebacks": 400, "orders": -400, "provider:xendit": 0}

    asyncio.run(story())


@pytest.mark.parametrize("end", ["won", 1000])
def test_end_of_which_nobody_tells_is_found_by_the_cron(end: str | int) -> None:
    async def story() -> None:
        world, bank = await _disputed()
        world.later(seconds=61)
        assert await world.reconcile() == 1
        assert world.stored()["status"] == "disputed"
        bank.dispute = "won" if end == "won" else 1000
        world.later(seconds=86_400)
        assert await world.reconcile() == 1
        assert world.stored()["status"] == ("captured" if end == "won" else "refunded")
        assert world.causes()[-1][2] == "reconciliation"
        world.later(seconds=86_400)
        assert await world.reconcile() == 0

    asyncio.run(story())


def test_dispute_that_the_provider_does_not_show_is_neither_begun_nor_ended() -> None:
    async def story() -> None:
        world, bank = await _paid()
        with pytest.raises(WebhookFailed):
            await _tell(world, "evt_disputed")
        assert world.stored()["status"] == "captured"
        bank.dispute = "open"
        await _tell(world, "evt_disputed")
        bank.dispute = "none"
        with pytest.raises(WebhookFailed):
            await _tell(world)
        assert world.stored()["status"] == "disputed"

    asyncio.run(story())


class Refusing(Bank):
    """A bank that has declined everything, as long as it refuses."""

    is_refusing = True

    async def look_up(self, charge: Charge) -> Outcome | None:
        if not self.is_refusing:
            return await super().look_up(charge)
        return Declined(contract.Failure(code="payment_denied", detail="the bank refused it"))


@pytest.mark.parametrize("end", ["declined", "cancelled"])
def test_webhook_that_cannot_tell_a_reversal_from_a_decline_is_done_where_nothing_was_taken(end: str) -> None:
    async def story() -> None:
        world = World()
        world.providers["xendit"] = bank = Refusing()
        await world.charges().request_payment(REQUEST)
        if end == "cancelled":
            bank.is_refusing = False
            await world.charges().cancel_payment(CANCEL)
            bank.is_refusing = True
        await _tell(world)
        assert world.stored()["status"] == end
        assert "disputes" not in bank.asked
        assert world.events() == ["payment.pending", f"payment.{end}"]

    asyncio.run(story())


@pytest.mark.parametrize(("end", "given_back", "lost"), [("won", 1000, 0), (1000, 0, 1000), (300, 700, 300)])
def test_cancelled_payment_that_is_disputed_does_not_lose_track_of_its_money(
    end: str | int, given_back: int, lost: int
) -> None:
    async def story() -> None:
        world, bank = await _disputed()
        answer = await world.charges().cancel_payment(CANCEL)
        assert (answer.status, answer.given_up, answer.refunded, bank.given_back) == ("disputed", True, idr(0), {})
        with pytest.raises(NotRefundable):
            await world.admin().refund(refund(1, key="a"))
        bank.dispute = "won" if end == "won" else int(end)
        await _tell(world)
        assert world.stored()["status"] == "refunded"
        assert sum(bank.given_back.values()) == given_back
        assert world.ledger().get("chargebacks", 0) == lost
        assert world.ledger()["provider:xendit"] == 0

    asyncio.run(story())


@pytest.mark.parametrize(("end", "status", "given_back"), [("won", "succeeded", 400), (700, "withdrawn", 0)])
def test_refund_waits_until_the_dispute_has_ended(end: str | int, status: str, given_back: int) -> None:
    async def story() -> None:
        world, bank = await _paid()
        bank.is_down = True
        with pytest.raises(Exception, match="down"):
            await world.admin().refund(refund(400, key="a"))
        bank.is_down, bank.dispute = False, "open"
        await _tell(world, "evt_disputed")
        again = await world.admin().refund(refund(400, key="a"))
        assert (again.status, again.replayed, bank.given_back) == ("pending", True, {})
        world.later(seconds=91)
        await world.reconcile()
        assert bank.given_back == {}
        bank.dispute = "won" if end == "won" else int(end)
        await _tell(world)
        assert (await world.admin().refund(refund(400, key="a"))).status == status
        assert sum(bank.given_back.values()) == given_back
        assert (await world.payment()).status == "partially_refunded"

    asyncio.run(story())


def _crash_at(step: int) -> Callable[[], Awaitable[None]]:
    left = step

    async def hook() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Crash

    return hook


def test_lost_dispute_that_crashed_anywhere_is_recorded_once_in_the_end() -> None:
    async def story() -> None:
        for step in range(1, 30):
            world, bank = await _disputed()
            bank.dispute = 300
            world.database.after_step = _crash_at(step)
            try:
                await _tell(world)
            except (Crash, WebhookFailed):
                world.database.after_step = go_on
                world.later(seconds=61)
                await world.webhooks().run_due()
                await world.reconcile()
                assert world.ledger() == {"chargebacks": 300, "orders": -1000, "provider:xendit": 700}
                assert world.stored()["status"] == "partially_refunded"
            else:
                assert step > 4
                return
        raise AssertionError("the webhook has more steps than were tried")

    asyncio.run(story())


def test_refund_that_failed_after_it_was_made_is_due_again() -> None:
    async def story() -> None:
        world, bank = await _paid()
        made = await world.admin().refund(refund(400, key="a"))
        assert made.status == "succeeded"
        await world.webhooks().receive(told("evt_fine", reference=ID, refund_reference=f"r_{made.id}"))
        assert world.stored()["status"] == "partially_refunded"
        bank.fail_refund(made.id)
        for event_id in ("evt_failed", "evt_failed", "evt_again"):
            await world.webhooks().receive(told(event_id, reference=ID, refund_reference=f"r_{made.id}"))
        assert (world.stored()["status"], world.stored()["refunded_minor"]) == ("refund_due", 0)
        assert world.events()[-2:] == ["payment.refunded", "payment.refund_due"]
        assert world.ledger() == {"orders": -600, "provider:xendit": 1000, "refunds_due": -400}
        assert (await world.payment()).refunds[0].detail == "the account is closed"

    asyncio.run(story())


def test_dispute_that_takes_the_money_of_a_refund_that_had_failed_unheard_of_is_recorded() -> None:
    async def story() -> None:
        world, bank = await _paid()
        made = await world.admin().refund(refund(400, key="a"))
        bank.fail_refund(made.id)
        bank.dispute = 1000
        await _tell(world)
        assert world.stored()["status"] == "refunded"
        assert [each.status for each in (await world.payment()).refunds] == ["withdrawn", "succeeded"]
        assert world.ledger() == {"chargebacks": 1000, "orders": -1000, "provider:xendit": 0, "refunds_due": 0}

    asyncio.run(story())


@pytest.mark.parametrize("says", ["won", "open", 401])
def test_provider_that_says_something_else_of_a_lost_dispute_changes_nothing_and_is_heard(says: str | int) -> None:
    async def story() -> None:
        world, bank = await _disputed()
        bank.dispute = 400
        await _tell(world)
        before, ledger = await world.payment(), world.ledger()
        bank.dispute = "won" if says == "won" else "open" if says == "open" else 401
        with pytest.raises(WebhookFailed):
            await _tell(world, "evt_astonishing")
        assert (await world.payment(), world.ledger()) == (before, ledger)

    asyncio.run(story())


def test_dispute_that_takes_more_than_is_held_is_left_to_people() -> None:
    async def story() -> None:
        world, bank = await _paid()
        bank.refunds = "impossible"
        made = await world.admin().refund(refund(400, key="a"))
        settle = contract.SettleRefund(refund_id=made.id, idempotency_key="a", reference="123")
        await world.admin().settle_refund(settle)
        bank.dispute = 1000
        with pytest.raises(WebhookFailed):
            await _tell(world)
        assert world.stored()["status"] == "disputed"
        assert world.ledger() == {"orders": -600, "paid_by_hand": -400, "provider:xendit": 1000, "refunds_due": 0}

    asyncio.run(story())


def test_what_was_due_and_disputed_before_is_carried_over() -> None:
    migrations = sorted((REPOSITORY / "services" / "payment" / "migrations").glob("*.sql"))
    database = SqliteDatabase("\n".join(path.read_text() for path in migrations[:3]))

    async def story() -> None:
        for sql in (
            """INSERT INTO payments (id, idempotency_key, order_id, provider, method, currency, amount_minor, status,
                is_open, captured_minor, refunded_minor, cause, expires_at, created_at, updated_at, version)
                VALUES ('pay_1', 'order-1', 'ord_1', 'xendit', 'qris', 'IDR', 1000, 'created', 1, 0, 0, 'saga',
                '2026-11-21T09:30:00.000Z', '2026-11-21T08:30:00.000Z', '2026-11-21T08:30:00.000Z', 1)""",
            """INSERT INTO transfers VALUES ('t', 'pay_1', 'orders', 'provider:xendit', 1000, 'IDR', '')""",
            """UPDATE payments SET status = 'captured', is_open = 0, captured_minor = 1000, provider_reference = 'p',
                version = 2""",
            """INSERT INTO refunds (id, payment_id, amount_minor, reason, status, created_at)
                VALUES ('rfd_1', 'pay_1', 300, 'damaged', 'pending', '2026-11-21T08:30:00.000Z')""",
            "UPDATE refunds SET status = 'due', detail = 'a virtual account'",
            "UPDATE payments SET status = 'disputed', version = 3",
        ):
            await database.rows(sql)
        for migration in migrations[3:]:
            database.extend(migration.read_text())
        payments = D1Payments(database)
        payment = await payments.find("pay_1")
        assert payment is not None
        (due,) = payment.refunds
        assert (payment.status, due.kind, due.status, due.settlement) == ("disputed", "refund", "due", None)
        assert [each.id for each, _ in await payments.due(payment.charge.expires_at, 10)] == ["pay_1"]
        won = payment.dispute_ended(payment.charge.expires_at)
        await payments.save(payment, won, "reconciliation", None)
        assert (won.status, await payments.find("pay_1")) == ("refund_due", won)

    asyncio.run(story())
