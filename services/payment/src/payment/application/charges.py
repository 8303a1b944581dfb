"""Charges for the order saga: taking a payment and undoing it, in any order and any number of times."""

from datetime import datetime, timedelta

from payment.application.changes import Changes
from payment.application.published import published
from payment.application.returns import PROVIDER_ANSWER, Providers, Returns, provider_named
from payment.application.standing import Standing, or_expired
from payment.domain.charge import Declined, Means, Outcome
from payment.domain.errors import PaymentCancelled
from payment.domain.payment import (
    Payment,
    Terms,
    never_requested,
    payment_id,
    requested,
)
from shared_kernel.contracts import payment as contract
from shared_kernel.errors import Invalid
from shared_kernel.rpc import Principal

CAUSE = "saga"
TIME_TO_PAY = timedelta(hours=1)
"""How long the money may be asked for when nobody says."""


class Charges:
    """The contract's `Charges`, for one call of a service; anyone else is Forbidden."""

    def __init__(self, changes: Changes, providers: Providers, principal: Principal) -> None:
        self._changes = changes
        self._providers = providers
        self._returns = Returns(changes, providers)
        self._standing = Standing(changes, providers, PROVIDER_ANSWER)
        self._principal = principal

    async def request_payment(self, request: contract.RequestPayment) -> contract.Payment:
        """The payment: captured, declined, expired or pending; see the contract for what it raises."""
        self._principal.require_service()
        terms = _terms(request)
        stored = await self._changes.find(payment_id(request.idempotency_key))
        fresh = None
        if stored is None:
            provider_named(self._providers, request.provider)
            now = self._changes.now()
            fresh = requested(request.idempotency_key, terms, _expiry(request, now), now)
            stored = await self._changes.add(fresh, CAUSE)
        stored.require_terms(terms)
        if stored.status == "created" and not stored.is_cancelled:
            means = Means(token=request.token, phone=request.phone, bank=request.bank, email=request.email)
            stored = await self._take(stored, means, asked_before=stored is not fresh)
        if stored.is_cancelled:
            await self._returns.complete_all(stored)
            raise PaymentCancelled("the payment was cancelled")
        return published(stored)

    async def check_payment(self, request: contract.CheckPayment) -> contract.Payment:
        """The payment as the provider has it now; see the contract for what it raises."""
        self._principal.require_service()
        payment = await self._changes.get(payment_id(request.idempotency_key))
        return published(await self._standing.brought_on(payment) if payment.is_passing else payment)

    async def cancel_payment(self, request: contract.CancelPayment) -> contract.Payment:
        """The payment with no money kept; see the contract for what it raises."""
        self._principal.require_service()
        terms = _terms(request)
        payment = await self._changes.find(payment_id(request.idempotency_key))
        if payment is None:
            # No provider is asked: nobody can have charged before a row was written under this key.
            unasked = never_requested(request.idempotency_key, terms, request.reason, self._changes.now())
            payment = await self._changes.add(unasked, CAUSE)
        payment.require_terms(terms)
        marked = await self._changes.change(payment, lambda current, at: current.cancelling(request.reason, at), CAUSE)
        return published(await self._returns.complete_all(marked))

    async def _take(self, payment: Payment, means: Means, *, asked_before: bool) -> Payment:
        provider = provider_named(self._providers, payment.terms.provider)
        found = await provider.look_up(payment.charge) if asked_before else None
        outcome = or_expired(found, payment, self._changes.now())
        if outcome is None:
            outcome = await self._asked_for(payment, means)
        settled = outcome
        return await self._changes.change(payment, lambda current, at: current.settled(settled, at), PROVIDER_ANSWER)

    async def _asked_for(self, payment: Payment, means: Means) -> Outcome:
        provider = provider_named(self._providers, payment.terms.provider)
        try:
            return await provider.create(payment.charge, means)
        except Invalid as refusal:
            # The provider was not asked; the order was taken long ago, so its customer learns it as a decline.
            return Declined(contract.Failure(code=refusal.code, detail=refusal.message))


def _terms(request: contract.RequestPayment | contract.CancelPayment) -> Terms:
    return Terms(request.order_id, request.amount, request.provider, request.method)


def _expiry(request: contract.RequestPayment, now: datetime) -> datetime:
    return now + TIME_TO_PAY if request.expires_at is None else datetime.fromisoformat(request.expires_at)
