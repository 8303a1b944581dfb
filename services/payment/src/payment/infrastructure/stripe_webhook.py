"""Stripe's webhooks: whether one is signed, and what it is about (https://docs.stripe.com/webhooks/signature)."""

import hashlib
import hmac
from datetime import datetime

from pydantic import BaseModel, JsonValue, ValidationError

from payment.application.ports import Notice, Webhook, WebhookRefused
from shared_kernel.clock import to_milliseconds

TOLERANCE_SECONDS = 300


class _About(BaseModel):
    object: str | None = None
    id: str | None = None
    payment_intent: str | None = None
    metadata: dict[str, str] | None = None


class _Data(BaseModel):
    object: dict[str, JsonValue]


class _Event(BaseModel):
    id: str
    type: str
    data: _Data


def read(webhook: Webhook, secret: str, now: datetime) -> Notice:
    """What the event is about; WebhookRefused unless a `v1` signature fits and is no more than 300 seconds old."""
    signed_at, signatures = _parts(webhook.headers.get("stripe-signature", ""))
    if not (signed_at.isascii() and signed_at.isdecimal() and len(signed_at) <= 12):
        raise WebhookRefused("the message has no Stripe signature")
    wanted = hmac.digest(secret.encode(), f"{signed_at}.{webhook.body}".encode(), hashlib.sha256).hex().encode()
    # There are several while a secret is being replaced: the old and the new one sign side by side.
    if not any(hmac.compare_digest(wanted, signature.encode()) for signature in signatures):
        raise WebhookRefused("the message is not signed by Stripe")
    if abs(to_milliseconds(now) - int(signed_at) * 1000) > TOLERANCE_SECONDS * 1000:
        raise WebhookRefused("the signature is too old")
    try:
        event = _Event.model_validate_json(webhook.body)
    except ValidationError:
        raise WebhookRefused("the message is no event of Stripe's") from None
    try:
        return _notice(event, _About.model_validate(event.data.object))
    except ValidationError:
        # Stripe tells of much more than payments, in other shapes.
        return Notice(event.id)


def _parts(header: str) -> tuple[str, list[str]]:
    pairs = [part.strip().partition("=")[::2] for part in header.split(",")]
    times = [value for name, value in pairs if name == "t"]
    return (times[0] if times else ""), [value for name, value in pairs if name == "v1"]


def _notice(event: _Event, about: _About) -> Notice:
    ours, is_refund = about.metadata or {}, about.object == "refund"
    return Notice(
        event_id=event.id,
        reference=ours.get("reference"),
        provider_reference=about.id if about.object == "payment_intent" else about.payment_intent,
        refund_reference=about.id if is_refund else None,
        # So a refund is known even where the answer that named it was lost.
        refund_key=ours.get("refund_key") if is_refund else None,
        # How it stands is asked; an inquiry among them takes no money back.
        disputed=event.type.startswith("charge.dispute."),
    )
