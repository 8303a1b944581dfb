"""Payments of mixed fate: whatever happens in whatever order, the books say what the provider's book says."""

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from payment.domain.payment import payment_id
from shared_kernel.contracts import payment as contract
from shared_kernel.errors import DomainError
from tests.unit.payment.bank import REQUEST, Bank, told
from tests.unit.payment.world import World, cancel, refund

CANCEL = cancel(provider="xendit", method="virtual_account")
ID = payment_id("order-1")
ACTS = (
    "request", "cancel", "the customer pays", "the account expires", "webhook", "the same webhook", "forged webhook",
    "reconcile", "staff refunds", "the same refund", "bank goes down", "bank comes back", "answers get lost",
    "refunds become slow", "refunds become possible", "time passes", "the customer disputes", "the dispute is won",
    "the dispute is lost", "dispute webhook", "a refund fails", "refund webhook", "staff pay by hand",
)  # fmt: skip
# What can happen once the money is there: a fate that begins with it comes to these, one from all acts hardly ever.
PAID = ["request", "the customer pays", "webhook"]
AFTERWARDS = (
    "cancel", "reconcile", "staff refunds", "the same refund", "bank goes down", "bank comes back",
    "answers get lost", "refunds become slow", "refunds become possible", "the customer disputes",
    "the dispute is won", "the dispute is lost", "dispute webhook", "dispute webhook", "a refund fails",
    "refund webhook", "staff pay by hand",
)  # fmt: skip
FATES = st.one_of(
    st.lists(st.sampled_from(ACTS), max_size=25),
    st.tuples(
        st.sampled_from([PAID, [*PAID, "refunds become possible"]]),
        st.lists(st.sampled_from(AFTERWARDS), min_size=5, max_size=25),
    ).map(lambda parts: [*parts[0], *parts[1]]),
)


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
        case "dispute webhook":
            await world.webhooks().receive(told(f"evt_{number}", reference=ID, disputed=True))
        case "refund webhook":
            await _tell_of_refunds(world, number)
        # Who pays by hand what a dispute takes at the same time pays twice: that is for people to sort out.
        case "staff pay by hand" if bank.dispute in ("none", "won"):
            for refund_id in [each.id for each in (await world.changes().get(ID)).refunds if each.status == "due"][:1]:
                settle = contract.SettleRefund(refund_id=refund_id, idempotency_key=f"hand-{number}", reference="123")
                await world.admin().settle_refund(settle)
        case _:
            await _act_at_bank(act, world, bank)


async def _act_at_bank(act: str, world: World, bank: Bank) -> None:
    is_open = bank.dispute == "open"
    match act:
        case "the customer disputes" if bank.standing.get(ID) == "paid" and bank.dispute == "none":
            bank.dispute = "open" if sum(bank.given_back.values()) < 1000 else "none"
        case "the dispute is won" if is_open:
            bank.dispute = "won"
        case "the dispute is lost" if is_open and not _paid_by_hand(world):
            left = 1000 - sum(bank.given_back.values())
            bank.dispute = left if left > 0 else "won"
        case "a refund fails":
            for refund_id in list(bank.given_back)[:1]:
                bank.fail_refund(refund_id)


async def _tell_of_refunds(world: World, number: int) -> None:
    for each in (await world.changes().get(ID)).refunds:
        await world.webhooks().receive(told(f"evt_{number}_{each.id}", reference=ID, refund_reference=each.id))


def _paid_by_hand(world: World) -> int:
    (row,) = world.database.look(
        "SELECT coalesce(sum(amount_minor), 0) AS minor FROM refunds WHERE settlement IS NOT NULL"
    )
    return int(str(row["minor"]))


async def _until_quiet(world: World) -> None:
    for _ in range(40):
        world.later(seconds=3601)
        await world.reconcile()
        await world.webhooks().run_due()


@settings(deadline=None, max_examples=400)
@given(acts=FATES)
def test_books_agree_with_the_providers_after_any_fate(acts: list[str]) -> None:
    async def story() -> None:
        world, bank = World(), Bank()
        world.providers["xendit"] = bank
        for number, act in enumerate(acts):
            try:
                await _act(act, number, world, bank)
            except DomainError:
                continue
        await _tell_all(world, bank)
        await _until_quiet(world)
        taken_minor = 1000 if bank.standing.get(ID) == "paid" else 0
        given_minor, hand_minor = sum(bank.given_back.values()), _paid_by_hand(world)
        lost_minor = bank.dispute if isinstance(bank.dispute, int) else 0
        ledger = world.ledger()
        assert ledger.get("provider:xendit", 0) == taken_minor - given_minor - lost_minor
        assert (ledger.get("paid_by_hand", 0), ledger.get("chargebacks", 0)) == (-hand_minor, lost_minor)
        assert sum(ledger.values()) == 0
        assert given_minor + lost_minor + hand_minor - ledger.get("refunds_due", 0) <= taken_minor
        for row in world.database.look("SELECT * FROM payments"):
            assert row["captured_minor"] == taken_minor
            assert row["refunded_minor"] == given_minor + lost_minor + hand_minor
            if row["cancellation"] is not None and taken_minor and row["status"] != "disputed":
                # All that is left of what was given up is on its way back, or owed.
                assert ledger.get("orders", 0) == -lost_minor
            assert row["status"] not in ("created", "pending") or bank.standing.get(ID) == "waiting"
            if row["status"] == "disputed":
                assert bank.dispute == "open"
            elif bank.dispute == "open":
                # Of what was given back as a whole a dispute is not recorded, be it that a refund of it failed later.
                assert row["refunded_minor"] == taken_minor or bank.failed_refunds
        _assert_told(world, bank, lost_minor)

    asyncio.run(story())


async def _tell_all(world: World, bank: Bank) -> None:
    """The bank works again, and tells once more what it may have told in vain."""
    bank.is_down = bank.loses_answers = False
    bank.refunds = "done" if bank.refunds == "slow" else bank.refunds
    await _until_quiet(world)
    if world.database.look("SELECT 1 FROM payments"):
        if bank.dispute != "none":
            await world.webhooks().receive(told("evt_last", reference=ID, disputed=True))
        await _tell_of_refunds(world, 99)


def _assert_told(world: World, bank: Bank, lost_minor: int) -> None:
    open_refunds = world.database.look("SELECT 1 FROM refunds WHERE status = 'pending'")
    assert not open_refunds or bank.dispute == "open"
    events = world.events()
    assert events.count("payment.captured") == (bank.standing.get(ID) == "paid")
    by_hand = world.database.look("SELECT 1 FROM refunds WHERE settlement IS NOT NULL")
    # One that failed is told as made before only where we had heard of it.
    unheard = events.count("payment.refunded") - len(bank.given_back) - len(by_hand) - bool(lost_minor)
    assert 0 <= unheard <= len(bank.failed_refunds)
    kept = [json.loads(str(row["notice"]))["event_id"] for row in world.database.look("SELECT * FROM webhooks")]
    assert len(kept) == len(set(kept))
