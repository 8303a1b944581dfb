"""PayPal's disputes: which are still to be decided, and what was lost.

https://developer.paypal.com/docs/api/customer-disputes/v1/: in the inquiry, buyer and seller are only talking. Of one
that is resolved the outcome says who has the money; `RESOLVED_WITH_PAYOUT` is paid by PayPal itself.
"""

from decimal import InvalidOperation
from urllib.parse import quote, urlencode

from pydantic import BaseModel

from payment.application.ports import ProviderError
from payment.domain.charge import Charge, Chargeback, Disputes
from payment.infrastructure.exponents import AmountNotTaken
from payment.infrastructure.paypal_api import Amount, PayPalApi, Refused, money_of

LARGEST_LIST = 10
_LOST = {"RESOLVED_BUYER_FAVOUR", "ACCEPTED"}
_NOTHING_TAKEN = {"RESOLVED_SELLER_FAVOUR", "RESOLVED_WITH_PAYOUT", "CANCELED_BY_BUYER", "DENIED", "NONE"}


class _Outcome(BaseModel):
    outcome_code: str
    amount_refunded: Amount | None = None


class _Dispute(BaseModel):
    dispute_id: str
    status: str
    dispute_life_cycle_stage: str = ""
    dispute_amount: Amount | None = None
    dispute_outcome: _Outcome | None = None

    @property
    def is_open(self) -> bool:
        """Whether the money is held until somebody decides."""
        return self.status != "RESOLVED" and self.dispute_life_cycle_stage != "INQUIRY"


class _Listed(BaseModel):
    dispute_id: str


class _List(BaseModel):
    items: list[_Listed] = []


async def look_up(api: PayPalApi, charge: Charge) -> Disputes | None:
    """How the disputes stand, None when there is none; ProviderError for words that are not known."""
    _, _, capture_id = (charge.provider_reference or "").partition(".")
    if not capture_id:
        raise ProviderError("a charge of which PayPal never named the capture has no disputes")
    query = urlencode({"disputed_transaction_id": capture_id, "page_size": LARGEST_LIST})
    try:
        listed = (await api.get(_List, f"/v1/customer/disputes?{query}")).items[:LARGEST_LIST]
        # The list does not tell the outcome.
        found = [await api.get(_Dispute, f"/v1/customer/disputes/{quote(each.dispute_id, '')}") for each in listed]
    except Refused as refusal:
        raise ProviderError(str(refusal)) from None
    if not found:
        return None
    lost = [_chargeback(dispute) for dispute in found if dispute.status == "RESOLVED"]
    return Disputes(
        is_open=any(dispute.is_open for dispute in found),
        lost=tuple(chargeback for chargeback in lost if chargeback is not None),
    )


def _chargeback(dispute: _Dispute) -> Chargeback | None:
    code = dispute.dispute_outcome.outcome_code if dispute.dispute_outcome else ""
    if code in _NOTHING_TAKEN:
        return None
    amount = (dispute.dispute_outcome and dispute.dispute_outcome.amount_refunded) or dispute.dispute_amount
    if code not in _LOST or amount is None:
        raise ProviderError("PayPal tells an outcome of a dispute that is not known here")
    try:
        return Chargeback(dispute.dispute_id, money_of(amount))
    except (AmountNotTaken, InvalidOperation, ValueError):
        raise ProviderError("PayPal tells an amount of a dispute that cannot be read") from None
