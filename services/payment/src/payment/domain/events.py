"""Which integration event tells of a payment's change, and what it says."""

from pydantic import JsonValue

from payment.domain.payment import Payment


def told_by(before: Payment | None, after: Payment) -> tuple[str, dict[str, JsonValue]] | None:
    """The event's type and data for one change; None for a change that concerns nobody else."""
    data: dict[str, JsonValue] = {
        "payment_id": after.id,
        "order_id": after.terms.order_id,
        "provider": after.terms.provider,
        "method": after.terms.method,
        "status": after.status,
        "amount": after.terms.amount.model_dump(),
    }
    refunds_before = before.refunds if before is not None else ()
    for refund in after.refunds:
        if refund.status == "succeeded" and refund not in refunds_before:
            told = {"id": refund.id, "amount": refund.amount.model_dump(), "reason": refund.reason}
            return "payment.refunded", data | {"refund": told, "refunded": after.refunded.model_dump()}
    if before is not None and before.status == after.status:
        return None
    if after.status == "captured":
        return "payment.captured", data
    if after.status == "declined" and after.failure is not None:
        return "payment.declined", data | {"failure": after.failure.model_dump()}
    if after.status == "cancelled":
        return "payment.cancelled", data | {"reason": after.cancellation}
    return None
