"""Which integration event tells of a payment's change, and what it says."""

from pydantic import JsonValue

from payment.domain.payment import Payment
from payment.domain.refund import Refund

_TOLD_OF_STATUS = frozenset({"pending", "captured", "declined", "expired", "cancelled", "disputed"})
_TOLD_OF_REFUND = {"succeeded": "payment.refunded", "due": "payment.refund_due"}


def told_by(before: Payment | None, after: Payment) -> tuple[str, dict[str, JsonValue]] | None:
    """The event's type and data for one change; None for a change that concerns nobody else.

    A `reason` says that the payment was given up: money that is captured then is on its way back.
    """
    data: dict[str, JsonValue] = {
        "payment_id": after.id,
        "order_id": after.terms.order_id,
        "provider": after.terms.provider,
        "method": after.terms.method,
        "status": after.status,
        "amount": after.terms.amount.model_dump(),
    }
    if after.cancellation is not None:
        data["reason"] = after.cancellation
    for refund in after.refunds:
        known = before.refund(refund.id) if before is not None else None
        kind = _TOLD_OF_REFUND.get(refund.status)
        if kind is not None and (known is None or known.status != refund.status):
            return kind, data | {"refund": _refund(refund), "refunded": after.refunded.model_dump()}
    # A dispute that was won leads back to what was told before.
    if (before is not None and before.status in (after.status, "disputed")) or after.status not in _TOLD_OF_STATUS:
        return None
    if after.status == "declined" and after.failure is not None:
        data["failure"] = after.failure.model_dump()
    if after.status == "pending":
        data["expires_at"] = after.expires_at
    return f"payment.{after.status}", data


def _refund(refund: Refund) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {"id": refund.id, "amount": refund.amount.model_dump(), "reason": refund.reason}
    if refund.kind == "chargeback":
        told["kind"] = refund.kind
    return told if refund.detail is None else told | {"detail": refund.detail}
