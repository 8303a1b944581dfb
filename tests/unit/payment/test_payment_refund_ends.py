"""How refunds and disputes end: by hand, by the provider taking its word back, won, lost, and in any order of these."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payment.domain.charge import Captured, Chargeback, RefundDone, RefundImpossible, RefundPending
from payment.domain.errors import (
    IdempotencyKeyReused,
    IllegalChange,
    NotRefundable,
    PaymentDisputed,
    RefundAlreadySettled,
    RefundNotDue,
)
from payment.domain.events import told_by
from payment.domain.ledger import transfers
from payment.domain.looks import next_look
from payment.domain.payment import Payment
from payment.domain.refund import Settlement
from payment.infrastructure.d1 import D1Payments
from shared_kernel.errors import DomainError
from shared_kernel.money import Money
from tests.unit.payment.test_payment_state_machine import EXPIRY, SAME, STATUSES, assert_leads
from tests.unit.payment.world import START, SteppedDatabase, World, idr

HAND = Settlement("stl_1", "bank transfer 123")


def _lost(amount_minor: int, dispute: str = "dp_1") -> Chargeback:
    return Chargeback(dispute, idr(amount_minor))


FURTHER: dict[str, Payment] = STATUSES | {
    "paid by hand": STATUSES["refund_due"].refund_paid_by_hand("rfd_0", HAND, START),
    "failed": STATUSES["partially_refunded"].refund_failed("rfd_0", "account closed", START),
    "charged back": STATUSES["disputed"].charged_back(_lost(1000), START),
    "disputed, refund due": STATUSES["refund_due"].disputed(START),
}
COMMANDS: dict[str, Callable[[Payment], Payment]] = {
    "end the dispute": lambda payment: payment.dispute_ended(START),
    "charge back 700": lambda payment: payment.charged_back(_lost(700), START),
    "charge back 1000": lambda payment: payment.charged_back(_lost(1000), START),
    "fail a refund": lambda payment: payment.refund_failed("rfd_0", "account closed", START),
    "pay by hand": lambda payment: payment.refund_paid_by_hand("rfd_0", HAND, START),
}
_NOT_HELD: list[str | type[Exception]] = [SAME, IllegalChange, IllegalChange, IllegalChange, IllegalChange]
_WITHOUT_REFUND: list[str | type[Exception]] = [SAME, "partially_refunded", "refunded", IllegalChange, IllegalChange]
EXPECTED: dict[str, list[str | type[Exception]]] = {
    **dict.fromkeys(STATUSES, _NOT_HELD),
    "captured": _WITHOUT_REFUND,
    "captured, cancelling": _WITHOUT_REFUND,
    "partially_refunded": [SAME, "refunded", IllegalChange, "refund_due", RefundNotDue],
    "partially_refunded, cancelling": [SAME, "refunded", IllegalChange, "refund_due", RefundNotDue],
    "refunded": [SAME, IllegalChange, IllegalChange, "refund_due", RefundNotDue],
    # A refund of which nothing is left after the chargeback is withdrawn.
    "refund_due": [SAME, "partially_refunded", "refunded", SAME, "refunded"],
    "refund_due, part": [SAME, "refund_due", "refunded", SAME, "partially_refunded"],
    "disputed": ["captured", "disputed", "refunded", IllegalChange, IllegalChange],
    "paid by hand": [SAME, IllegalChange, IllegalChange, IllegalChange, SAME],
    "failed": [SAME, "refund_due", "refunded", SAME, "partially_refunded"],
    "charged back": [SAME, IllegalChange, SAME, IllegalChange, IllegalChange],
    "disputed, refund due": ["refund_due", "disputed", "refunded", SAME, PaymentDisputed],
}
CASES = [
    (status, command, outcome)
    for status, outcomes in EXPECTED.items()
    for command, outcome in zip(COMMANDS, outcomes, strict=True)
]


@pytest.mark.parametrize(("status", "command", "expected"), CASES)
def test_command_leads_where_the_table_says(status: str, command: str, expected: str | type[Exception]) -> None:
    assert_leads(COMMANDS[command], FURTHER[status], expected)


def test_refund_is_paid_by_hand_once_and_by_one_request() -> None:
    paid = FURTHER["paid by hand"]
    assert (paid.status, paid.refunded, paid.refunds[0].settlement, paid.refunds[0].detail) == (
        "refunded",
        idr(1000),
        HAND,
        None,
    )
    for other, refusal in (
        (replace(HAND, reference="another"), IdempotencyKeyReused),
        (replace(HAND, note="a note"), IdempotencyKeyReused),
        (replace(HAND, id="stl_2"), RefundAlreadySettled),
    ):
        with pytest.raises(refusal):
            paid.refund_paid_by_hand("rfd_0", other, START)
    # The provider made it all the same: somebody has to see that the customer was paid twice.
    with pytest.raises(IllegalChange):
        paid.refund_settled("rfd_0", RefundDone("r_0"), START)


def test_dispute_that_is_won_leads_back_to_where_the_refunds_stand() -> None:
    for before in ("captured", "partially_refunded", "refund_due", "refund_due, part"):
        won = STATUSES[before].disputed(START).dispute_ended(START)
        assert replace(won, version=0) == replace(STATUSES[before], version=0)
        assert told_by(STATUSES[before].disputed(START), won) is None


def test_dispute_that_is_lost_takes_the_money_and_says_so() -> None:
    disputed = STATUSES["partially_refunded"].disputed(START)
    lost = disputed.charged_back(_lost(700), START)
    assert (lost.status, lost.refunded, lost.refundable) == ("refunded", idr(1000), idr(0))
    assert (lost.refunds[-1].kind, lost.refunds[-1].provider_reference) == ("chargeback", "dp_1")
    told = told_by(disputed, lost)
    assert told is not None
    kind, data = told
    assert (kind, data["status"], data["refunded"]) == (
        "payment.refunded",
        "refunded",
        {"amount": 1000, "currency": "IDR"},
    )
    assert isinstance(data["refund"], dict)
    assert data["refund"]["kind"] == "chargeback"
    with pytest.raises(NotRefundable):
        lost.refunding("rfd_9", idr(1), "damaged", START)


def test_loss_is_recorded_once_and_never_for_more_than_is_held() -> None:
    lost = STATUSES["disputed"].charged_back(_lost(300), START)
    assert lost.charged_back(_lost(300), START) is lost
    assert (lost.knows(_lost(300)), lost.knows(_lost(300, "dp_2"))) == (True, False)
    for wrong in (
        _lost(301),
        _lost(701, "dp_2"),
        _lost(0, "dp_2"),
        Chargeback("dp_2", Money(amount=1, currency="USD")),
    ):
        with pytest.raises(IllegalChange):
            lost.charged_back(wrong, START)
    assert lost.charged_back(_lost(700, "dp_2"), START).status == "refunded"


def test_what_has_no_room_beside_a_chargeback_is_withdrawn_the_surest_last() -> None:
    payment = STATUSES["captured"]
    for refund_id, amount_minor in (("rfd_due", 200), ("rfd_unsent", 200), ("rfd_sent", 200)):
        payment = payment.refunding(refund_id, idr(amount_minor), "damaged", START)
    payment = payment.refund_settled("rfd_due", RefundImpossible("no"), START)
    payment = payment.refund_settled("rfd_sent", RefundPending("r_1"), START).disputed(START)

    def left(lost_minor: int) -> list[str]:
        return [refund.id for refund in payment.charged_back(_lost(lost_minor), START).refunds if refund.is_open]

    assert left(400) == ["rfd_due", "rfd_unsent", "rfd_sent"]
    assert left(401) == left(600) == ["rfd_unsent", "rfd_sent"]
    assert left(601) == ["rfd_sent"]
    assert left(1000) == []
    with pytest.raises(IllegalChange):
        payment.charged_back(_lost(1000), START).refund_settled("rfd_sent", RefundDone("r_1"), START)


def test_cancelled_payment_gives_back_after_the_dispute_what_that_has_left() -> None:
    disputed = STATUSES["captured"].disputed(START).cancelling("late", START)
    assert (disputed.is_cancelled, disputed.owes_the_rest, disputed.is_passing) == (True, False, True)
    assert disputed.returning_the_rest(START) is disputed
    won = disputed.dispute_ended(START).returning_the_rest(START)
    assert [refund.amount for refund in won.pending_refunds] == [idr(1000)]
    # The second dispute takes a part, so that the refund of the rest begins anew.
    again = won.disputed(START).charged_back(_lost(300), START).dispute_ended(START)
    assert (again.status, again.owes_the_rest) == ("partially_refunded", True)
    rest = again.returning_the_rest(START)
    assert [refund.amount for refund in rest.pending_refunds] == [idr(700)]
    assert len({refund.id for refund in rest.refunds}) == 3


def test_refund_is_held_while_the_payment_is_disputed_unless_the_provider_has_taken_it_on() -> None:
    begun = STATUSES["captured"].refunding("rfd_0", idr(400), "damaged", START)
    (refund,) = begun.refunds
    assert (begun.holds_back(refund), begun.disputed(START).holds_back(refund)) == (False, True)
    taken_on = begun.refund_settled("rfd_0", RefundPending("r_0"), START).disputed(START)
    assert taken_on.holds_back(taken_on.refunds[0]) is False


def test_refund_that_failed_after_it_was_done_is_due_and_told() -> None:
    done = STATUSES["refunded"]
    failed = done.refund_failed("rfd_1", "account closed", START)
    assert (failed.status, failed.refunded, failed.refunds[1].detail) == ("refund_due", idr(300), "account closed")
    assert failed.refund_failed("rfd_1", "again", START) is failed
    told = told_by(done, failed)
    assert told is not None
    assert told[0] == "payment.refund_due"
    # Two who ask at once: the answer to the slower one, that the refund is there already, is no failure.
    with pytest.raises(IllegalChange):
        done.refund_settled("rfd_1", RefundImpossible("it was refunded already"), START)


def test_disputed_payment_is_looked_at_with_pauses_up_to_a_day() -> None:
    pauses = [next_look(STATUSES["disputed"], looks, EXPIRY) for looks in (0, 5, 9, 11, 40)]
    assert [at and int((at - EXPIRY).total_seconds()) // 60 for at in pauses] == [1, 32, 512, 1440, 1440]


def test_ledger_says_where_the_money_went() -> None:
    def moved(before: Payment, after: Payment) -> list[tuple[str, str, int]]:
        return [(each.from_account, each.to_account, each.amount.amount) for each in transfers(before, after)]

    due, disputed = STATUSES["refund_due, part"], STATUSES["refund_due, part"].disputed(START)
    by_hand = due.refund_paid_by_hand("rfd_0", HAND, START)
    done = due.refund_settled("rfd_0", RefundDone("r_0"), START)
    failed = done.refund_failed("rfd_0", "account closed", START)
    assert moved(due, by_hand) == [("paid_by_hand", "refunds_due", 300)]
    assert moved(due, done) == [("provider:sandbox", "refunds_due", 300)]
    assert moved(done, failed) == [("refunds_due", "provider:sandbox", 300)]
    assert moved(disputed, disputed.charged_back(_lost(1000), START)) == [
        ("orders", "refunds_due", 300),
        ("provider:sandbox", "chargebacks", 1000),
    ]
    assert moved(disputed, disputed.dispute_ended(START)) == []
    again = failed.refund_settled("rfd_0", RefundDone("r_0"), START)
    ids = [
        each.id for before, after in ((due, done), (done, failed), (failed, again)) for each in transfers(before, after)
    ]
    assert len(set(ids)) == 3


class _Money:
    """Where the money is, counted beside the domain by what was said to it."""

    def __init__(self) -> None:
        self.provider = self.by_hand = self.lost = self.due = 0

    def balances(self) -> dict[str, int]:
        told = {
            "orders": self.due + self.by_hand - self.provider - self.lost,
            "provider:sandbox": self.provider,
            "paid_by_hand": -self.by_hand,
            "chargebacks": self.lost,
            "refunds_due": -self.due,
        }
        return {account: balance for account, balance in told.items() if balance}


ACTS = (
    "refund", "refund", "done", "pending", "impossible", "failed", "by hand", "cancel", "return the rest", "dispute",
    "lose a part", "lose the rest", "win",
)  # fmt: skip
_Act = tuple[str, int, int]


def _acted(act: _Act, number: int, payment: Payment) -> Payment:
    kind, which, amount_minor = act
    refund_id = payment.refunds[which % len(payment.refunds)].id if payment.refunds else "rfd_none"
    match kind:
        case "refund":
            return payment.refunding(f"rfd_{number}", idr(amount_minor), "damaged", START)
        case "done":
            return payment.refund_settled(refund_id, RefundDone(f"r_{refund_id}"), START)
        case "pending":
            return payment.refund_settled(refund_id, RefundPending(f"r_{refund_id}"), START)
        case "impossible":
            return payment.refund_settled(refund_id, RefundImpossible("no"), START)
        case "failed":
            return payment.refund_failed(refund_id, "account closed", START)
        case "by hand":
            return payment.refund_paid_by_hand(refund_id, Settlement(f"stl_{number}", "123"), START)
        case "cancel":
            return payment.cancelling("late", START)
        case "return the rest":
            return payment.returning_the_rest(START)
        case "dispute":
            return payment.disputed(START)
        case "lose a part":
            return payment.charged_back(_lost(amount_minor, f"dp_{number}"), START)
        case "lose the rest":
            held = payment.captured - payment.refunded
            return payment.charged_back(Chargeback(f"dp_{number}", held), START)
        case _:
            return payment.dispute_ended(START)


def _count(money: _Money, before: Payment, after: Payment) -> None:
    money.due = sum(refund.amount.amount for refund in after.refunds if refund.status == "due")
    for refund in after.refunds:
        known = before.refund(refund.id)
        sign = (refund.status == "succeeded") - (known is not None and known.status == "succeeded")
        amount = sign * refund.amount.amount
        if refund.settlement is not None:
            money.by_hand += amount
        else:
            money.provider -= amount
            money.lost += amount if refund.kind == "chargeback" else 0


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 9), st.integers(1, 700)), max_size=30))
def test_ledger_balances_through_disputes_reversals_and_settlements_by_hand(acts: list[_Act]) -> None:
    async def story() -> None:
        world, money = World(SteppedDatabase()), _Money()
        payments = D1Payments(world.database)
        stored = STATUSES["created"]
        await payments.add(stored, "saga", None)
        captured = stored.settled(Captured("p_1"), START)
        await payments.save(stored, captured, "saga", None)
        stored, money.provider = captured, 1000
        for number, act in enumerate(acts):
            try:
                after = _acted(act, number, stored)
            except DomainError:
                continue
            if after is stored:
                continue
            # The schema holds the same rules by itself, so that nothing which the domain allows is refused here.
            await payments.save(stored, after, "saga", None)
            _count(money, stored, after)
            assert await payments.find(stored.id) == after
            assert world.ledger() == {**dict.fromkeys(world.ledger(), 0), **money.balances()}
            assert sum(world.ledger().values()) == 0
            assert after.refundable.amount >= 0
            assert (after.status == "refunded") == (after.refunded == after.captured)
            stored = after

    asyncio.run(story())
