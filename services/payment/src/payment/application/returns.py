"""Giving money back: one refund to its end, or everything that a cancelled payment took.

Each step is written down before the provider is asked and again afterwards, and asks with a key of its
own, so that whoever comes next can go on from wherever a crash left it.
"""

from collections.abc import Mapping

from payment.application.changes import Changes
from payment.application.ports import PaymentProvider
from payment.domain.charge import RefundImpossible, RefundOutcome
from payment.domain.errors import ProviderNotAvailable
from payment.domain.payment import UNDECIDED, Payment

Providers = Mapping[str, PaymentProvider]

PROVIDER_ANSWER = "provider_answer"
"""The cause of a change that follows from what a provider answered to the caller's own request."""


def provider_named(providers: Providers, name: str) -> PaymentProvider:
    """The provider; ProviderNotAvailable when this environment does not have it."""
    if name not in providers:
        raise ProviderNotAvailable(f"the payment provider {name} is not available here")
    return providers[name]


class Returns:
    """Brings refunds and cancellations to their end; may be repeated, and run by several at once."""

    def __init__(self, changes: Changes, providers: Providers, cause: str = PROVIDER_ANSWER) -> None:
        self._changes = changes
        self._providers = providers
        self._cause = cause

    async def complete_refund(self, payment: Payment, refund_id: str) -> Payment:
        """The payment with the provider's answer to this refund; ProviderError leaves it pending, and so does a
        dispute about the payment. While somebody else asks, it is as the provider shows it, or as it is stored."""
        refund = payment.refund(refund_id)
        if refund is None or refund.status != "pending" or payment.holds_back(refund):
            return payment
        provider = provider_named(self._providers, payment.terms.provider)
        answer: RefundOutcome | None
        # By its reference nothing is asked for but how it stands.
        if refund.provider_reference is not None or await self._changes.claim_refund(refund_id):
            answer = await provider.refund(payment.charge, refund.id, refund.amount, refund.provider_reference)
        else:
            payment = await self._changes.get(payment.id)
            if refund not in payment.refunds:
                return payment
            # What was made by one whose answer was lost is found like that, and what a webhook tells too early.
            answer = await provider.find_refund(payment.charge, refund.id, refund.amount)
        if answer is None:
            return payment
        outcome = answer
        return await self._changes.change(
            payment, lambda current, at: current.refund_settled(refund_id, outcome, at), self._cause
        )

    async def checked(self, payment: Payment, refund_id: str, told_reference: str | None = None) -> Payment:
        """The payment after its provider was asked how a refund stands, by the reference it told, else by our key.

        No refund is made by that. One that was made may have failed since, and one that was given up, or whose answer
        was lost, may have been made after all; IllegalChange when the customer was paid in another way meanwhile.
        """
        refund = payment.refund(refund_id)
        if refund is None or refund.kind == "chargeback":
            return payment
        # What made it is asked: another attempt at the same refund may have failed before or after.
        known, told = refund.provider_reference, told_reference
        reference = known if refund.can_fail_yet else told or known
        provider = provider_named(self._providers, payment.terms.provider)
        answer: RefundOutcome | None = None
        if reference is not None:
            answer = await provider.refund(payment.charge, refund.id, refund.amount, reference)
        elif refund.is_open:
            answer = await provider.find_refund(payment.charge, refund.id, refund.amount)
        if answer is None:
            return payment
        outcome = answer
        if not isinstance(outcome, RefundImpossible) or refund.status == "pending":
            return await self._changes.change(
                payment, lambda current, at: current.refund_settled(refund_id, outcome, at), self._cause
            )
        if not refund.can_fail_yet:
            return payment
        reason = outcome.reason
        return await self._changes.change(
            payment, lambda current, at: current.refund_failed(refund_id, reason, at), self._cause
        )

    async def complete_all(self, payment: Payment) -> Payment:
        """The payment with everything done that was begun: first its cancellation, then each refund."""
        if payment.cancellation is not None:
            if payment.status in UNDECIDED:
                payment = await self.stop(payment)
            payment = await self._changes.change(
                payment, lambda current, at: current.returning_the_rest(at), self._cause
            )
        for refund in payment.pending_refunds:
            payment = await self.complete_refund(payment, refund.id)
        return payment

    async def stop(self, payment: Payment) -> Payment:
        """The payment after its provider was told to take no money for it, and answered what stands."""
        provider = provider_named(self._providers, payment.terms.provider)
        # A charge may be on its way: cancelling settles at the provider, where it can, which of the two came first.
        outcome = await provider.cancel(payment.charge)
        return await self._changes.change(payment, lambda current, at: current.stopped(outcome, at), self._cause)
