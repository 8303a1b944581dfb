"""How a payment stands at its provider: looked up there, and written down here with all that follows from it."""

from dataclasses import replace
from datetime import datetime

from payment.application.changes import Changes
from payment.application.returns import Providers, Returns, provider_named
from payment.domain.charge import Expired, Outcome
from payment.domain.payment import UNDECIDED, Payment


class Standing:
    """Brings our payment to what its provider says, with this cause; may be repeated, and run by several at once."""

    def __init__(self, changes: Changes, providers: Providers, cause: str) -> None:
        self._changes = changes
        self._providers = providers
        self._cause = cause
        self._returns = Returns(changes, providers, cause)

    async def looked_up(self, payment: Payment, provider_reference: str | None = None) -> Payment:
        """The payment as the provider has it, and what was begun brought to its end.

        A verified webhook may know the provider's reference before the answer to our own request was recorded.
        """
        if provider_reference is not None:
            told = provider_reference
            payment = await self._changes.change(payment, lambda current, at: current.named(told, at), self._cause)
        if payment.captured.amount == 0:
            charge = payment.charge
            if charge.provider_reference is None:
                charge = replace(charge, provider_reference=provider_reference)
            found = await provider_named(self._providers, payment.terms.provider).look_up(charge)
            payment = await self._settled(payment, or_expired(found, payment, self._changes.now()))
        return await self._returns.complete_all(payment)

    async def brought_on(self, payment: Payment) -> Payment:
        """The payment with whatever it still waits for: looked up, stopped once more, or given back."""
        if payment.status == "cancelled" and payment.is_open:
            return await self._returns.complete_all(await self._returns.stop(payment))
        if payment.status in UNDECIDED and payment.cancellation is None:
            return await self.looked_up(payment)
        return await self._returns.complete_all(payment)

    async def _settled(self, payment: Payment, outcome: Outcome | None) -> Payment:
        if outcome is None:
            return payment
        return await self._changes.change(payment, lambda current, at: current.settled(outcome, at), self._cause)


def or_expired(found: Outcome | None, payment: Payment, now: datetime) -> Outcome | None:
    """What the provider knows of the charge; where it knows nothing, the end of the time in which it is asked for."""
    if found is None and payment.status in UNDECIDED and now >= payment.charge.expires_at:
        return Expired()
    return found
