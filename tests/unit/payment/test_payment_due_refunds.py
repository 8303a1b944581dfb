"""What staff see of refunds, and how they record one that they paid by hand."""

import asyncio
import json
from datetime import timedelta

import pytest

from payment.application.webhooks import MOST_FORGOTTEN, forget_bodies
from payment.domain.errors import (
    IdempotencyKeyReused,
    PaymentDisputed,
    RefundAlreadySettled,
    RefundNotDue,
    RefundNotFound,
)
from payment.domain.payment import payment_id
from payment.infrastructure.d1_webhooks import D1Webhooks
from shared_kernel.contracts import payment as contract
from shared_kernel.cursor import InvalidCursor
from shared_kernel.errors import Forbidden, Unauthenticated
from tests.unit.payment.bank import REQUEST, Bank, told
from tests.unit.payment.world import GUEST, SERVICE, START, World, idr, refund, request

ID = payment_id("order-1")


async def _due(*amounts_minor: int) -> tuple[World, Bank, list[str]]:
    """A payment by virtual account with such refunds, which its bank cannot make."""
    world, bank = World(), Bank()
    world.providers["xendit"] = bank
    await world.charges().request_payment(REQUEST)
    bank.standing[ID] = "paid"
    await world.webhooks().receive(told("evt_paid", reference=ID))
    made = []
    for number, amount_minor in enumerate(amounts_minor):
        world.later(seconds=number % 2)
        made.append((await world.admin().refund(refund(amount_minor, key=f"key-{number}"))).id)
    return world, bank, made


def _settle(refund_id: str, key: str = "a", **more: str) -> contract.SettleRefund:
    return contract.SettleRefund(
        refund_id=refund_id, idempotency_key=key, **{"reference": "bank transfer 123", **more}
    )  # fmt: skip


async def _listed(world: World, status: contract.RefundStatus | None = None) -> list[dict[str, object]]:
    items: list[dict[str, object]] = json.loads(await world.admin().list_refunds(contract.ListRefunds(status=status)))[
        "items"
    ]
    return items


def test_due_refund_that_was_paid_by_hand_is_settled_once() -> None:
    async def story() -> None:
        world, _, (first, second) = await _due(300, 700)
        settled = await world.admin().settle_refund(_settle(first, note="by the branch in Bandung"))
        assert (settled.status, settled.paid_by_hand, settled.replayed) == ("succeeded", "bank transfer 123", False)
        assert (settled.payment.status, settled.payment.refunded) == ("refund_due", idr(300))
        again = await world.admin().settle_refund(_settle(first, note="by the branch in Bandung"))
        assert again == settled.model_copy(update={"replayed": True})
        last = await world.admin().settle_refund(_settle(second))
        assert (last.payment.status, last.payment.refunded) == ("refunded", idr(1000))
        assert world.events()[-2:] == ["payment.refunded", "payment.refunded"]
        assert world.ledger() == {"orders": 0, "paid_by_hand": -1000, "provider:xendit": 1000, "refunds_due": 0}
        assert world.causes()[-1] == ("refund_due", "refunded", "staff staff")

    asyncio.run(story())


def test_settlement_that_cannot_be_is_refused_and_changes_nothing() -> None:
    async def story() -> None:
        world, bank, (first, second) = await _due(300, 200)
        await world.charges().request_payment(request(key="order-2"))
        done = await world.admin().refund(refund(100, key="a", of="order-2"))
        await world.admin().settle_refund(_settle(first))
        before = world.database.stored()
        for wrong, kind in (
            (_settle(first, key="b"), RefundAlreadySettled),
            (_settle(first, reference="another"), IdempotencyKeyReused),
            (_settle(first, note="another"), IdempotencyKeyReused),
            (_settle(done.id), RefundNotDue),
            (_settle("rfd_nobody"), RefundNotFound),
        ):
            with pytest.raises(kind):
                await world.admin().settle_refund(wrong)
        assert world.database.stored() == before
        bank.dispute = "open"
        await world.webhooks().receive(told("evt_disputed", reference=ID, disputed=True))
        with pytest.raises(PaymentDisputed):
            await world.admin().settle_refund(_settle(second))
        # What was recorded before the dispute is still answered.
        assert (await world.admin().settle_refund(_settle(first))).replayed

    asyncio.run(story())


