"""Payments of mixed fate: whatever happens in whatever order, the books say what the provider's book says."""

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from payment.domain.payment import payment_id
from shared_kernel.errors import DomainError
from tests.unit.payment.bank import REQUEST, Bank, told
from tests.unit.payment.world import World, cancel, refund

CANCEL = cancel(provider="xendit", method="virtual_account")
ID = payment_id("order-1")
ACTS = (
    "request", "cancel", "the customer pays", "the account expires", "webhook", "the same webhook", "forged webhook",
    "reconcile", "staff refunds", "the same refund", "bank goes down", "bank comes back", "answers get lost",
    "refunds become slow", "refunds become possible", "time passes",
)  # fmt: skip


async def _act(act: str, number: int, world: World, bank: Bank) -> None:
    match act:
        case "request":
            await world.charges().request_payment(REQUEST)
        case "cancel":
            await world.charges().cancel_payment(CANCEL)
        case "the customer pays":
            bank.standing = {each: "paid" if how == "waiting" else how for each, how in bank.standing.items()}
        case "the account expires":
            bank.standing = {each: "expired" if how == "waiting" else how for each, how in bank.standing.items()}
        case "webhook" | "the same webhook":
            event_id = "evt" if act == "the same webhook" else f"evt_{number}"
            await world.webhooks().receive(told(event_id, reference=ID))
        case "forged webhook":
            await world.webhooks().receive(told(f"evt_{number}", reference=ID, headers={}))
        case "reconcile":
            world.later(seconds=61)
            await world.reconcile()
            await world.webhooks().run_due()
        case "staff refunds" | "the same refund":
            key = "again" if act == "the same refund" else f"refund-{number}"
            await world.admin().refund(refund(300, key=key, of="order-1"))
        case "bank goes down":
            bank.is_down = True
        case "bank comes back":
            bank.is_down, bank.loses_answers = False, False
        case "answers get lost":
            bank.loses_answers = True
        case "refunds become slow":
            bank.refunds = "slow"
        case "refunds become possible":
            bank.refunds = "done"
        case "time passes":
            world.later(seconds=400)


async def _until_quiet(world: World) -> None:
    for _ in range(40):
        world.later(seconds=3601)
        await world.reconcile()
        await world.webhooks().run_due()


@settings(deadline=None, max_examples=300)
@given(acts=st.lists(st.sampled_from(ACTS), max_size=25))
def test_books_agree_with_the_providers_after_any_fate(acts: list[str]) -> None:
    async def story() -> None:
        world, bank = World(), Bank()
        world.providers["xendit"] = bank
        for number, act in enumerate(acts):
            try:
                await _act(act, number, world, bank)
            except DomainError:
                continue
        bank.is_down = bank.loses_answers = False
        bank.refunds = "done" if bank.refunds == "slow" else bank.refunds
        await _until_quiet(world)
        stored = world.database.look("SELECT * FROM payments")
        ledger = world.ledger()
        taken_minor = 1000 if bank.standing.get(ID) == "paid" else 0
        given_minor = sum(bank.given_back.values())
        assert ledger.get("provider:xendit", 0) == taken_minor - given_minor
        assert sum(ledger.values()) == 0
        assert given_minor - ledger.get("refunds_due", 0) <= taken_minor
        for row in stored:
            assert row["captured_minor"] == taken_minor
            assert row["refunded_minor"] == given_minor
            if row["cancellation"] is not None and taken_minor:
                # All that is left of what was given up is on its way back, or owed.
                assert ledger.get("orders", 0) == 0
            assert row["status"] not in ("created", "pending") or bank.standing.get(ID) == "waiting"
        assert world.database.look("SELECT 1 FROM refunds WHERE status = 'pending'") == []
        events = world.events()
        assert events.count("payment.captured") == bool(taken_minor)
        assert events.count("payment.refunded") == len(bank.given_back)
        kept = [json.loads(str(row["notice"]))["event_id"] for row in world.database.look("SELECT * FROM webhooks")]
        assert len(kept) == len(set(kept))

    asyncio.run(story())
