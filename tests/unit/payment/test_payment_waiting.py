"""Payments that wait for their customer: paid in time, failed, expired, cancelled, and paid when it is too late."""

import asyncio
from datetime import timedelta

import pytest

from payment.application.ports import ProviderError
from payment.domain.errors import PaymentCancelled, SandboxNotWaiting
from payment.domain.payment import payment_id
from shared_kernel.contracts import payment as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.errors import Forbidden, NotFound, Unauthenticated
from tests.unit.payment.bank import REQUEST, Bank, told
from tests.unit.payment.world import GUEST, SERVICE, STAFF, World, cancel, idr, refund, request, request_qris

CANCEL = cancel(provider="xendit", method="virtual_account")
CHECK = contract.CheckPayment(idempotency_key="order-1")
ID = payment_id("order-1")


def _paid(outcome: str = "paid") -> contract.SettleSandboxPayment:
    return contract.SettleSandboxPayment.model_validate({"payment_id": ID, "outcome": outcome})


def _at_the_bank() -> tuple[World, Bank]:
    world, bank = World(), Bank()
    world.providers["xendit"] = bank
    return world, bank


def test_payment_by_qris_waits_with_instructions_and_is_captured_by_the_webhook() -> None:
    async def story() -> None:
        world = World()
        waiting = await world.charges().request_payment(request_qris())
        assert (waiting.status, waiting.captured) == ("pending", idr(0))
        assert waiting.instructions is not None
        assert waiting.instructions.qr_string
        assert waiting.expires_at == waiting.instructions.expires_at == "2026-11-21T08:40:00.000Z"
        assert await world.charges().request_payment(request_qris()) == waiting
        assert await world.charges().check_payment(CHECK) == waiting
        captured = await world.reading(SERVICE).settle_sandbox_payment(_paid())
        assert (captured.status, captured.captured, captured.instructions) == ("captured", idr(1000), None)
        assert await world.reading(STAFF).settle_sandbox_payment(_paid()) == captured
        assert await world.charges().check_payment(CHECK) == captured
        assert await world.charges().request_payment(request_qris()) == captured
        assert world.causes() == [
            (None, "created", "saga"),
            ("created", "pending", "provider_answer"),
            ("pending", "captured", "webhook"),
        ]
        assert world.events() == ["payment.pending", "payment.captured"]
        assert world.ledger() == {"orders": -1000, "provider:sandbox": 1000}

    asyncio.run(story())


def test_payment_that_its_customer_failed_is_declined() -> None:
    async def story() -> None:
        world = World()
        await world.charges().request_payment(request_qris())
        declined = await world.reading().settle_sandbox_payment(_paid("failed"))
        assert declined.failure is not None
        assert (declined.status, declined.failure.code) == ("declined", "payment_failed")
        with pytest.raises(SandboxNotWaiting):
            await world.reading().settle_sandbox_payment(_paid())
        assert world.events() == ["payment.pending", "payment.declined"]

    asyncio.run(story())


def test_payment_that_nobody_pays_expires_by_reconciliation() -> None:
    async def story() -> None:
        world = World()
        await world.charges().request_payment(request_qris())
        world.now += timedelta(minutes=10, seconds=5)
        assert await world.reconcile() == 1
        assert world.events() == ["payment.pending", "payment.expired"]
        assert world.causes()[-1] == ("pending", "expired", "reconciliation")
        assert (await world.charges().request_payment(request_qris())).status == "expired"
        with pytest.raises(SandboxNotWaiting):
            await world.reading().settle_sandbox_payment(_paid())
        world.later(seconds=86_400)
        assert await world.reconcile() == 0

    asyncio.run(story())


def test_payment_is_looked_at_ever_less_often_while_nothing_comes() -> None:
    async def story() -> None:
        world, bank = _at_the_bank()
        await world.charges().request_payment(REQUEST.model_copy(update={"expires_at": "2026-11-22T08:30:00.000Z"}))
        for _ in range(24 * 60):
            world.later(seconds=60)
            await world.reconcile()
        assert 25 <= bank.asked.count("look_up") <= 35

    asyncio.run(story())


def test_provider_is_not_asked_for_money_after_the_expiry() -> None:
    async def story() -> None:
        world, bank = _at_the_bank()
        bank.is_down = True
        with pytest.raises(ProviderError):
            await world.charges().request_payment(REQUEST)
        bank.is_down = False
        world.now += timedelta(minutes=11)
        assert (await world.charges().request_payment(REQUEST)).status == "expired"
        assert bank.asked == ["create", "look_up"]
        assert bank.standing == {}

    asyncio.run(story())


def test_details_that_the_method_lacks_are_a_decline_and_no_call() -> None:
    async def story() -> None:
        world, bank = _at_the_bank()
        declined = await world.charges().request_payment(REQUEST.model_copy(update={"bank": None}))
        assert declined.failure is not None
        assert (declined.status, declined.failure.code) == ("declined", "payment_details_invalid")
        assert bank.standing == {}

    asyncio.run(story())


def test_cancelled_payment_of_a_provider_that_can_stop_it_is_over() -> None:
    async def story() -> None:
        world = World()
        await world.charges().request_payment(request_qris())
        assert (await world.charges().cancel_payment(cancel(method="qris"))).status == "cancelled"
        with pytest.raises(SandboxNotWaiting):
            await world.reading().settle_sandbox_payment(_paid())
        world.later(seconds=600)
        assert await world.reconcile() == 0

    asyncio.run(story())


