"""Giving money back: one refund to its end, or everything that a cancelled payment took.

Each step is written down before the provider is asked and again afterwards, and asks with a key of its
own, so that whoever comes next can go on from wherever a crash left it.
"""

from collections.abc import Mapping

from payment.application.changes import Changes
from payment.application.ports import PaymentProvider
from payment.domain.errors import ProviderNotAvailable
from payment.domain.payment import Payment

Providers = Mapping[str, PaymentProvider]


def provider_named(providers: Providers, name: str) -> PaymentProvider:
    """The provider; ProviderNotAvailable when this environment does not have it."""
    if name not in providers:
        raise ProviderNotAvailable(f"the payment provider {name} is not available here")
    return providers[name]


class Returns:
    """Brings refunds and cancellations to their end; may be repeated, and run by several at once."""

    def __init__(self, changes: Changes, providers: Providers) -> None:
        self._changes = changes
        self._providers = providers

    async def complete_refund(self, payment: Payment, refund_id: str) -> Payment:
        """The payment with this refund given back; ProviderError leaves it pending."""
        refund = payment.refund(refund_id)
        if refund is not None and refund.status == "pending":
            provider = provider_named(self._providers, payment.terms.provider)
            await provider.refund(payment.charge, refund.id, refund.amount)
        return await self._changes.change(payment, lambda current, at: current.refund_succeeded(refund_id, at))

    async def complete_all(self, payment: Payment) -> Payment:
        """The payment with everything done that was begun: first its cancellation, then each refund."""
        if payment.cancellation is not None:
            payment = await self._stop(payment)
        for refund in payment.pending_refunds:
            payment = await self.complete_refund(payment, refund.id)
        return payment

    async def _stop(self, payment: Payment) -> Payment:
        if payment.status == "created":
            provider = provider_named(self._providers, payment.terms.provider)
            # A charge may be on its way: voiding by key settles at the provider which of the two came first.
            outcome = await provider.void(payment.charge)
            payment = await self._changes.change(payment, lambda current, at: current.settled(outcome, at))
        return await self._changes.change(payment, lambda current, at: current.returning_the_rest(at))
