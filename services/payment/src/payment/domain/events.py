"""Which integration event tells of a payment's change, and what it says."""

from pydantic import JsonValue

from payment.domain.payment import Payment, Refund

_TOLD_OF_STATUS = frozenset({"pending", "captured", "declined", "expired", "cancelled", "disputed"})


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
        if refund.status != "pending" and (known is None or known.status != refund.status):
            kind = "payment.refunded" if refund.status == "succeeded" else "payment.refund_due"
            return kind, data | {"refund": _refund(refund), "refunded": after.refunded.model_dump()}
    if (before is not None and before.status == after.status) or after.status not in _TOLD_OF_STATUS:
        return None
    if after.status == "declined" and after.failure is not None:
        data["failure"] = after.failure.model_dump()
    if after.status == "pending":
        data["expires_at"] = after.expires_at
    return f"payment.{after.status}", data


def _refund(refund: Refund) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {"id": refund.id, "amount": refund.amount.model_dump(), "reason": refund.reason}
    return told if refund.detail is None else told | {"detail": refund.detail}
