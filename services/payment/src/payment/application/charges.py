"""Charges for the order saga: taking a payment and undoing it, in any order and any number of times."""

from payment.application.changes import Changes
from payment.application.published import published
from payment.application.returns import Providers, Returns, provider_named
from payment.domain.errors import PaymentCancelled
from payment.domain.payment import (
    Payment,
    Terms,
    never_requested,
    payment_id,
    requested,
)
from shared_kernel.contracts import payment as contract
from shared_kernel.rpc import Principal


class Charges:
    """The contract's `Charges`, for one call of a service; anyone else is Forbidden."""

    def __init__(self, changes: Changes, providers: Providers, principal: Principal) -> None:
        self._changes = changes
        self._providers = providers
        self._returns = Returns(changes, providers)
        self._principal = principal

    async def request_payment(self, request: contract.RequestPayment) -> contract.Payment:
        """The payment, captured or declined; see the contract for what it raises."""
        self._principal.require_service()
        terms = _terms(request)
        stored = await self._changes.find(payment_id(request.idempotency_key))
        fresh = None
        if stored is None:
            provider_named(self._providers, request.provider)
            fresh = requested(request.idempotency_key, terms, self._changes.now())
            stored = await self._changes.add(fresh)
        stored.require_terms(terms)
        if stored.status == "created" and not stored.is_cancelled:
            stored = await self._take(stored, request.token, asked_before=stored is not fresh)
        if stored.is_cancelled:
            await self._returns.complete_all(stored)
            raise PaymentCancelled("the payment was cancelled")
        return published(stored)

    async def cancel_payment(self, request: contract.CancelPayment) -> contract.Payment:
        """The payment with no money kept; see the contract for what it raises."""
        self._principal.require_service()
        terms = _terms(request)
        payment = await self._changes.find(payment_id(request.idempotency_key))
        if payment is None:
            # No provider is asked: nobody can have charged before a row was written under this key.
            payment = await self._changes.add(
                never_requested(request.idempotency_key, terms, request.reason, self._changes.now())
            )
        payment.require_terms(terms)
        marked = await self._changes.change(payment, lambda current, at: current.cancelling(request.reason, at))
        return published(await self._returns.complete_all(marked))

    async def _take(self, payment: Payment, token: str, *, asked_before: bool) -> Payment:
        provider = provider_named(self._providers, payment.terms.provider)
        outcome = await provider.look_up(payment.charge) if asked_before else None
        if outcome is None:
            outcome = await provider.charge(payment.charge, token)
        settled = outcome
        return await self._changes.change(payment, lambda current, at: current.settled(settled, at))


def _terms(request: contract.RequestPayment | contract.CancelPayment) -> Terms:
    return Terms(request.order_id, request.amount, request.provider, request.method)
