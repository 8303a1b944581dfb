"""Stripe's disputes: which are still to be decided, and what was lost (https://docs.stripe.com/api/disputes/object).

An inquiry (`warning_...`) and a dispute that card networks prevented take no money. `charge_refunded`, of an older
version of the API, is a dispute that ended with a refund of ours.
"""

from payment.application.ports import ProviderError
from payment.domain.charge import Charge, Chargeback, Disputes
from payment.infrastructure.exponents import AmountNotTaken
from payment.infrastructure.stripe_api import Refused, StripeApi, StripeDispute, StripeDisputes, money_of

LARGEST_LIST = 100
_OPEN = {"needs_response", "under_review"}
_NOTHING_TAKEN = {
    "warning_needs_response", "warning_under_review", "warning_closed", "won", "prevented", "charge_refunded",
}  # fmt: skip


async def look_up(api: StripeApi, charge: Charge) -> Disputes | None:
    """How the disputes stand, None when there is none; ProviderError for words that are not known."""
    if charge.provider_reference is None:
        raise ProviderError("a charge that Stripe never named has no disputes")
    query = {"payment_intent": charge.provider_reference, "limit": str(LARGEST_LIST)}
    try:
        found = await api.get(StripeDisputes, "disputes", query)
    except Refused as refusal:
        raise ProviderError(str(refusal)) from None
    if found.has_more:
        raise ProviderError("the payment has more disputes at Stripe than are looked through")
    if not found.data:
        return None
    unknown = {dispute.status for dispute in found.data} - _OPEN - _NOTHING_TAKEN - {"lost"}
    if unknown:
        raise ProviderError("Stripe tells a dispute's status that is not known here")
    lost = tuple(_chargeback(dispute, charge) for dispute in found.data if dispute.status == "lost")
    return Disputes(is_open=any(dispute.status in _OPEN for dispute in found.data), lost=lost)


def _chargeback(dispute: StripeDispute, charge: Charge) -> Chargeback:
    if dispute.currency.upper() != charge.amount.currency:
        raise ProviderError("Stripe tells the dispute's amount in another currency")
    try:
        return Chargeback(dispute.id, money_of(dispute.amount, charge.amount.currency))
    except AmountNotTaken:
        raise ProviderError("Stripe tells an amount of the dispute that is not whole here") from None
