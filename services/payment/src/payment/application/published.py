"""The payment as the other services see it."""

from payment.domain.payment import Payment
from shared_kernel.contracts import payment as contract


def published(payment: Payment) -> contract.Payment:
    """The contract's payment: without keys, the reason of a cancellation and refunds under way."""
    return contract.Payment(
        id=payment.id,
        order_id=payment.terms.order_id,
        provider=payment.terms.provider,
        method=payment.terms.method,
        status=payment.status,
        amount=payment.terms.amount,
        captured=payment.captured,
        refunded=payment.refunded,
        given_up=payment.is_cancelled,
        failure=payment.failure,
        instructions=payment.instructions if payment.status == "pending" else None,
        expires_at=payment.expires_at,
        version=payment.version,
        created_at=payment.created_at,
        updated_at=payment.updated_at,
    )