@pytest.mark.parametrize("by_webhook", [True, False])
def test_virtual_account_that_is_paid_after_its_cancellation_is_due_back(by_webhook: bool) -> None:
    async def story() -> None:
        world, bank = _at_the_bank()
        await world.charges().request_payment(REQUEST)
        cancelled = await world.charges().cancel_payment(CANCEL)
        assert (cancelled.status, cancelled.instructions) == ("cancelled", None)
        assert await world.charges().cancel_payment(CANCEL) == cancelled
        bank.standing[ID] = "paid"
        if by_webhook:
            await world.webhooks().receive(told(provider_reference=f"va_{ID}"))
        else:
            world.later(seconds=61)
            assert await world.reconcile() == 1
        late = await world.reading().get_payment(contract.GetPayment(id=ID))
        assert (late.status, late.captured, late.refunded) == ("refund_due", idr(1000), idr(0))
        assert world.events() == [
            "payment.pending",
            "payment.cancelled",
            "payment.captured",
            "payment.refund_due",
        ]
        assert world.ledger() == {"orders": 0, "provider:xendit": 1000, "refunds_due": -1000}
        with pytest.raises(PaymentCancelled):
            await world.charges().request_payment(REQUEST)
        assert await world.charges().cancel_payment(CANCEL) == late

    asyncio.run(story())


def test_payment_that_is_paid_after_its_expiry_is_given_back_where_the_provider_can() -> None:
    async def story() -> None:
        world, bank = _at_the_bank()
        bank.refunds = "done"
        await world.charges().request_payment(REQUEST)
        bank.standing[ID] = "expired"
        assert (await world.charges().check_payment(CHECK)).status == "expired"
        bank.standing[ID] = "paid"
        await world.webhooks().receive(told(reference=ID))
        assert world.events()[1:] == ["payment.expired", "payment.captured", "payment.refunded"]
        assert (world.stored()["status"], world.stored()["cancellation"]) == ("refunded", "paid_after_expired")
        assert world.ledger() == {"orders": 0, "provider:xendit": 0}
        assert list(bank.given_back.values()) == [1000]

    asyncio.run(story())


def test_cancelled_virtual_account_is_watched_for_a_day_after_its_expiry() -> None:
    async def story() -> None:
        world, bank = _at_the_bank()
        await world.charges().request_payment(REQUEST)
        await world.charges().cancel_payment(CANCEL)
        for _ in range(60):
            world.later(seconds=1800)
            await world.reconcile()
        looks = len(bank.asked)
        assert looks > 20
        world.later(seconds=86_400)
        assert await world.reconcile() == 0
        assert len(bank.asked) == looks
        bank.standing[ID] = "paid"
        await world.webhooks().receive(told(reference=ID))
        assert world.stored()["status"] == "refund_due"

    asyncio.run(story())


@pytest.mark.parametrize("by_webhook", [True, False])
def test_refund_that_takes_its_time_is_pending_until_the_provider_says_so(by_webhook: bool) -> None:
    async def story() -> None:
        world, bank = _at_the_bank()
        await world.charges().request_payment(REQUEST)
        bank.standing[ID] = "paid"
        await world.charges().check_payment(CHECK)
        bank.refunds = "slow"
        begun = await world.admin().refund(refund(400, key="a"))
        assert (begun.status, begun.payment.status, begun.payment.refunded) == ("pending", "captured", idr(0))
        assert await world.admin().refund(refund(400, key="a")) == begun.model_copy(update={"replayed": True})
        bank.refunds = "done"
        if by_webhook:
            await world.webhooks().receive(told(refund_reference=f"r_{begun.id}"))
        else:
            # No look is of use before the claim on the refund has run out.
            world.later(seconds=91)
            assert await world.reconcile() == 1
        done = await world.admin().refund(refund(400, key="a"))
        assert (done.id, done.status, done.payment.refunded) == (begun.id, "succeeded", idr(400))
        assert bank.given_back == {begun.id: 400}
        assert world.causes()[-1][-1] == ("webhook" if by_webhook else "reconciliation")

    asyncio.run(story())


def test_refund_that_is_impossible_is_due_and_leaves_the_rest_to_refund() -> None:
    async def story() -> None:
        world, bank = _at_the_bank()
        await world.charges().request_payment(REQUEST)
        bank.standing[ID] = "paid"
        await world.charges().check_payment(CHECK)
        due = await world.admin().refund(refund(400, key="a"))
        assert (due.status, due.payment.status, due.payment.refunded) == ("due", "refund_due", idr(0))
        await world.admin().refund(refund(600, key="b"))
        assert world.ledger() == {"orders": 0, "provider:xendit": 1000, "refunds_due": -1000}

    asyncio.run(story())


def test_sandbox_is_only_where_it_is_and_only_for_whom_it_is() -> None:
    async def story() -> None:
        world, _ = _at_the_bank()
        await world.charges().request_payment(REQUEST)
        with pytest.raises(NotFound):
            await world.reading().settle_sandbox_payment(_paid())
        with pytest.raises(Unauthenticated):
            await world.reading(GUEST).settle_sandbox_payment(_paid())
        for principal in (GUEST, STAFF):
            with pytest.raises(Forbidden):
                await world.charges(principal).check_payment(CHECK)
        other = World()
        await other.charges().request_payment(request_qris())
        other.providers = {}
        with pytest.raises(NotFound):
            await other.reading().settle_sandbox_payment(_paid())
        with pytest.raises(NotFound):
            await other.charges().check_payment(contract.CheckPayment(idempotency_key="nobody's"))

    asyncio.run(story())


def test_health_names_the_providers() -> None:
    async def story() -> None:
        world, _ = _at_the_bank()
        assert (await world.reading().health(Nothing())).providers == ["sandbox", "xendit"]

    asyncio.run(story())


def test_card_is_asked_for_within_an_hour_when_nobody_says() -> None:
    async def story() -> None:
        world = World()
        assert (await world.charges().request_payment(request())).expires_at == "2026-11-21T09:30:00.000Z"

    asyncio.run(story())
