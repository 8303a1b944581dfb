"""PayPal's disputes, as its simulator shows them (https://developer.paypal.com/docs/api/customer-disputes/v1/)."""

from pydantic import JsonValue

from tests.providers.simulator import Dispute, Entry

_OUTCOMES = {"won": "RESOLVED_SELLER_FAVOUR", "lost": "RESOLVED_BUYER_FAVOUR"}


def dispute_object(entry: Entry, dispute: Dispute, amount: JsonValue) -> dict[str, JsonValue]:
    """The dispute with its details; `amount` in PayPal's words."""
    ended = dispute.status in _OUTCOMES
    shown: dict[str, JsonValue] = {
        "dispute_id": dispute.provider_reference,
        "disputed_transactions": [
            {
                "seller_transaction_id": entry.details["capture_id"],
                "custom": entry.details["custom_id"],
                "invoice_number": entry.details["invoice_id"],
            }
        ],
        "reason": "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
        "status": "RESOLVED" if ended else "UNDER_REVIEW",
        "dispute_amount": amount,
        "dispute_life_cycle_stage": "INQUIRY" if dispute.status == "inquiry" else "CHARGEBACK",
        "dispute_channel": "INTERNAL",
    }
    if ended:
        outcome: dict[str, JsonValue] = {"outcome_code": _OUTCOMES[dispute.status]}
        shown["dispute_outcome"] = outcome | ({"amount_refunded": amount} if dispute.status == "lost" else {})
    return shown


def listed(shown: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The dispute as the list has it: without how it ended."""
    return {name: value for name, value in shown.items() if name != "dispute_outcome"}


def event_type(dispute: Dispute) -> str:
    """What the event that tells of it is called."""
    return f"CUSTOMER.DISPUTE.{'RESOLVED' if dispute.status in _OUTCOMES else 'CREATED'}"
