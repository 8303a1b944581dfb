"""The payment: which changes it allows, and how much of it can be given back.

created -> captured, declined or cancelled; captured -> partially_refunded -> refunded, or refunded at
once. A repeated change answers the payment as it stands; an illegal one raises.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from payment.domain.charge import Captured, Charge, Declined, Outcome, Voided
from payment.domain.errors import (
    AmountNotPositive,
    IdempotencyKeyReused,
    IllegalChange,
    NotRefundable,
    RefundExceedsCaptured,
)
from shared_kernel.clock import rfc3339
from shared_kernel.contracts.payment import Failure, PaymentStatus
from shared_kernel.ids import derived_id
from shared_kernel.money import CurrencyMismatch, Money

RefundStatus = Literal["pending", "succeeded"]

_HELD: frozenset[PaymentStatus] = frozenset({"captured", "partially_refunded", "refunded", "refund_due"})
_CANCELLABLE: frozenset[PaymentStatus] = frozenset({"created", "captured", "partially_refunded"})
_REFUNDABLE: frozenset[PaymentStatus] = frozenset({"captured", "partially_refunded"})


@dataclass(frozen=True)
class Terms:
    """What was asked for; an idempotency key belongs to one set of terms."""

    order_id: str
    amount: Money
    provider: str
    method: str


@dataclass(frozen=True)
class Refund:
    """Money to give back (pending: the provider may or may not have done it) or given back."""

    id: str
    amount: Money
    reason: str
    status: RefundStatus
    created_at: str


@dataclass(frozen=True)
class Payment:
    """One payment with its refunds; `version` counts its changes, `cancellation` is why it is undone."""

    id: str
    idempotency_key: str
    terms: Terms
    status: PaymentStatus
    failure: Failure | None
    cancellation: str | None
    refunds: tuple[Refund, ...]
    created_at: str
    updated_at: str
    version: int

    @property
    def charge(self) -> Charge:
        """What the provider is asked for, with the same key for ever."""
        return Charge(self.idempotency_key, self.id, self.terms.amount)

    @property
    def captured(self) -> Money:
        """What was taken, whether or not it was given back since."""
        return self.terms.amount if self.status in _HELD else Money(amount=0, currency=self.terms.amount.currency)

    @property
    def refunded(self) -> Money:
        """What was given back for certain."""
        return self._sum(refund for refund in self.refunds if refund.status == "succeeded")

    @property
    def refundable(self) -> Money:
        """What can still be given back; a pending refund is not available a second time."""
        return self.captured - self._sum(self.refunds)

    @property
    def pending_refunds(self) -> tuple[Refund, ...]:
        """The refunds whose outcome is unknown."""
        return tuple(refund for refund in self.refunds if refund.status == "pending")

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody undid it, finished or not; what was declined needs no undoing."""
        return self.status == "cancelled" or (self.cancellation is not None and self.status != "declined")

    def refund(self, refund_id: str) -> Refund | None:
        """The refund with this id, if there is one."""
        return next((refund for refund in self.refunds if refund.id == refund_id), None)

    def require_terms(self, terms: Terms) -> None:
        """IdempotencyKeyReused when this payment was asked for on other terms."""
        if terms != self.terms:
            raise IdempotencyKeyReused("the idempotency key was used for another payment")

    def settled(self, outcome: Outcome, at: datetime) -> "Payment":
        """The payment with the provider's answer; IllegalChange when another one was recorded before."""
        if self.status == "created":
            match outcome:
                case Captured():
                    return self._changed(at, replace(self, status="captured"))
                case Declined(failure):
                    return self._changed(at, replace(self, status="declined", failure=failure))
                case Voided():
                    return self._changed(at, replace(self, status="cancelled"))
        if not self._agrees_with(outcome):
            raise IllegalChange(f"a payment that is {self.status} cannot become {type(outcome).__name__.lower()}")
        return self

    def cancelling(self, reason: str, at: datetime) -> "Payment":
        """The payment marked as to be undone: from here on no new refund by staff, no successful request."""
        if self.status not in _CANCELLABLE or self.cancellation is not None:
            return self
        return self._changed(at, replace(self, cancellation=reason))

    def returning_the_rest(self, at: datetime) -> "Payment":
        """A cancelled payment with a pending refund of all that is left; IllegalChange when it is not cancelled."""
        if self.cancellation is None:
            raise IllegalChange("only a cancelled payment is given back as a whole")
        if self.refundable.amount == 0:
            return self
        return self._with_refund(derived_id("rfd", "cancel", self.id), self.refundable, self.cancellation, at)

    def refunding(self, refund_id: str, amount: Money, reason: str, at: datetime) -> "Payment":
        """The payment with a pending refund by staff.

        IdempotencyKeyReused when the id belongs to another refund, CurrencyMismatch, AmountNotPositive,
        NotRefundable, RefundExceedsCaptured.
        """
        known = self.refund(refund_id)
        if known is not None:
            if (known.amount, known.reason) != (amount, reason):
                raise IdempotencyKeyReused("the idempotency key was used for another refund")
            return self
        if amount.currency != self.terms.amount.currency:
            raise CurrencyMismatch(f"the payment is in {self.terms.amount.currency}, the refund in {amount.currency}")
        if amount.amount <= 0:
            raise AmountNotPositive("a refund is of at least one minor unit")
        if self.status not in _REFUNDABLE or self.cancellation is not None:
            raise NotRefundable(f"a payment that is {self._as_told()} cannot be refunded")
        if amount.amount > self.refundable.amount:
            raise RefundExceedsCaptured(
                f"{self.refundable} is left to refund", details={"refundable": self.refundable.model_dump()}
            )
        return self._with_refund(refund_id, amount, reason, at)

    def refund_succeeded(self, refund_id: str, at: datetime) -> "Payment":
        """The payment with this refund given back; IllegalChange for a refund that was never begun."""
        refund = self.refund(refund_id)
        if refund is None:
            raise IllegalChange(f"the payment has no refund {refund_id}")
        if refund.status == "succeeded":
            return self
        done = replace(refund, status="succeeded")
        given_back = replace(self, refunds=tuple(done if each is refund else each for each in self.refunds))
        status: PaymentStatus = "refunded" if given_back.refunded == self.captured else "partially_refunded"
        return self._changed(at, replace(given_back, status=status))

    def _with_refund(self, refund_id: str, amount: Money, reason: str, at: datetime) -> "Payment":
        refund = Refund(refund_id, amount, reason, "pending", rfc3339(at))
        return self._changed(at, replace(self, refunds=(*self.refunds, refund)))

    def _agrees_with(self, outcome: Outcome) -> bool:
        match outcome:
            case Captured():
                return self.status in _HELD
            case Declined():
                return self.status == "declined"
            case Voided():
                return self.status == "cancelled"

    def _as_told(self) -> str:
        return "being cancelled" if self.status in _REFUNDABLE else self.status

    def _sum(self, refunds: Iterable[Refund]) -> Money:
        return Money(amount=sum(refund.amount.amount for refund in refunds), currency=self.terms.amount.currency)

    def _changed(self, at: datetime, payment: "Payment") -> "Payment":
        return replace(payment, updated_at=rfc3339(at), version=self.version + 1)


def payment_id(idempotency_key: str) -> str:
    """The id of the payment that is asked for with this key."""
    return derived_id("pay", idempotency_key)


def requested(idempotency_key: str, terms: Terms, at: datetime) -> Payment:
    """A payment that is about to be taken; AmountNotPositive."""
    if terms.amount.amount <= 0:
        raise AmountNotPositive("a payment is of at least one minor unit")
    return _first(idempotency_key, terms, "created", None, at)


def never_requested(idempotency_key: str, terms: Terms, reason: str, at: datetime) -> Payment:
    """The mark that a payment was cancelled before it was asked for, be the request possible or not."""
    return _first(idempotency_key, terms, "cancelled", reason, at)


def _first(
    idempotency_key: str, terms: Terms, status: PaymentStatus, cancellation: str | None, at: datetime
) -> Payment:
    now = rfc3339(at)
    return Payment(payment_id(idempotency_key), idempotency_key, terms, status, None, cancellation, (), now, now, 1)
