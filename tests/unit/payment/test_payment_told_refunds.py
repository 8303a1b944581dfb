"""What a provider tells of a refund after our books were closed about it, so that nobody is paid twice unheard of."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from payment.application.ports import ProviderError
from payment.domain.errors import PaymentDisputed, RefundNotDue, WebhookFailed
from payment.domain.payment import payment_id
from shared_kernel.contracts import payment as contract
from tests.unit.payment.bank import REQUEST, Bank, told
from tests.unit.payment.schedules import Scene, Story, every_schedule
from tests.unit.payment.world import World, cancel, pause, refund

ID = payment_id("order-1")
LARGEST_COUNT = 1000


async def _refunded(refunds: str, amount_minor: int = 400) -> tuple[World, Bank, str]:
    """A payment that was taken, with such a refund of a part, and the refund's id."""
    world, bank = World(), Bank()
    world.providers["xendit"] = bank
    await world.charges().request_payment(REQUEST)
    bank.standing[ID] = "paid"
    await world.webhooks().receive(told("evt_paid", reference=ID))
    bank.refunds = "slow" if refunds == "slow" else "done" if refunds == "done" else "impossible"
    made = await world.admin().refund(refund(amount_minor, key="a"))
    return world, bank, made.id


async def _tell(world: World, event_id: str = "evt_told", **notice: str | bool) -> None:
    await world.webhooks().receive(told(event_id, headers=None, reference=ID, **notice))


def _settle(refund_id: str, key: str = "a") -> contract.SettleRefund:
    return contract.SettleRefund(refund_id=refund_id, idempotency_key=key, reference="bank transfer 123")


def test_refund_that_is_due_and_was_made_after_all_is_not_paid_by_hand_as_well() -> None:
    async def story() -> None:
        world, bank, refund_id = await _refunded("impossible")
        # As when the answer to a first attempt was lost, and the second was refused for the first.
        bank.refunds = "by_reference"
        for event_id in ("evt_done", "evt_done", "evt_again"):
            await _tell(world, event_id, refund_key=refund_id, refund_reference="done:1")
        with pytest.raises(RefundNotDue):
            await world.admin().settle_refund(_settle(refund_id))
        assert world.stored()["status"] == "partially_refunded"
        assert world.ledger() == {"orders": -600, "provider:xendit": 600, "refunds_due": 0}

    asyncio.run(story())


def test_refund_that_is_due_is_not_asked_for_anew_when_something_is_told_of_it() -> None:
    async def story() -> None:
        world, bank, refund_id = await _refunded("impossible")
        bank.refunds = "done"
        await _tell(world, refund_key=refund_id)
        bank.refunds = "by_reference"
        await _tell(world, "evt_failed", refund_key=refund_id, refund_reference="failed:1")
        assert (world.stored()["status"], bank.given_back) == ("refund_due", {})
        assert (await world.admin().settle_refund(_settle(refund_id))).status == "succeeded"

    asyncio.run(story())


def test_refund_that_was_made_after_it_was_paid_by_hand_is_heard_of() -> None:
    async def story() -> None:
        world, bank, refund_id = await _refunded("impossible")
        await world.admin().settle_refund(_settle(refund_id))
        before, ledger = await world.payment(), world.ledger()
        bank.refunds = "by_reference"
        await _tell(world, "evt_failed", refund_key=refund_id, refund_reference="failed:1")
        with pytest.raises(WebhookFailed):
            await _tell(world, refund_key=refund_id, refund_reference="done:1")
        assert (await world.payment(), world.ledger()) == (before, ledger)

    asyncio.run(story())


def test_refund_that_was_made_stays_so_when_another_attempt_at_it_is_told_to_have_failed() -> None:
    async def story() -> None:
        world, bank, refund_id = await _refunded("slow")
        bank.refunds = "by_reference"
        await _tell(world, "evt_done", refund_key=refund_id, refund_reference="done:1")
        await _tell(world, refund_key=refund_id, refund_reference="failed:1")
        assert world.stored()["status"] == "partially_refunded"

    asyncio.run(story())


def test_refund_that_was_made_after_a_chargeback_had_taken_its_money_is_heard_of() -> None:
    async def story() -> None:
        world, bank, refund_id = await _refunded("slow")
        bank.dispute = 1000
        await _tell(world, "evt_lost", disputed=True)
        assert [each.status for each in (await world.payment()).refunds] == ["withdrawn", "succeeded"]
        await _tell(world, "evt_slow", refund_reference=f"r_{refund_id}")
        bank.given_back[refund_id] = 400
        with pytest.raises(WebhookFailed):
            await _tell(world, refund_reference=f"r_{refund_id}")

    asyncio.run(story())


