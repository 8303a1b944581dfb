"""How a payment stands at its provider: looked up there, and written down here with all that follows from it."""

from dataclasses import replace
from datetime import datetime

from payment.application.changes import Changes
from payment.application.ports import Notice, ProviderError, TellsDisputes
from payment.application.returns import Providers, Returns, provider_named
from payment.domain.charge import Chargeback, Expired, Outcome
from payment.domain.errors import IllegalChange
from payment.domain.payment import NOT_TAKEN, UNDECIDED, Payment

_NOTHING_TOLD = Notice("")


class Standing:
    """Brings our payment to what its provider says, with this cause; may be repeated, and run by several at once."""

    def __init__(self, changes: Changes, providers: Providers, cause: str) -> None:
        self._changes = changes
        self._providers = providers
        self._cause = cause
        self._returns = Returns(changes, providers, cause)

    async def looked_up(self, payment: Payment, told: Notice = _NOTHING_TOLD) -> Payment:
        """The payment as the provider has it, with its disputes, and what was begun brought to its end.

        A verified webhook may know the provider's reference before the answer to our own request was recorded, and may
        tell that a refund that was made has failed, or that one was made which nobody hoped for any more.
        """
        reference = told.provider_reference
        if reference is not None:
            payment = await self._changes.change(payment, lambda now, at: now.named(reference, at), self._cause)
        if payment.captured.amount == 0:
            charge = payment.charge
            if charge.provider_reference is None:
                charge = replace(charge, provider_reference=reference)
            found = await provider_named(self._providers, payment.terms.provider).look_up(charge)
            payment = await self._settled(payment, or_expired(found, payment, self._changes.now()))
        for refund in payment.refunds:
            if told.is_about(refund):
                payment = await self._returns.checked(payment, refund.id, told.reference_of(refund))
        # First, so that no refund is asked for whose money the bank has given back.
        if told.disputed or payment.status == "disputed":
            payment = await self._with_disputes(payment)
        elif any(refund.status == "due" and told.is_about(refund) for refund in payment.refunds):
            # A refund may fail because of a dispute, which nobody heeded while everything seemed to be given back.
            payment = await self._with_disputes(payment, is_known=False)
        return await self._returns.complete_all(payment)

    async def brought_on(self, payment: Payment) -> Payment:
        """The payment with whatever it still waits for: looked up, stopped once more, or given back."""
        if payment.status == "cancelled" and payment.is_open:
            return await self._returns.complete_all(await self._returns.stop(payment))
        if payment.status == "disputed" or (payment.status in UNDECIDED and payment.cancellation is None):
            return await self.looked_up(payment)
        return await self._returns.complete_all(payment)

    async def _with_disputes(self, payment: Payment, *, is_known: bool = True) -> Payment:
        provider = provider_named(self._providers, payment.terms.provider)
        if not isinstance(provider, TellsDisputes):
            return payment
        if payment.status in NOT_TAKEN:
            # A provider may say the same of a decline as of a reversal. Had it taken money, the look before would know.
            return payment
        if payment.captured.amount == 0:
            raise IllegalChange(f"a payment that is {payment.status} cannot be disputed")
        stand = await provider.disputes(payment.charge)
        if stand is None:
            if is_known:
                # One that is not shown yet, or not any more, is not one that has ended.
                raise ProviderError("the provider does not show the dispute that it told of")
            return payment
        recorded = {refund.provider_reference for refund in payment.refunds if refund.kind == "chargeback"}
        if recorded - {chargeback.provider_reference for chargeback in stand.lost}:
            raise IllegalChange("a dispute that was lost is not lost any more")
        news = [chargeback for chargeback in stand.lost if not payment.knows(chargeback)]
        if stand.is_open or news:
            payment = await self._changes.change(payment, lambda now, at: now.disputed(at), self._cause)
        if news:
            # What became of the refunds that the provider had made before, be it unheard of: of the rest was lost.
            for refund in payment.refunds:
                payment = await self._returns.checked(payment, refund.id)
        for chargeback in stand.lost:
            payment = await self._lost(payment, chargeback)
        if stand.is_open:
            return payment
        return await self._changes.change(payment, lambda now, at: now.dispute_ended(at), self._cause)

    async def _lost(self, payment: Payment, chargeback: Chargeback) -> Payment:
        return await self._changes.change(payment, lambda now, at: now.charged_back(chargeback, at), self._cause)

    async def _settled(self, payment: Payment, outcome: Outcome | None) -> Payment:
        if outcome is None:
            return payment
        return await self._changes.change(payment, lambda current, at: current.settled(outcome, at), self._cause)


def or_expired(found: Outcome | None, payment: Payment, now: datetime) -> Outcome | None:
    """What the provider knows of the charge; where it knows nothing, the end of the time in which it is asked for."""
    if found is None and payment.status in UNDECIDED and now >= payment.charge.expires_at:
        return Expired()
    return found
