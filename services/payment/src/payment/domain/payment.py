"""The payment: which changes it allows, and how much of it can be given back.

created -> pending or authorised -> captured, declined, expired or cancelled, each also at once; captured ->
partially_refunded -> refunded, refund_due where the provider cannot give back, disputed where the customer
objected: one that is won leads back to where its refunds stand, one that is lost is a refund that was made for us, so
to refunded when nothing is left. What the provider took after we had given the payment up is captured all the same,
with a cancellation that gives it back. A repeated change answers the payment as it stands; an illegal one raises.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from payment.domain.charge import (
    Authorised,
    Captured,
    Charge,
    Chargeback,
    Declined,
    Expired,
    Outcome,
    RefundOutcome,
    Voided,
    Waiting,
)
from payment.domain.errors import (
    AmountNotPositive,
    IdempotencyKeyReused,
    IllegalChange,
    NotRefundable,
    PaymentDisputed,
    RefundExceedsCaptured,
)
from payment.domain.refund import Refund, Settlement, fitted
from shared_kernel.clock import rfc3339
from shared_kernel.contracts.payment import Failure, Instructions, Method, PaymentStatus
from shared_kernel.ids import derived_id
from shared_kernel.money import CurrencyMismatch, Money

UNDECIDED: frozenset[PaymentStatus] = frozenset({"created", "pending", "authorised"})
NOT_TAKEN: frozenset[PaymentStatus] = frozenset({"declined", "expired", "cancelled"})
_HELD: frozenset[PaymentStatus] = frozenset({"captured", "partially_refunded", "refunded", "refund_due", "disputed"})
_REFUNDABLE: frozenset[PaymentStatus] = frozenset({"captured", "partially_refunded", "refund_due"})


@dataclass(frozen=True)
class Terms:
    """What was asked for; an idempotency key belongs to one set of terms."""

    order_id: str
    amount: Money
    provider: str
    method: Method


@dataclass(frozen=True)
class Payment:
    """One payment with its refunds; `version` counts its changes, `cancellation` is why it is undone.

    `is_open` says that the provider may still take the money, be it that we have given the payment up.
    """

    id: str
    idempotency_key: str
    terms: Terms
    status: PaymentStatus
    is_open: bool
    provider_reference: str | None
    instructions: Instructions | None
    failure: Failure | None
    cancellation: str | None
    refunds: tuple[Refund, ...]
    expires_at: str
    created_at: str
    updated_at: str
    version: int

    @property
    def charge(self) -> Charge:
        """What the provider is asked for, with the same key for ever."""
        return Charge(
            idempotency_key=self.idempotency_key,
            reference=self.id,
            amount=self.terms.amount,
            method=self.terms.method,
            expires_at=datetime.fromisoformat(self.expires_at),
            provider_reference=self.provider_reference,
        )

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
        """What can still be given back; a pending or due refund is not available a second time."""
        return self.captured - self._sum(refund for refund in self.refunds if refund.status != "withdrawn")

    @property
    def pending_refunds(self) -> tuple[Refund, ...]:
        """The refunds whose outcome is unknown."""
        return tuple(refund for refund in self.refunds if refund.status == "pending")

    def holds_back(self, refund: Refund) -> bool:
        """Whether the refund is not to be asked for now: its payment is disputed, and the bank may give the same money
        back. One that the provider has taken on before is asked about."""
        return self.status == "disputed" and refund.provider_reference is None

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody undid it, finished or not; what was declined or expired needs no undoing."""
        return self.status == "cancelled" or (
            self.cancellation is not None and self.status not in ("declined", "expired")
        )

    @property
    def owes_the_rest(self) -> bool:
        """Whether it was undone while more of it is held than is being given back."""
        return self.cancellation is not None and self.status in _REFUNDABLE and self.refundable.amount > 0

    @property
    def is_passing(self) -> bool:
        """Whether something about it is still to come, so that somebody has to look after it."""
        return self.is_open or self.owes_the_rest or bool(self.pending_refunds) or self.status == "disputed"

    def refund(self, refund_id: str) -> Refund | None:
        """The refund with this id, if there is one."""
        return next((refund for refund in self.refunds if refund.id == refund_id), None)

    def require_terms(self, terms: Terms) -> None:
        """IdempotencyKeyReused when this payment was asked for on other terms."""
        if terms != self.terms:
            raise IdempotencyKeyReused("the idempotency key was used for another payment")

    def settled(self, outcome: Outcome, at: datetime) -> "Payment":
        """The payment with the provider's answer; IllegalChange when it says that money was not taken which was.

        An answer that the charge still waits may be older than what is recorded: it undoes nothing.
        """
        match outcome:
            case Waiting(reference, instructions):
                if self.status == "created":
                    return self._changed(at, replace(self._known_as(reference), status="pending",
                                                     instructions=instructions))  # fmt: skip
                return self._still_open(reference, at)
            case Authorised(reference):
                if self.status in ("created", "pending"):
                    return self._changed(at, replace(self._known_as(reference), status="authorised"))
                return self._still_open(reference, at)
            case Captured(reference):
                return self.named(reference, at) if self.status in _HELD else self._taken(reference, at)
            case Declined(failure):
                return self._not_taken("declined", failure, at)
            case Expired():
                return self._not_taken("expired", None, at)
            case Voided():
                return self._not_taken("cancelled", None, at)

    def named(self, reference: str, at: datetime) -> "Payment":
        """The payment with a provider's reference that says more than the one we know (`order`, `order.capture`)."""
        known = self._known_as(reference)
        is_told_more = self.provider_reference is not None and known.provider_reference != self.provider_reference
        return self._changed(at, known) if is_told_more else self

    def stopped(self, outcome: Outcome | None, at: datetime) -> "Payment":
        """The payment after the provider was told to let it be.

        Where the provider knows nothing of it, or cannot stop it, it is cancelled and stays open: what comes is
        given back.
        """
        if outcome is None or isinstance(outcome, Waiting | Authorised):
            known = self if outcome is None else self._known_as(outcome.provider_reference)
            if self.status in UNDECIDED:
                return self._changed(at, replace(known, status="cancelled"))
            return self if outcome is None else self._still_open(outcome.provider_reference, at)
        return self.settled(outcome, at)

    def cancelling(self, reason: str, at: datetime) -> "Payment":
        """The payment marked as to be undone: from here on no new refund by staff, no successful request."""
        # Also where all of it is due: a chargeback may take the place of what is due, and leave something over.
        is_still_held = self.status in _REFUNDABLE or self.status == "disputed"
        if not (is_still_held or self.status in UNDECIDED) or self.cancellation is not None:
            return self
        return self._changed(at, replace(self, cancellation=reason))

    def disputed(self, at: datetime) -> "Payment":
        """The payment whose customer asked his bank for the money; IllegalChange where none was taken."""
        if self.status not in _HELD:
            raise IllegalChange(f"a payment that is {self.status} cannot be disputed")
        if self.status not in _REFUNDABLE:
            return self
        return self._changed(at, replace(self, status="disputed"))

    def knows(self, chargeback: Chargeback) -> bool:
        """Whether the loss of this dispute is recorded."""
        return self.refund(self._chargeback_id(chargeback)) is not None

    def charged_back(self, chargeback: Chargeback, at: datetime) -> "Payment":
        """The payment after a dispute was lost: so much is gone, and refunds for which nothing is left are withdrawn.

        IllegalChange when the provider says that more is gone than was held, or something else than it said before.
        """
        refund_id, amount = self._chargeback_id(chargeback), chargeback.amount
        known = self.refund(refund_id)
        held = self.captured - self.refunded
        if known is not None and known.amount == amount:
            return self
        if known is not None or amount.currency != held.currency or not 0 < amount.amount <= held.amount:
            raise IllegalChange(f"{amount} was charged back of a payment of which {held} is held")
        lost = Refund(
            refund_id, amount, "chargeback", "succeeded", rfc3339(at), chargeback.provider_reference, kind="chargeback"
        )
        left = replace(self, refunds=(*fitted(self.refunds, held.amount - amount.amount), lost))
        return self._changed(at, replace(left, status=left._status_by_refunds()))

    def dispute_ended(self, at: datetime) -> "Payment":
        """The payment that is not disputed any more, as its refunds leave it."""
        if self.status != "disputed":
            return self
        return self._changed(at, replace(self, status=replace(self, status="captured")._status_by_refunds()))

    def returning_the_rest(self, at: datetime) -> "Payment":
        """A cancelled payment with a pending refund of all that is left; IllegalChange when it is not cancelled."""
        if self.cancellation is None:
            raise IllegalChange("only a cancelled payment is given back as a whole")
        if not self.owes_the_rest:
            return self
        withdrawn = sum(refund.status == "withdrawn" for refund in self.refunds)
        # One that was withdrawn keeps its id, so what is left after it goes back under another.
        refund_id = derived_id("rfd", "cancel", self.id, *([str(withdrawn)] if withdrawn else []))
        return self._with_refund(refund_id, self.refundable, self.cancellation, at)

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

    def refund_settled(self, refund_id: str, outcome: RefundOutcome, at: datetime) -> "Payment":
        """The payment with the provider's answer to this refund; IllegalChange for a refund that was never begun, and
        for what the refund itself does not allow."""
        refund = self._begun(refund_id)
        return self._with(refund, refund.answered(outcome), at)

    def refund_failed(self, refund_id: str, reason: str, at: datetime) -> "Payment":
        """The payment of which this refund, done before, has failed at the provider: it is due; IllegalChange."""
        refund = self._begun(refund_id)
        return self._with(refund, refund.failed(reason), at)

    def refund_paid_by_hand(self, refund_id: str, settlement: Settlement, at: datetime) -> "Payment":
        """The payment of which staff have paid this refund; RefundNotDue, RefundAlreadySettled, IdempotencyKeyReused,
        PaymentDisputed while the bank may give the same money back."""
        refund = self._begun(refund_id)
        if self.status == "disputed" and refund.settlement is None:
            raise PaymentDisputed("the payment is disputed: what is due is not paid before that has ended")
        return self._with(refund, refund.paid_by_hand(settlement), at)

    def _begun(self, refund_id: str) -> Refund:
        refund = self.refund(refund_id)
        if refund is None:
            raise IllegalChange(f"the payment has no refund {refund_id}")
        return refund

    def _with(self, refund: Refund, changed: Refund, at: datetime) -> "Payment":
        if changed is refund:
            return self
        after = replace(self, refunds=tuple(changed if each is refund else each for each in self.refunds))
        return self._changed(at, replace(after, status=after._status_by_refunds()))

    def _chargeback_id(self, chargeback: Chargeback) -> str:
        return derived_id("rfd", "chargeback", self.id, chargeback.provider_reference)

    def _status_by_refunds(self) -> PaymentStatus:
        if self.refunded == self.captured:
            return "refunded"
        if self.status == "disputed":
            return "disputed"
        if any(refund.status == "due" for refund in self.refunds):
            return "refund_due"
        return "partially_refunded" if self.refunded.amount > 0 else "captured"

    def _taken(self, reference: str, at: datetime) -> "Payment":
        # Nobody waits for money any more that comes after the end: whoever was told of it has gone another way.
        given_up = f"paid_after_{self.status}" if self.status in NOT_TAKEN else None
        taken = replace(
            self._known_as(reference),
            status="captured",
            is_open=False,
            failure=None,
            cancellation=self.cancellation or given_up,
        )
        return self._changed(at, taken)

    def _not_taken(self, status: PaymentStatus, failure: Failure | None, at: datetime) -> "Payment":
        if self.status in UNDECIDED:
            return self._changed(at, replace(self, status=status, is_open=False, failure=failure))
        if self.status in _HELD:
            raise IllegalChange(f"a payment that is {self.status} cannot become {status}")
        return self._changed(at, replace(self, is_open=False)) if self.is_open else self

    def _still_open(self, reference: str, at: datetime) -> "Payment":
        """A cancelled payment that the provider can still take money for is known to be so."""
        if self.status != "cancelled" or (self.is_open and self.provider_reference is not None):
            return self
        return self._changed(at, replace(self._known_as(reference), is_open=True))

    def _known_as(self, reference: str) -> "Payment":
        """With the provider's own id: the first that was told stays, but for one that begins with it."""
        return (
            replace(self, provider_reference=reference) if reference.startswith(self.provider_reference or "") else self
        )

    def _with_refund(self, refund_id: str, amount: Money, reason: str, at: datetime) -> "Payment":
        refund = Refund(refund_id, amount, reason, "pending", rfc3339(at))
        return self._changed(at, replace(self, refunds=(*self.refunds, refund)))

    def _as_told(self) -> str:
        return "being cancelled" if self.status in _REFUNDABLE else self.status

    def _sum(self, refunds: Iterable[Refund]) -> Money:
        return Money(amount=sum(refund.amount.amount for refund in refunds), currency=self.terms.amount.currency)

    def _changed(self, at: datetime, payment: "Payment") -> "Payment":
        return replace(payment, updated_at=rfc3339(at), version=self.version + 1)


