"""The order's payment at the payment service: its key, what is still open, and what the order has to know of it."""

from order.domain.commands import RecordReturn
from shared_kernel.contracts.payment import Payment, PaymentStatus

PASSING: frozenset[PaymentStatus] = frozenset({"created", "pending", "authorised"})
"""Where nobody knows yet whether the money will come."""


def payment_key(order_id: str) -> str:
    """The key under which the order's one payment is requested, checked and cancelled."""
    return f"order-{order_id}"


def returned(payment: Payment) -> RecordReturn:
    """What came in and went back, for an order that has ended or is about to be rejected."""
    return RecordReturn(
        payment_id=payment.id,
        payment_version=payment.version,
        captured=payment.captured,
        refunded=payment.refunded,
        due=payment.status == "refund_due",
    )
