"""Webhooks: verified or refused, kept before they act, harmless when they come twice, late or too early."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from payment.application.ports import ProviderError, WebhookRefused
from payment.application.webhooks import TRIED_FOR
from payment.domain.errors import ProviderNotAvailable, WebhookFailed, WebhookNotFound
from payment.domain.payment import payment_id
from shared_kernel.contracts import payment as contract
from shared_kernel.cursor import InvalidCursor
from shared_kernel.errors import Forbidden, Unauthenticated
from tests.unit.payment.bank import REQUEST, Bank, told
from tests.unit.payment.world import GUEST, SERVICE, Crash, World, go_on, refund, request_qris

ID = payment_id("order-1")


def _at_the_bank() -> tuple[World, Bank]:
    world, bank = World(), Bank()
    world.providers["xendit"] = bank
    return world, bank


async def _waiting() -> tuple[World, Bank]:
    world, bank = _at_the_bank()
    await world.charges().request_payment(REQUEST)
    return world, bank


async def _listed(world: World, status: contract.WebhookStatus | None = None) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = json.loads(
        await world.admin().list_webhooks(contract.ListWebhooks(status=status))
    )["items"]
    return listed


@pytest.mark.parametrize("headers", [{}, {"x-proof": ""}, {"x-proof": "bad"}])
def test_webhook_without_its_proof_changes_nothing_and_is_not_kept(headers: dict[str, str]) -> None:
    async def story() -> None:
        world, bank = await _waiting()
        bank.standing[ID] = "paid"
        before = world.database.stored()
        with pytest.raises(WebhookRefused) as refusal:
            await world.webhooks().receive(told(reference=ID, headers=headers))
        assert isinstance(refusal.value, Unauthenticated)
        assert world.database.stored() == before
        assert bank.asked == ["create"]

    asyncio.run(story())


def test_webhook_of_a_provider_that_is_not_here_is_refused() -> None:
    async def story() -> None:
        world = World()
        with pytest.raises(ProviderNotAvailable):
            await world.webhooks().receive(told(reference=ID))
        assert await _listed(world) == []

    asyncio.run(story())


def test_webhook_that_comes_twice_acts_once() -> None:
    async def story() -> None:
        world, bank = await _waiting()
        bank.standing[ID] = "paid"
        first = await world.webhooks().receive(told(reference=ID))
        assert first.status == "done"
        stored = world.database.stored()
        bank.is_down = True
        assert await world.webhooks().receive(told(reference=ID)) == first
        assert world.database.stored() == stored
        assert world.events() == ["payment.pending", "payment.captured"]

    asyncio.run(story())


def test_webhook_that_came_too_early_and_comes_again_with_the_same_id_has_its_effect() -> None:
    async def story() -> None:
        world, bank = await _waiting()
        early = await world.webhooks().receive(told(reference=ID))
        assert early.status == "done"
        bank.standing[ID] = "paid"
        assert await world.webhooks().receive(told(reference=ID)) == early
        assert world.events() == ["payment.pending", "payment.captured"]

    asyncio.run(story())


def test_webhooks_in_the_wrong_order_change_nothing_more() -> None:
    async def story() -> None:
        world, bank = await _waiting()
        bank.standing[ID] = "paid"
        for event_id in ("paid", "waiting", "expired"):
            assert (await world.webhooks().receive(told(event_id, reference=ID))).status == "done"
        assert world.events() == ["payment.pending", "payment.captured"]

    asyncio.run(story())


@pytest.mark.parametrize("by", ["reference", "provider_reference"])
def test_webhook_that_comes_before_our_answer_was_recorded_is_not_lost(by: str) -> None:
    async def story() -> None:
        world, bank = _at_the_bank()
        bank.loses_answers = True
        with pytest.raises(ProviderError):
            await world.charges().request_payment(REQUEST)
        bank.standing[ID] = "paid"
        sent = told(reference=ID) if by == "reference" else told(provider_reference=f"va_{ID}")
        if by == "reference":
            await world.webhooks().receive(sent)
        else:
            # Only the provider's own reference is told, which we have not heard of: it waits for our look.
            with pytest.raises(WebhookFailed):
                await world.webhooks().receive(sent)
            world.later(seconds=61)
            assert await world.reconcile() == 1
            assert await world.webhooks().run_due() == 1
        assert (world.stored()["status"], world.stored()["provider_reference"]) == ("captured", f"va_{ID}")
        assert [item["status"] for item in await _listed(world)] == ["done"]

    asyncio.run(story())


def test_webhook_whose_look_failed_is_kept_and_can_be_run_again() -> None:
    async def story() -> None:
        world, bank = await _waiting()
        bank.standing[ID], bank.is_down = "paid", True
        with pytest.raises(WebhookFailed):
            await world.webhooks().receive(told(reference=ID))
        (item,) = await _listed(world, "failed")
        assert (item["status"], item["attempts"], item["failure"]) == ("failed", 1, "payment_provider_unavailable")
        run = contract.RunWebhook(id=str(item["id"]))
        with pytest.raises(WebhookFailed):
            await world.admin().run_webhook(run)
        bank.is_down = False
        assert await world.admin().run_webhook(run) == contract.WebhookReceipt(id=run.id, status="done")
        assert world.stored()["status"] == "captured"
        assert await _listed(world, "failed") == []
        (item,) = await _listed(world, "done")
        assert (item["attempts"], "failure" in item) == (3, False)
        with pytest.raises(WebhookNotFound):
            await world.admin().run_webhook(contract.RunWebhook(id="whk_nobody"))
        for principal, kind in ((GUEST, Unauthenticated), (SERVICE, Forbidden)):
            for call in (world.admin(principal).run_webhook(run), world.admin(principal).list_webhooks(PAGE)):
                with pytest.raises(kind):
                    await call

    asyncio.run(story())


PAGE = contract.ListWebhooks(limit=2)


def test_webhook_that_failed_is_run_by_the_cron_with_growing_pauses_until_it_gives_up() -> None:
    async def story() -> None:
        world, bank = await _waiting()
        bank.is_down = True
        with pytest.raises(WebhookFailed):
            await world.webhooks().receive(told(reference=ID))
        attempts_at = []
        for minute in range(4 * 24 * 60):
            asked = len(bank.asked)
            world.later(seconds=60)
            assert await world.webhooks().run_due() == 0
            if len(bank.asked) > asked:
                attempts_at.append(minute + 1)
        assert attempts_at[:5] == [1, 2, 4, 8, 16]
        assert [later - earlier for earlier, later in pairwise(attempts_at)][-1] == 6 * 60
        assert timedelta(minutes=attempts_at[-2]) < TRIED_FOR <= timedelta(minutes=attempts_at[-1])
        bank.is_down = False
        bank.standing[ID] = "paid"
        assert (await world.webhooks().receive(told(reference=ID))).status == "done"

    asyncio.run(story())


def test_webhook_that_its_provider_sends_again_and_again_is_run_as_soon_as_one_that_came_once() -> None:
    async def story() -> None:
        world, bank = await _waiting()
        bank.is_down = True
        for _ in range(20):
            with pytest.raises(WebhookFailed):
                await world.webhooks().receive(told(reference=ID))
        bank.is_down = False
        bank.standing[ID] = "paid"
        world.later(seconds=61)
        assert await world.webhooks().run_due() == 1
        assert world.stored()["status"] == "captured"

    asyncio.run(story())


def test_webhook_about_nothing_of_ours_is_done() -> None:
    async def story() -> None:
        world, bank = await _waiting()
        assert (await world.webhooks().receive(told())).status == "done"
        assert bank.asked == ["create"]
        assert await _listed(world, "failed") == []

    asyncio.run(story())


def test_reference_that_says_more_is_kept_also_when_the_money_was_taken_before() -> None:
    async def story() -> None:
        world, bank = await _waiting()
        bank.standing[ID] = "paid"
        await world.webhooks().receive(told("evt_1", reference=ID))
        await world.webhooks().receive(told("evt_2", reference=ID, provider_reference=f"va_{ID}/receipt"))
        assert world.stored()["provider_reference"] == f"va_{ID}/receipt"
        await world.webhooks().receive(told("evt_3", provider_reference=f"va_{ID}/receipt"))
        await world.webhooks().receive(told("evt_4", reference=ID, provider_reference="another"))
        assert world.stored()["provider_reference"] == f"va_{ID}/receipt"

    asyncio.run(story())


def test_reference_of_a_refund_that_the_webhook_tells_is_what_the_provider_is_asked_with() -> None:
    async def story() -> None:
        world, bank = await _waiting()
        bank.standing[ID] = "paid"
        await world.webhooks().receive(told("evt_1", reference=ID))
        bank.refunds = "slow"
        begun = await world.admin().refund(refund(1000, key="a"))
        bank.refunds = "by_reference"
        await world.webhooks().receive(told("evt_2", refund_key=begun.id, refund_reference="failed:1"))
        assert (await world.payment()).refunds[0].detail == "failed:1"
        assert world.stored()["status"] == "refund_due"

    asyncio.run(story())


def test_dispute_is_recorded_after_the_capture_that_it_is_about() -> None:
    async def story() -> None:
        world, bank = await _waiting()
        with pytest.raises(WebhookFailed):
            await world.webhooks().receive(told(reference=ID, disputed=True))
        bank.standing[ID], bank.dispute = "paid", "open"
        world.later(seconds=61)
        assert await world.webhooks().run_due() == 1
        assert world.events() == ["payment.pending", "payment.captured", "payment.disputed"]
        await world.webhooks().receive(told("evt_2", reference=ID, disputed=True))
        assert world.stored()["status"] == "disputed"
        assert world.ledger() == {"orders": -1000, "provider:xendit": 1000}

    asyncio.run(story())


def test_body_is_kept_as_it_came_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        world, bank = await _waiting()
        bank.is_down = True
        secret = "Sari Wulandari"
        sent = told(reference=ID)
        odd = sent.model_copy(update={"body": f'{{"event_id": "{secret}", \t"reference": "{ID}"}}'})
        with caplog.at_level(logging.DEBUG), pytest.raises(WebhookFailed) as failure:
            await world.webhooks().receive(odd)
        assert [row["body"] for row in world.database.look("SELECT body FROM webhooks")] == [odd.body]
        assert secret not in caplog.text + str(failure.value) + repr(odd)

    asyncio.run(story())


def test_list_pages_newest_first_and_its_cursor_is_its_own() -> None:
    async def story() -> None:
        world, _ = await _waiting()
        for number in range(5):
            world.later(seconds=number % 2)
            await world.webhooks().receive(told(f"evt_{number}", reference=ID))
        seen: list[str] = []
        cursor = None
        for _ in range(3):
            page = json.loads(await world.admin().list_webhooks(contract.ListWebhooks(limit=2, cursor=cursor)))
            seen += [item["event_id"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert cursor is None
        assert sorted(seen) == [f"evt_{number}" for number in range(5)]
        assert seen[-1] == "evt_0"
        with pytest.raises(InvalidCursor):
            await world.admin().list_webhooks(contract.ListWebhooks(cursor="abc"))

    asyncio.run(story())


def _crash_at(step: int) -> Callable[[], Awaitable[None]]:
    left = step

    async def hook() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Crash

    return hook


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("is_sent_again", [True, False])
def test_webhook_that_crashed_anywhere_has_its_effect_in_the_end(after: bool, is_sent_again: bool) -> None:
    async def story() -> None:
        for step in range(1, 20):
            world, bank = await _waiting()
            bank.standing[ID] = "paid"
            if after:
                world.database.after_step = _crash_at(step)
            else:
                world.database.before_step = _crash_at(step)
            try:
                await world.webhooks().receive(told(reference=ID))
            except (Crash, WebhookFailed):
                pass
            else:
                assert step > 3
                return
            world.database.before_step = world.database.after_step = go_on
            if is_sent_again:
                assert (await world.webhooks().receive(told(reference=ID))).status == "done"
            world.later(seconds=61)
            await world.webhooks().run_due()
            await world.reconcile()
            assert world.events() == ["payment.pending", "payment.captured"]
            assert world.ledger() == {"orders": -1000, "provider:xendit": 1000}
            assert await _listed(world, "failed") == await _listed(world, "received") == []
        raise AssertionError("the webhook has more steps than were tried")

    asyncio.run(story())


def test_sandbox_webhook_goes_through_the_same_gate() -> None:
    async def story() -> None:
        world = World()
        await world.charges().request_payment(request_qris())
        sent = await world.sandbox.settle((await world.payment()).charge, "paid")
        deliver = contract.DeliverWebhook(provider="sandbox", headers=dict(sent.headers), body=sent.body)
        with pytest.raises(WebhookRefused):
            await world.webhooks().receive(deliver.model_copy(update={"headers": {}}))
        assert world.stored()["status"] == "pending"
        await world.webhooks().receive(deliver)
        assert world.stored()["status"] == "captured"

    asyncio.run(story())
