"""Giving money back: one refund to its end, or everything that a cancelled payment took.

Each step is written down before the provider is asked and again afterwards, and asks with a key of its
own, so that whoever comes next can go on from wherever a crash left it.
"""

from collections.abc import Mapping

from payment.application.changes import Changes
from payment.application.ports import PaymentProvider
from payment.domain.charge import RefundImpossible
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
        dispute about the payment."""
        refund = payment.refund(refund_id)
        if refund is None or refund.status != "pending" or payment.holds_back(refund):
            return payment
        provider = provider_named(self._providers, payment.terms.provider)
        outcome = await provider.refund(payment.charge, refund.id, refund.amount, refund.provider_reference)
        return await self._changes.change(
            payment, lambda current, at: current.refund_settled(refund_id, outcome, at), self._cause
        )

    async def checked(self, payment: Payment, refund_id: str) -> Payment:
        """The payment after its provider was asked whether a refund that it had made has failed since."""
        refund = payment.refund(refund_id)
        if refund is None or not refund.can_fail_yet:
            return payment
        provider = provider_named(self._providers, payment.terms.provider)
        outcome = await provider.refund(payment.charge, refund.id, refund.amount, refund.provider_reference)
        if not isinstance(outcome, RefundImpossible):
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
