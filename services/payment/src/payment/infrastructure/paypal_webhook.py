"""PayPal's webhooks: whether PayPal says that one is its own, and what it is about.

https://developer.paypal.com/docs/api/webhooks/v1/#verify-webhook-signature_post
"""

import json

from pydantic import BaseModel, JsonValue, ValidationError

from payment.application.ports import Notice, Webhook, WebhookRefused
from payment.infrastructure.paypal_api import PayPalApi, Refused

_PROOF = {
    "auth_algo": "paypal-auth-algo",
    "cert_url": "paypal-cert-url",
    "transmission_id": "paypal-transmission-id",
    "transmission_sig": "paypal-transmission-sig",
    "transmission_time": "paypal-transmission-time",
}


class _Unit(BaseModel):
    custom_id: str | None = None
    invoice_id: str | None = None


class _Related(BaseModel):
    order_id: str | None = None


class _Supplementary(BaseModel):
    related_ids: _Related = _Related()


class _Disputed(BaseModel):
    custom: str | None = None
    invoice_number: str | None = None


class _Resource(_Unit):
    id: str | None = None
    purchase_units: list[_Unit] = []
    supplementary_data: _Supplementary = _Supplementary()
    disputed_transactions: list[_Disputed] = []


class _Event(BaseModel):
    id: str
    event_type: str
    resource_type: str | None = None
    resource: dict[str, JsonValue]


class _Verdict(BaseModel):
    verification_status: str


async def read(webhook: Webhook, api: PayPalApi, webhook_id: str) -> Notice:
    """What the event is about, once PayPal has confirmed it; WebhookRefused, ProviderError."""
    proof = {name: webhook.headers.get(header, "") for name, header in _PROOF.items()}
    if not all(proof.values()):
        raise WebhookRefused("the message has no PayPal signature")
    try:
        event = _Event.model_validate_json(webhook.body)
    except ValidationError:
        raise WebhookRefused("the message is no event of PayPal's") from None
    # The event goes back as it came, byte by byte, for PayPal compares a checksum of it; it is one JSON value.
    asked = f'{json.dumps({**proof, "webhook_id": webhook_id})[:-1]}, "webhook_event": {webhook.body}}}'
    try:
        verdict = await api.post(_Verdict, "/v1/notifications/verify-webhook-signature", asked)
    except Refused as refusal:
        raise WebhookRefused("PayPal does not know the message") from refusal
    if verdict.verification_status != "SUCCESS":
        raise WebhookRefused("the message is not signed by PayPal")
    try:
        return _notice(event, _Resource.model_validate(event.resource))
    except ValidationError:
        # PayPal tells of much more than payments, in other shapes.
        return Notice(event.id)


def _notice(event: _Event, about: _Resource) -> Notice:
    unit = about.purchase_units[0] if about.purchase_units else about
    ours = unit.custom_id or unit.invoice_id or ""
    if about.disputed_transactions:
        ours = about.disputed_transactions[0].custom or about.disputed_transactions[0].invoice_number or ""
    is_order = event.event_type.startswith("CHECKOUT.ORDER.")
    return Notice(
        event_id=event.id,
        # What comes after the first dot is what we noted beside the reference.
        reference=ours.partition(".")[0] or None,
        provider_reference=about.id if is_order else about.supplementary_data.related_ids.order_id,
        refund_reference=about.id if event.resource_type == "refund" else None,
        # How it stands is asked.
        disputed=event.event_type.startswith(("CUSTOMER.DISPUTE.", "PAYMENT.CAPTURE.REVERSED")),
    )