@pytest.mark.parametrize("refunds", ["done", "slow"])
@pytest.mark.parametrize("told_of_dispute", [True, False])
def test_refund_that_failed_because_of_a_dispute_is_not_paid_by_hand_before_that_has_ended(
    refunds: str, told_of_dispute: bool
) -> None:
    async def story() -> None:
        world, bank, refund_id = await _refunded(refunds, 1000)
        bank.dispute = "open"
        if told_of_dispute:
            await _tell(world, "evt_disputed", disputed=True)
        bank.given_back[refund_id] = 1000
        bank.fail_refund(refund_id)
        await _tell(world, refund_reference=f"r_{refund_id}")
        assert (await world.payment()).refunds[0].status == "due"
        with pytest.raises(PaymentDisputed):
            await world.admin().settle_refund(_settle(refund_id))
        bank.dispute = 1000
        world.later(seconds=86_400)
        await world.reconcile()
        assert world.stored()["status"] == "refunded"
        assert world.ledger() == {"chargebacks": 1000, "orders": -1000, "provider:xendit": 0, "refunds_due": 0}

    asyncio.run(story())


def test_refund_that_failed_without_a_dispute_is_paid_by_hand() -> None:
    async def story() -> None:
        world, bank, refund_id = await _refunded("done", 1000)
        bank.fail_refund(refund_id)
        await _tell(world, refund_reference=f"r_{refund_id}")
        assert (await world.admin().settle_refund(_settle(refund_id))).payment.status == "refunded"

    asyncio.run(story())


def test_cancelled_payment_gives_back_what_a_chargeback_has_left_of_a_due_refund() -> None:
    async def story() -> None:
        world, bank, _ = await _refunded("impossible", 1000)
        answer = await world.charges().cancel_payment(cancel(provider="xendit", method="virtual_account"))
        assert (answer.status, answer.given_up) == ("refund_due", True)
        bank.refunds, bank.dispute = "done", 400
        await _tell(world, disputed=True)
        assert (world.stored()["status"], sum(bank.given_back.values())) == ("refunded", 600)
        assert world.ledger() == {"chargebacks": 400, "orders": -400, "provider:xendit": 0, "refunds_due": 0}

    asyncio.run(story())


def _in_every_order(
    prepared: Callable[[], tuple[World, Bank, str]], stories: Callable[[World, str], list[Story]]
) -> Iterator[World]:
    """The world after each order in which the steps of the stories can fall."""
    last: list[World] = []

    def start() -> Scene:
        world, _, refund_id = prepared()
        last[:] = [world]
        world.database.before_step = pause
        return Scene(stories(world, refund_id), lambda: world.database.last_answer, world.database.stored)

    for _ in every_schedule(start, LARGEST_COUNT):
        yield last[0]


def test_two_settlements_in_every_order_pay_once() -> None:
    def stories(world: World, refund_id: str) -> list[Story]:
        return [world.admin().settle_refund(_settle(refund_id, key)) for key in ("a", "b")]

    for world in _in_every_order(lambda: asyncio.run(_refunded("impossible")), stories):
        assert world.ledger() == {"orders": -600, "paid_by_hand": -400, "provider:xendit": 1000, "refunds_due": 0}


def test_settlement_and_the_providers_own_refund_in_every_order_are_one_of_the_two_or_heard_of() -> None:
    def prepared() -> tuple[World, Bank, str]:
        world, bank, refund_id = asyncio.run(_refunded("impossible"))
        bank.refunds = "by_reference"
        return world, bank, refund_id

    def stories(world: World, refund_id: str) -> list[Story]:
        done = told("evt_done", headers=None, reference=ID, refund_key=refund_id, refund_reference="done:1")
        return [world.admin().settle_refund(_settle(refund_id)), world.webhooks().receive(done)]

    seen = set()
    for world in _in_every_order(prepared, stories):
        (row,) = world.database.look("SELECT status FROM webhooks WHERE event_id = 'evt_done'")
        by_hand = -world.ledger().get("paid_by_hand", 0)
        assert world.ledger()["provider:xendit"] - by_hand == 600
        seen.add((by_hand, row["status"]))
    assert seen == {(400, "failed"), (0, "done")}


def test_refund_whose_answer_was_lost_keeps_its_place_beside_a_chargeback() -> None:
    async def story() -> None:
        world, bank, _ = await _refunded("impossible", 100)
        bank.refunds, bank.is_down = "done", True
        begun = []
        for key in ("b", "c"):
            with pytest.raises(ProviderError):
                await world.admin().refund(refund(300, key=key))
            begun.append((await world.payment()).refunds[-1].id)
        bank.is_down = False
        bank.given_back[begun[1]] = 300
        bank.dispute = 700
        await _tell(world, disputed=True)
        world.later(seconds=91)
        await world.reconcile()
        assert [each.status for each in (await world.payment()).refunds] == [
            "withdrawn", "withdrawn", "succeeded", "succeeded",
        ]  # fmt: skip
        assert world.ledger() == {"chargebacks": 700, "orders": -700, "provider:xendit": 0, "refunds_due": 0}

    asyncio.run(story())
