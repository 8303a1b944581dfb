"""The ledger: which transfers between accounts a payment's change makes.

Each transfer moves one amount from one account to another, so its two entries add up to nothing. The account of a
provider holds what it took for us and has not given back, so it says what the provider's own book says; `orders` is as
far below zero as was received for orders and not given back by us; `refunds_due` is as far below zero as is owed to
customers whom a provider cannot pay back; `paid_by_hand` is as far below zero as we have paid them from elsewhere;
`chargebacks` is what lost disputes have cost.
"""

from typing import NamedTuple

from payment.domain.payment import Payment
from payment.domain.refund import Refund
from shared_kernel.contracts.payment import RefundStatus
from shared_kernel.money import Money

ORDERS = "orders"
REFUNDS_DUE = "refunds_due"
PAID_BY_HAND = "paid_by_hand"
CHARGEBACKS = "chargebacks"


class Transfer(NamedTuple):
    """One movement; its id says what it is for, so that it is made once."""

    id: str
    payment_id: str
    from_account: str
    to_account: str
    amount: Money


def transfers(before: Payment, after: Payment) -> list[Transfer]:
    """What moves when the payment changes; nothing for most changes."""
    provider = f"provider:{after.terms.provider}"
    made = []
    if after.captured != before.captured:
        made.append(Transfer(f"{after.id}:captured", after.id, ORDERS, provider, after.captured))
    for refund in after.refunds:
        known = before.refund(refund.id)
        accounts = _accounts("pending" if known is None else known.status, refund, provider)
        if accounts is not None:
            # A refund may fail and be made again, so its status alone does not name the transfer.
            transfer_id = f"{refund.id}:{refund.status}:{after.version}"
            made.append(Transfer(transfer_id, after.id, *accounts, refund.amount))
    return made


def _accounts(was: RefundStatus, refund: Refund, provider: str) -> tuple[str, str] | None:
    """From where to where the refund's amount goes by this change."""
    match was, refund.status:
        case "pending", "succeeded":
            return provider, CHARGEBACKS if refund.kind == "chargeback" else ORDERS
        case "pending", "due":
            return REFUNDS_DUE, ORDERS
        case "due", "succeeded":
            return provider if refund.settlement is None else PAID_BY_HAND, REFUNDS_DUE
        case "succeeded", "due":
            return REFUNDS_DUE, provider
        case "due", "withdrawn":
            return ORDERS, REFUNDS_DUE
        case _:
            return None