def payment_id(idempotency_key: str) -> str:
    """The id of the payment that is asked for with this key."""
    return derived_id("pay", idempotency_key)


def requested(idempotency_key: str, terms: Terms, expires_at: datetime, at: datetime) -> Payment:
    """A payment that is about to be taken; AmountNotPositive."""
    if terms.amount.amount <= 0:
        raise AmountNotPositive("a payment is of at least one minor unit")
    return _first(idempotency_key, terms, "created", None, expires_at, at)


def never_requested(idempotency_key: str, terms: Terms, reason: str, at: datetime) -> Payment:
    """The mark that a payment was cancelled before it was asked for, be the request possible or not."""
    return _first(idempotency_key, terms, "cancelled", reason, at, at)


def _first(
    idempotency_key: str, terms: Terms, status: PaymentStatus, cancellation: str | None, expires_at: datetime,
    at: datetime,
) -> Payment:  # fmt: skip
    return Payment(
        id=payment_id(idempotency_key),
        idempotency_key=idempotency_key,
        terms=terms,
        status=status,
        is_open=status == "created",
        provider_reference=None,
        instructions=None,
        failure=None,
        cancellation=cancellation,
        refunds=(),
        expires_at=rfc3339(expires_at),
        created_at=rfc3339(at),
        updated_at=rfc3339(at),
        version=1,
    )
