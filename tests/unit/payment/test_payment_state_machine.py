"""Every command on a payment in every status: the change, the repeat, or the refusal."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from payment.domain.charge import (
    Authorised,
    Captured,
    Declined,
    Expired,
    RefundDone,
    RefundImpossible,
    RefundPending,
    Voided,
    Waiting,
)
from payment.domain.errors import (
    AmountNotPositive,
    IdempotencyKeyReused,
    IllegalChange,
    NotRefundable,
    RefundExceedsCaptured,
)
from payment.domain.events import told_by
from payment.domain.ledger import transfers
from payment.domain.looks import next_look
from payment.domain.payment import Payment, Terms, never_requested, requested
from shared_kernel.contracts.payment import Failure, Instructions
from shared_kernel.money import CurrencyMismatch, Money
from tests.unit.payment.world import START, idr

TERMS = Terms("ord_1", idr(1000), "sandbox", "card")
NO = Failure(code="card_declined", detail="no")
EXPIRY = START + timedelta(minutes=10)
WAITING = Waiting("p_1", Instructions(type="qr_code", qr_string="000201"))


def _created() -> Payment:
    return requested("order-1", TERMS, EXPIRY, START)


def _captured() -> Payment:
    return _created().settled(Captured("p_1"), START)


def _refunded(*amounts_minor: int) -> Payment:
    payment = _captured()
    for number, amount_minor in enumerate(amounts_minor):
        payment = payment.refunding(f"rfd_{number}", idr(amount_minor), "damaged", START)
        payment = payment.refund_settled(f"rfd_{number}", RefundDone(f"r_{number}"), START)
    return payment


def _due(amount_minor: int) -> Payment:
    payment = _captured().refunding("rfd_0", idr(amount_minor), "damaged", START)
    return payment.refund_settled("rfd_0", RefundImpossible("a virtual account"), START)


STATUSES: dict[str, Payment] = {
    "created": _created(),
    "pending": _created().settled(WAITING, START),
    "authorised": _created().settled(Authorised("p_1"), START),
    "captured": _captured(),
    "declined": _created().settled(Declined(NO), START),
    "expired": _created().settled(Expired(), START),
    "cancelled": never_requested("order-1", TERMS, "late", START),
    "cancelled, open": _created().cancelling("late", START).stopped(None, START),
    "partially_refunded": _refunded(300),
    "refunded": _refunded(300, 700),
    "refund_due": _due(1000),
    "refund_due, part": _due(300),
    "disputed": _captured().disputed(START),
    "created, cancelling": _created().cancelling("late", START),
    "pending, cancelling": _created().settled(WAITING, START).cancelling("late", START),
    "captured, cancelling": _captured().cancelling("late", START),
    "partially_refunded, cancelling": _refunded(300).cancelling("late", START),
}

COMMANDS: dict[str, Callable[[Payment], Payment]] = {
    "wait": lambda payment: payment.settled(WAITING, START),
    "authorise": lambda payment: payment.settled(Authorised("p_1"), START),
    "capture": lambda payment: payment.settled(Captured("p_1"), START),
    "decline": lambda payment: payment.settled(Declined(NO), START),
    "expire": lambda payment: payment.settled(Expired(), START),
    "void": lambda payment: payment.settled(Voided(), START),
    "stop in vain": lambda payment: payment.stopped(WAITING, START),
    "cancel": lambda payment: payment.cancelling("late", START),
    "dispute": lambda payment: payment.disputed(START),
    "refund 200": lambda payment: payment.refunding("rfd_new", idr(200), "damaged", START),
    "refund 1000": lambda payment: payment.refunding("rfd_new", idr(1000), "damaged", START),
    "return the rest": lambda payment: payment.returning_the_rest(START),
    "finish an unknown refund": lambda payment: payment.refund_settled("rfd_new", RefundDone("r"), START),
}

SAME = "same"
NO_MONEY = [NotRefundable, NotRefundable]
# For each status, what each command of COMMANDS (in their order, but for the last, which is always illegal) leads to:
# a status, the same payment, or an error.
EXPECTED: dict[str, list[str | type[Exception]]] = {
    "created": [
        "pending", "authorised", "captured", "declined", "expired", "cancelled", "cancelled", "created",
        IllegalChange, *NO_MONEY, IllegalChange,
    ],
    "pending": [
        SAME, "authorised", "captured", "declined", "expired", "cancelled", "cancelled", "pending",
        IllegalChange, *NO_MONEY, IllegalChange,
    ],
    "authorised": [
        SAME, SAME, "captured", "declined", "expired", "cancelled", "cancelled", "authorised",
        IllegalChange, *NO_MONEY, IllegalChange,
    ],
    "captured": [
        SAME, SAME, SAME, IllegalChange, IllegalChange, IllegalChange, SAME, "captured",
        "disputed", "captured", "captured", IllegalChange,
    ],
    "declined": [
        SAME, SAME, "captured", SAME, SAME, SAME, SAME, SAME,
        IllegalChange, *NO_MONEY, IllegalChange,
    ],
    "expired": [
        SAME, SAME, "captured", SAME, SAME, SAME, SAME, SAME,
        IllegalChange, *NO_MONEY, IllegalChange,
    ],
    "cancelled": [
        "cancelled", "cancelled", "captured", SAME, SAME, SAME, "cancelled", SAME,
        IllegalChange, *NO_MONEY, SAME,
    ],
    "cancelled, open": [
        "cancelled", "cancelled", "captured", "cancelled", "cancelled", "cancelled", "cancelled", SAME,
        IllegalChange, *NO_MONEY, SAME,
    ],
    "partially_refunded": [
        SAME, SAME, SAME, IllegalChange, IllegalChange, IllegalChange, SAME, "partially_refunded",
        "disputed", "partially_refunded", RefundExceedsCaptured, IllegalChange,
    ],
    "refunded": [
        SAME, SAME, SAME, IllegalChange, IllegalChange, IllegalChange, SAME, SAME,
        SAME, *NO_MONEY, IllegalChange,
    ],
    "refund_due": [
        SAME, SAME, SAME, IllegalChange, IllegalChange, IllegalChange, SAME, "refund_due",
        "disputed", RefundExceedsCaptured, RefundExceedsCaptured, IllegalChange,
    ],
    "refund_due, part": [
        SAME, SAME, SAME, IllegalChange, IllegalChange, IllegalChange, SAME, "refund_due",
        "disputed", "refund_due", RefundExceedsCaptured, IllegalChange,
    ],
    "disputed": [
        SAME, SAME, SAME, IllegalChange, IllegalChange, IllegalChange, SAME, "disputed",
        SAME, *NO_MONEY, IllegalChange,
    ],
    "created, cancelling": [
        "pending", "authorised", "captured", "declined", "expired", "cancelled", "cancelled", SAME,
        IllegalChange, *NO_MONEY, SAME,
    ],
    "pending, cancelling": [
        SAME, "authorised", "captured", "declined", "expired", "cancelled", "cancelled", SAME,
        IllegalChange, *NO_MONEY, SAME,
    ],
    "captured, cancelling": [
        SAME, SAME, SAME, IllegalChange, IllegalChange, IllegalChange, SAME, SAME,
        "disputed", *NO_MONEY, "captured",
    ],
    "partially_refunded, cancelling": [
        SAME, SAME, SAME, IllegalChange, IllegalChange, IllegalChange, SAME, SAME,
        "disputed", *NO_MONEY, "partially_refunded",
    ],
}  # fmt: skip
CASES = [
    (status, command, outcome)
    for status, outcomes in EXPECTED.items()
    for command, outcome in zip(COMMANDS, [*outcomes, IllegalChange], strict=True)
]


def assert_leads(command: Callable[[Payment], Payment], payment: Payment, expected: str | type[Exception]) -> None:
    """The command leads from this payment to that status, by one version, or to the same payment, or to the error."""
    if not isinstance(expected, str):
        with pytest.raises(expected):
            command(payment)
        return
    changed = command(payment)
    if expected == SAME:
        assert changed is payment
    else:
        assert (changed.status, changed.version) == (expected, payment.version + 1)


@pytest.mark.parametrize(("status", "command", "expected"), CASES)
def test_command_leads_where_the_table_says(status: str, command: str, expected: str | type[Exception]) -> None:
    assert_leads(COMMANDS[command], STATUSES[status], expected)


def test_table_covers_every_status_and_command() -> None:
    assert set(EXPECTED) == set(STATUSES)
    assert len(CASES) == len(STATUSES) * len(COMMANDS)


def test_cancelling_keeps_its_first_reason() -> None:
    once = _captured().cancelling("first", START)
    assert once.cancelling("second", START).cancellation == "first"


def test_rest_counts_pending_refunds_as_gone() -> None:
    pending = _captured().refunding("rfd_0", idr(400), "damaged", START)
    assert (pending.refunded, pending.refundable) == (idr(0), idr(600))
    with pytest.raises(RefundExceedsCaptured) as refusal:
        pending.refunding("rfd_1", idr(601), "damaged", START)
    assert refusal.value.details == {"refundable": {"amount": 600, "currency": "IDR"}}
    rest = pending.cancelling("late", START).returning_the_rest(START)
    assert [refund.amount for refund in rest.pending_refunds] == [idr(400), idr(600)]
    assert rest.returning_the_rest(START) is rest


def test_repeated_refund_is_the_same_and_another_under_its_id_is_refused() -> None:
    payment = _captured().refunding("rfd_0", idr(1000), "damaged", START)
    assert payment.refunding("rfd_0", idr(1000), "damaged", START) is payment
    for amount, reason in ((idr(999), "damaged"), (Money(amount=1000, currency="USD"), "damaged"), (idr(1000), "x")):
        with pytest.raises(IdempotencyKeyReused):
            payment.refunding("rfd_0", amount, reason, START)
    done = payment.refund_settled("rfd_0", RefundDone("r_0"), START)
    assert done.status == "refunded"
    assert done.refund_settled("rfd_0", RefundDone("r_0"), START) is done
    assert done.refunding("rfd_0", idr(1000), "damaged", START) is done


def test_refund_of_nothing_or_in_another_currency_is_refused() -> None:
    for amount_minor in (0, -1):
        with pytest.raises(AmountNotPositive):
            _captured().refunding("rfd_0", idr(amount_minor), "damaged", START)
    with pytest.raises(CurrencyMismatch):
        _captured().refunding("rfd_0", Money(amount=1, currency="USD"), "damaged", START)


def test_refund_that_is_on_its_way_keeps_the_first_reference_that_differs_and_then_its_end() -> None:
    begun = _captured().refunding("rfd_0", idr(400), "damaged", START)
    taken_on = begun.refund_settled("rfd_0", RefundPending("r_0"), START)
    assert (taken_on.status, taken_on.refunds[0].provider_reference) == ("captured", "r_0")
    assert taken_on.refund_settled("rfd_0", RefundPending("r_0"), START) is taken_on
    done = taken_on.refund_settled("rfd_0", RefundDone("r_0"), START)
    assert (done.status, done.refunded) == ("partially_refunded", idr(400))
    assert done.refund_settled("rfd_0", RefundPending("r_0"), START) is done
    with pytest.raises(IllegalChange):
        done.refund_settled("rfd_0", RefundImpossible("no"), START)


def test_refund_that_is_due_counts_as_given_up_until_it_is_done() -> None:
    due = _due(300)
    assert (due.status, due.refunded, due.refundable, due.refunds[0].detail) == (
        "refund_due",
        idr(0),
        idr(700),
        "a virtual account",
    )
    assert due.refund_settled("rfd_0", RefundImpossible("still"), START) is due
    done = due.refund_settled("rfd_0", RefundDone("by_hand"), START)
    assert (done.status, done.refunded) == ("partially_refunded", idr(300))
    rest = due.cancelling("late", START).returning_the_rest(START)
    assert [refund.amount for refund in rest.pending_refunds] == [idr(700)]


def test_refund_of_a_disputed_payment_that_was_under_way_is_finished() -> None:
    begun = _captured().refunding("rfd_0", idr(1000), "damaged", START).disputed(START)
    assert begun.status == "disputed"
    assert begun.refund_settled("rfd_0", RefundDone("r_0"), START).status == "refunded"


@pytest.mark.parametrize("status", ["declined", "expired", "cancelled", "cancelled, open"])
def test_money_that_comes_after_the_end_is_on_its_way_back(status: str) -> None:
    late = STATUSES[status].settled(Captured("p_1"), START)
    assert (late.status, late.failure, late.is_open, late.is_cancelled) == ("captured", None, False, True)
    assert late.cancellation == ("late" if status.startswith("cancelled") else f"paid_after_{status}")
    assert late.returning_the_rest(START).pending_refunds[0].amount == idr(1000)


def test_cancelled_payment_is_watched_until_the_provider_says_that_it_is_over() -> None:
    cancelled = STATUSES["pending"].cancelling("late", START).stopped(WAITING, START)
    assert (cancelled.status, cancelled.is_open, cancelled.is_passing) == ("cancelled", True, True)
    assert cancelled.stopped(WAITING, START) is cancelled
    assert cancelled.settled(Expired(), START).is_passing is False
    reopened = STATUSES["cancelled"].settled(WAITING, START)
    assert (reopened.is_open, reopened.provider_reference) == (True, "p_1")


def test_first_reference_of_the_provider_stays() -> None:
    pending = STATUSES["pending"]
    assert pending.settled(Captured("p_2"), START).provider_reference == "p_1"
    assert _created().settled(Captured("p_2"), START).charge.provider_reference == "p_2"


def test_reference_of_the_provider_may_grow() -> None:
    captured = STATUSES["pending"].settled(Captured("p_1.capture"), START)
    assert captured.provider_reference == "p_1.capture"
    for known in ("p_1", "p_1.capture", "p_2"):
        assert captured.named(known, START) is captured
    assert _captured().settled(Captured("p_1/receipt"), START).provider_reference == "p_1/receipt"
    assert _created().named("p_1", START).provider_reference is None


def test_looks_come_with_growing_pauses_and_soon_after_the_expiry() -> None:
    pending = STATUSES["pending"]
    pauses = [next_look(pending, looks, EXPIRY + timedelta(seconds=1)) for looks in range(8)]
    assert [at and (at - EXPIRY).seconds // 60 for at in pauses] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert next_look(pending, 4, START) == EXPIRY + timedelta(seconds=5)
    assert next_look(_captured(), 0, START) is None
    assert next_look(STATUSES["captured, cancelling"], 0, START) == START + timedelta(minutes=1)
    open_still = STATUSES["cancelled, open"]
    assert next_look(open_still, 9, EXPIRY + timedelta(hours=23)) is not None
    assert next_look(open_still, 9, EXPIRY + timedelta(hours=25)) is None


def test_ledger_moves_what_is_captured_given_back_and_owed() -> None:
    begun = _captured().refunding("rfd_0", idr(300), "damaged", START)
    due = begun.refund_settled("rfd_0", RefundImpossible("no"), START)
    done = begun.refund_settled("rfd_0", RefundDone("r_0"), START)
    paid = due.refund_settled("rfd_0", RefundDone("by_hand"), START)

    def moved(before: Payment, after: Payment) -> list[tuple[str, str, int]]:
        return [(each.from_account, each.to_account, each.amount.amount) for each in transfers(before, after)]

    assert moved(_created(), STATUSES["pending"]) == []
    assert moved(_created(), _captured()) == [("orders", "provider:sandbox", 1000)]
    assert moved(_captured(), begun) == []
    assert moved(begun, done) == [("provider:sandbox", "orders", 300)]
    assert moved(begun, due) == [("refunds_due", "orders", 300)]
    assert moved(due, paid) == [("provider:sandbox", "refunds_due", 300)]
    assert moved(_captured(), STATUSES["disputed"]) == []


def test_events_tell_each_change_that_others_care_about() -> None:
    pending = _captured().refunding("rfd_0", idr(400), "damaged", START)
    done = pending.refund_settled("rfd_0", RefundDone("r_0"), START)
    told = [
        told_by(None, _created()),
        told_by(_created(), _captured()),
        told_by(_created(), STATUSES["declined"]),
        told_by(None, STATUSES["cancelled"]),
        told_by(_captured(), STATUSES["captured, cancelling"]),
        told_by(_captured(), pending),
        told_by(_created(), STATUSES["pending"]),
        told_by(_created(), STATUSES["authorised"]),
        told_by(_created(), STATUSES["expired"]),
        told_by(_captured(), STATUSES["disputed"]),
        told_by(STATUSES["expired"], STATUSES["expired"].settled(Captured("p_1"), START)),
        told_by(pending, pending.refund_settled("rfd_0", RefundPending("r_0"), START)),
        told_by(pending, pending.refund_settled("rfd_0", RefundImpossible("no"), START)),
        told_by(pending, done),
    ]
    assert [None if each is None else each[0] for each in told] == [
        None,
        "payment.captured",
        "payment.declined",
        "payment.cancelled",
        None,
        None,
        "payment.pending",
        None,
        "payment.expired",
        "payment.disputed",
        "payment.captured",
        None,
        "payment.refund_due",
        "payment.refunded",
    ]
    late = told[10]
    assert late is not None
    assert late[1]["reason"] == "paid_after_expired"
    last = told[-1]
    assert last is not None
    assert last[1] == {
        "payment_id": done.id,
        "order_id": "ord_1",
        "provider": "sandbox",
        "method": "card",
        "status": "partially_refunded",
        "amount": {"amount": 1000, "currency": "IDR"},
        "refund": {"id": "rfd_0", "amount": {"amount": 400, "currency": "IDR"}, "reason": "damaged"},
        "refunded": {"amount": 400, "currency": "IDR"},
    }
