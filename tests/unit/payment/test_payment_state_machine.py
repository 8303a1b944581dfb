"""Every command on a payment in every status: the change, the repeat, or the refusal."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from payment.domain.charge import Captured, Declined, Voided
from payment.domain.errors import (
    AmountNotPositive,
    IdempotencyKeyReused,
    IllegalChange,
    NotRefundable,
    RefundExceedsCaptured,
)
from payment.domain.events import told_by
from payment.domain.payment import Payment, Terms, never_requested, requested
from shared_kernel.contracts.payment import Failure
from shared_kernel.money import CurrencyMismatch, Money
from tests.unit.payment.world import START, idr

TERMS = Terms("ord_1", idr(1000), "sandbox", "card")
NO = Failure(code="card_declined", detail="no")


def _created() -> Payment:
    return requested("order-1", TERMS, START)


def _captured() -> Payment:
    return _created().settled(Captured(), START)


def _refunded(*amounts_minor: int) -> Payment:
    payment = _captured()
    for number, amount_minor in enumerate(amounts_minor):
        payment = payment.refunding(f"rfd_{number}", idr(amount_minor), "damaged", START)
        payment = payment.refund_succeeded(f"rfd_{number}", START)
    return payment


STATUSES: dict[str, Payment] = {
    "created": _created(),
    "captured": _captured(),
    "declined": _created().settled(Declined(NO), START),
    "cancelled": never_requested("order-1", TERMS, "late", START),
    "partially_refunded": _refunded(300),
    "refunded": _refunded(300, 700),
    "refund_due": replace(_captured(), status="refund_due"),
    "created, cancelling": _created().cancelling("late", START),
    "captured, cancelling": _captured().cancelling("late", START),
    "partially_refunded, cancelling": _refunded(300).cancelling("late", START),
}

COMMANDS: dict[str, Callable[[Payment], Payment]] = {
    "capture": lambda payment: payment.settled(Captured(), START),
    "decline": lambda payment: payment.settled(Declined(NO), START),
    "void": lambda payment: payment.settled(Voided(), START),
    "cancel": lambda payment: payment.cancelling("late", START),
    "refund 200": lambda payment: payment.refunding("rfd_new", idr(200), "damaged", START),
    "refund 1000": lambda payment: payment.refunding("rfd_new", idr(1000), "damaged", START),
    "return the rest": lambda payment: payment.returning_the_rest(START),
    "finish an unknown refund": lambda payment: payment.refund_succeeded("rfd_new", START),
}

SAME = "same"
# For each status, what each command of COMMANDS (in their order) leads to: a status, the same payment, or an error.
EXPECTED: dict[str, list[str | type[Exception]]] = {
    "created": ["captured", "declined", "cancelled", "created", NotRefundable, NotRefundable, IllegalChange],
    "captured": [SAME, IllegalChange, IllegalChange, "captured", "captured", "captured", IllegalChange],
    "declined": [IllegalChange, SAME, IllegalChange, SAME, NotRefundable, NotRefundable, IllegalChange],
    "cancelled": [IllegalChange, IllegalChange, SAME, SAME, NotRefundable, NotRefundable, SAME],
    "partially_refunded": [
        SAME,
        IllegalChange,
        IllegalChange,
        "partially_refunded",
        "partially_refunded",
        RefundExceedsCaptured,
        IllegalChange,
    ],
    "refunded": [SAME, IllegalChange, IllegalChange, SAME, NotRefundable, NotRefundable, IllegalChange],
    "refund_due": [SAME, IllegalChange, IllegalChange, SAME, NotRefundable, NotRefundable, IllegalChange],
    "created, cancelling": ["captured", "declined", "cancelled", SAME, NotRefundable, NotRefundable, SAME],
    "captured, cancelling": [SAME, IllegalChange, IllegalChange, SAME, NotRefundable, NotRefundable, "captured"],
    "partially_refunded, cancelling": [
        SAME,
        IllegalChange,
        IllegalChange,
        SAME,
        NotRefundable,
        NotRefundable,
        "partially_refunded",
    ],
}
CASES = [
    (status, command, outcome)
    for status, outcomes in EXPECTED.items()
    for command, outcome in zip(COMMANDS, [*outcomes, IllegalChange], strict=True)
]


@pytest.mark.parametrize(("status", "command", "expected"), CASES)
def test_command_leads_where_the_table_says(status: str, command: str, expected: str | type[Exception]) -> None:
    payment = STATUSES[status]
    if not isinstance(expected, str):
        with pytest.raises(expected):
            COMMANDS[command](payment)
        return
    changed = COMMANDS[command](payment)
    if expected == SAME:
        assert changed is payment
    else:
        assert (changed.status, changed.version) == (expected, payment.version + 1)


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
    done = payment.refund_succeeded("rfd_0", START)
    assert done.status == "refunded"
    assert done.refund_succeeded("rfd_0", START) is done
    assert done.refunding("rfd_0", idr(1000), "damaged", START) is done


def test_refund_of_nothing_or_in_another_currency_is_refused() -> None:
    for amount_minor in (0, -1):
        with pytest.raises(AmountNotPositive):
            _captured().refunding("rfd_0", idr(amount_minor), "damaged", START)
    with pytest.raises(CurrencyMismatch):
        _captured().refunding("rfd_0", Money(amount=1, currency="USD"), "damaged", START)


def test_events_tell_each_change_that_others_care_about() -> None:
    pending = _captured().refunding("rfd_0", idr(400), "damaged", START)
    done = pending.refund_succeeded("rfd_0", START)
    told = [
        told_by(None, _created()),
        told_by(_created(), _captured()),
        told_by(_created(), STATUSES["declined"]),
        told_by(None, STATUSES["cancelled"]),
        told_by(_captured(), STATUSES["captured, cancelling"]),
        told_by(_captured(), pending),
        told_by(pending, done),
    ]
    assert [None if each is None else each[0] for each in told] == [
        None,
        "payment.captured",
        "payment.declined",
        "payment.cancelled",
        None,
        None,
        "payment.refunded",
    ]
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