def test_only_staff_see_and_settle_refunds() -> None:
    async def story() -> None:
        world, _, (first,) = await _due(300)
        for principal, kind in ((GUEST, Unauthenticated), (SERVICE, Forbidden)):
            for call in (
                world.admin(principal).settle_refund(_settle(first)),
                world.admin(principal).list_refunds(contract.ListRefunds()),
            ):
                with pytest.raises(kind):
                    await call

    asyncio.run(story())


def test_item_says_what_staff_need_to_pay_it() -> None:
    async def story() -> None:
        world, _, (first,) = await _due(300)
        expected: dict[str, object] = {
            "id": first, "payment_id": ID, "order_id": "ord_1", "provider": "xendit", "method": "virtual_account",
            "amount": {"amount": 300, "currency": "IDR"}, "reason": "damaged", "kind": "refund", "status": "due",
            "detail": "a virtual account has no way back", "created_at": "2026-11-21T08:30:00.000Z",
        }  # fmt: skip
        assert await _listed(world, "due") == await _listed(world) == [expected]
        await world.admin().settle_refund(_settle(first))
        assert await _listed(world, "due") == []
        (item,) = await _listed(world, "succeeded")
        assert (item["paid_by_hand"], "detail" in item) == ("bank transfer 123", False)

    asyncio.run(story())


def test_due_refunds_are_paged_oldest_first_and_all_newest_first() -> None:
    async def story() -> None:
        world, _, made = await _due(100, 100, 100, 100, 100)

        async def pages(status: contract.RefundStatus | None) -> list[str]:
            seen, cursor = [], None
            for _ in range(3):
                asked = contract.ListRefunds(status=status, limit=2, cursor=cursor)
                page = json.loads(await world.admin().list_refunds(asked))
                seen += [item["id"] for item in page["items"]]
                cursor = page["next_cursor"]
            assert cursor is None
            return seen

        oldest_first = await pages("due")
        assert sorted(oldest_first) == sorted(made)
        times = [str(item["created_at"]) for item in await _listed(world, "due")]
        assert times == sorted(times)
        assert await pages(None) == oldest_first[::-1]
        assert await pages("pending") == []
        first = json.loads(await world.admin().list_refunds(contract.ListRefunds(status="due", limit=2)))
        for status, cursor in (("pending", first["next_cursor"]), ("due", "abc")):
            with pytest.raises(InvalidCursor):
                await world.admin().list_refunds(
                    contract.ListRefunds.model_validate({"status": status, "cursor": cursor})
                )

    asyncio.run(story())


def test_bodies_of_webhooks_are_forgotten_after_their_time_and_the_webhooks_known_again() -> None:
    async def story() -> None:
        world, bank, _ = await _due()
        book = D1Webhooks(world.database)
        for number in range(MOST_FORGOTTEN + 4):
            await world.webhooks().receive(told(f"evt_{number}", reference=ID))
        bank.is_down = True
        with pytest.raises(Exception, match="kept"):
            await world.webhooks().receive(told("evt_failed", disputed=True, reference=ID))
        left = "SELECT event_id FROM webhooks WHERE body <> '' ORDER BY event_id"
        now = START + timedelta(days=90)
        assert await forget_bodies(book, now, 90) == 0
        later = now + timedelta(seconds=2)
        assert [await forget_bodies(book, later, 90) for _ in range(3)] == [MOST_FORGOTTEN, 5, 0]
        assert world.database.look(left) == [{"event_id": "evt_failed"}]
        stored = world.database.stored()
        assert (await world.webhooks().receive(told("evt_3", reference=ID))).status == "done"
        assert world.database.stored() == stored

    asyncio.run(story())
