"""Stripe's disputes, as its simulator shows them (https://docs.stripe.com/api/disputes/object)."""

from pydantic import JsonValue

from tests.providers.simulator import Dispute, Entry

_STATUS = {"inquiry": "warning_needs_response", "open": "needs_response", "won": "won", "lost": "lost"}
_EVENT = {"inquiry": "created", "open": "created", "won": "closed", "lost": "closed"}


def dispute_object(entry: Entry, dispute: Dispute, units_per_minor: int) -> dict[str, JsonValue]:
    """The dispute, its amount in Stripe's units."""
    return {
        "id": dispute.provider_reference,
        "object": "dispute",
        "amount": dispute.amount_minor * units_per_minor,
        "charge": f"ch_{entry.provider_reference.removeprefix('pi_')}",
        "currency": entry.currency.lower(),
        "metadata": {},
        "payment_intent": entry.provider_reference,
        "reason": "product_not_received",
        "status": _STATUS[dispute.status],
    }


def dispute_list(entry: Entry | None, units_per_minor: int) -> JsonValue:
    """All disputes about an intent."""
    shown: list[JsonValue] = []
    if entry is not None and entry.dispute is not None:
        shown.append(dispute_object(entry, entry.dispute, units_per_minor))
    return {"object": "list", "url": "/v1/disputes", "has_more": False, "data": shown}


def event_type(dispute: Dispute) -> str:
    """What the event that tells of it is called."""
    return f"charge.dispute.{_EVENT[dispute.status]}"
