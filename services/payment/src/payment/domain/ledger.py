"""The ledger: which transfers between accounts a payment's change makes.

Each transfer moves one amount from one account to another, so its two entries add up to nothing. The account of a
provider holds what it took for us and has not given back; `orders` is as far below zero as was received for orders
and kept; `refunds_due` is as far below zero as is owed to customers whom a provider cannot pay back.
"""

from typing import NamedTuple

from payment.domain.payment import Payment
from shared_kernel.money import Money

ORDERS = "orders"
REFUNDS_DUE = "refunds_due"


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
        was = "pending" if known is None else known.status
        if refund.status == was:
            continue
        from_account, to_account = (REFUNDS_DUE, ORDERS)
        if refund.status == "succeeded":
            from_account, to_account = (provider, REFUNDS_DUE if was == "due" else ORDERS)
        transfer_id = f"{refund.id}:{refund.status}"
        made.append(Transfer(transfer_id, after.id, from_account, to_account, refund.amount))
    return made
