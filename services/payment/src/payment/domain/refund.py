"""A refund: money to give back, and what can become of it.

pending -> succeeded, or due where the provider cannot; due -> succeeded, by the provider after all or by hand;
succeeded -> due where the provider's refund failed afterwards; pending or due -> withdrawn where a chargeback has taken
the money first. A chargeback is a refund that nobody asked us for: it was made when a dispute was lost, and stays.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from payment.domain.charge import RefundDone, RefundImpossible, RefundOutcome, RefundPending
from payment.domain.errors import IdempotencyKeyReused, IllegalChange, RefundAlreadySettled, RefundNotDue
from shared_kernel.contracts.payment import RefundKind, RefundStatus
from shared_kernel.money import Money


@dataclass(frozen=True)
class Settlement:
    """How staff paid a refund that was due; `id` is that of the request that told it."""

    id: str
    reference: str
    note: str | None = None


@dataclass(frozen=True)
class Refund:
    """Money to give back (pending: the provider may or may not have done it), given back, due, or withdrawn.

    `detail` says why the provider cannot do a refund that is due. `provider_reference` is of a chargeback its dispute.
    """

    id: str
    amount: Money
    reason: str
    status: RefundStatus
    created_at: str
    provider_reference: str | None = None
    detail: str | None = None
    kind: RefundKind = "refund"
    settlement: Settlement | None = None

    @property
    def is_open(self) -> bool:
        """Whether the money is still to go back."""
        return self.status in ("pending", "due")

    @property
    def can_fail_yet(self) -> bool:
        """Whether it was done by the provider, which may tell later that it failed."""
        made_by_provider = self.kind == "refund" and self.settlement is None and self.provider_reference is not None
        return self.status == "succeeded" and made_by_provider

    def answered(self, outcome: RefundOutcome) -> "Refund":
        """The refund with the provider's answer, the very same where that is no news.

        IllegalChange for one that is said to be impossible after it was done, or done after the money went another way.
        """
        match outcome:
            case RefundDone(reference):
                if self.settlement is not None or self.status == "withdrawn":
                    raise IllegalChange(f"the provider made the refund {self.id}, whose money went back another way")
                if self.status == "succeeded":
                    return self
                return replace(self, status="succeeded", provider_reference=reference, detail=None)
            case RefundPending(reference):
                if self.status != "pending" or self.provider_reference == reference:
                    return self
                return replace(self, provider_reference=reference)
            case RefundImpossible(reason):
                if self.status == "succeeded":
                    raise IllegalChange(f"the refund {self.id} was done and is said to be impossible")
                return replace(self, status="due", detail=reason) if self.status == "pending" else self

    def failed(self, reason: str) -> "Refund":
        """The refund that the provider had made and took back; IllegalChange for one that it did not make."""
        if self.is_open:
            return self
        if not self.can_fail_yet:
            raise IllegalChange(f"the refund {self.id} was not made by the provider and is said to have failed there")
        return replace(self, status="due", detail=reason)

    def paid_by_hand(self, settlement: Settlement) -> "Refund":
        """The refund that staff have paid; RefundNotDue, RefundAlreadySettled, IdempotencyKeyReused."""
        if self.settlement is None:
            if self.status != "due":
                raise RefundNotDue(f"a refund that is {self.status} is not to be paid by hand")
            return replace(self, status="succeeded", detail=None, settlement=settlement)
        if self.settlement.id != settlement.id:
            raise RefundAlreadySettled("the refund was recorded as paid before")
        if self.settlement != settlement:
            raise IdempotencyKeyReused("the idempotency key was used for another settlement")
        return self


def fitted(refunds: Iterable[Refund], room_minor: int) -> tuple[Refund, ...]:
    """The refunds, those that are still open withdrawn as far as they have no room any more.

    The surest stay: those that the provider has taken on, then what it may have heard of, then what it cannot do.
    """
    refunds = tuple(refunds)
    kept = set()
    for refund in sorted(refunds, key=lambda each: (each.status == "due", each.provider_reference is None)):
        if refund.is_open and refund.amount.amount <= room_minor:
            room_minor -= refund.amount.amount
            kept.add(refund.id)
    return tuple(
        replace(refund, status="withdrawn", detail=None) if refund.is_open and refund.id not in kept else refund
        for refund in refunds
    )
