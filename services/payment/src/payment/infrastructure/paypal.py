"""PayPal: orders that the customer approves and we capture (https://developer.paypal.com/docs/api/orders/v2/).

Money is only taken by our capture, and that is only asked for when the order's id is in our books; so an order that
was made and lost costs nobody anything. A repeated `PayPal-Request-Id` answers with the order it made, for six hours.
PayPal has no cancellation of such an order, nor an expiry of ours: what must not be captured any more is noted in the
order's `custom_id`, after our reference, and an expired charge is not captured.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import quote

from pydantic import JsonValue

from payment.application.ports import Http, Notice, ProviderError, Webhook
from payment.domain.charge import (
    Captured,
    Charge,
    Declined,
    Disputes,
    Expired,
    Means,
    Outcome,
    RefundDone,
    RefundImpossible,
    RefundOutcome,
    RefundPending,
    Voided,
    Waiting,
)
from payment.infrastructure import paypal_disputes, paypal_webhook
from payment.infrastructure.asking import digest
from payment.infrastructure.exponents import AmountNotTaken
from payment.infrastructure.paypal_api import Order, PayPalApi, PayPalRefund, Refused, Tokens, paypal_amount
from shared_kernel.clock import Clock, rfc3339
from shared_kernel.contracts.payment import Failure, Instructions
from shared_kernel.errors import Invalid
from shared_kernel.money import Money

_LINKS = {"approve", "payer-action"}
_TAKEN = {"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"}
_NOT_DECIDED = {"ORDER_ALREADY_CAPTURED", "ORDER_NOT_APPROVED", "PAYER_ACTION_REQUIRED"}
_TRY_REFUND_LATER = {"INSUFFICIENT_FUNDS", "PENDING_CAPTURE", "RESOURCE_NOT_FOUND", "TRANSACTION_DISPUTED"}
_CANCELLED, _DECLINED = "cancelled", "declined."


@dataclass(frozen=True)
class PayPalSettings:
    """Where PayPal is, who we are there, which webhook is ours, and where a customer comes back to."""

    base_url: str
    client_id: str
    client_secret: str = field(repr=False)
    webhook_id: str = field(repr=False)
    return_url: str


def settings_from(setting: Callable[[str], str | None]) -> PayPalSettings | None:
    """The settings by their names; None where a secret or our own address is missing."""
    client_id, client_secret = setting("PAYPAL_CLIENT_ID"), setting("PAYPAL_CLIENT_SECRET")
    webhook_id, return_url = setting("PAYPAL_WEBHOOK_ID"), setting("PUBLIC_URL")
    if not (client_id and client_secret and webhook_id and return_url):
        return None
    base_url = setting("PAYPAL_URL") or "https://api-m.paypal.com"
    return PayPalSettings(base_url.rstrip("/"), client_id, client_secret, webhook_id, return_url)


class PayPalProvider:
    """PayPal; a captured charge is known there as `<order>.<capture>`, one that waits as `<order>`."""

    def __init__(self, http: Http, settings: PayPalSettings, clock: Clock, tokens: Tokens | None = None) -> None:
        client = (settings.client_id, settings.client_secret)
        self._api = PayPalApi(http, settings.base_url, *client, clock, tokens if tokens is not None else Tokens())
        self._settings = settings
        self._clock = clock

    async def create(self, charge: Charge, means: Means) -> Outcome:
        """Make the order, for the customer to approve."""
        if charge.method != "paypal":
            raise Invalid("PayPal takes the method `paypal` only", code="payment_details_invalid")
        paypal_amount(charge.amount)
        if charge.provider_reference or self._clock() >= charge.expires_at:
            return await self.look_up(charge) or Expired()
        try:
            return _outcome(await self._make(charge), charge)
        except Refused as refusal:
            return _declined(refusal.issue)

    async def look_up(self, charge: Charge) -> Outcome | None:
        """How the order stands; one that was approved, and whose id is known, is captured first."""
        if charge.provider_reference is None and self._clock() >= charge.expires_at:
            return Expired()
        order = await self._find(charge)
        if order is None:
            return Expired() if charge.provider_reference else None
        standing = _outcome(order, charge)
        if not isinstance(standing, Waiting) or order.unit.payments.captures:
            return standing
        if self._clock() >= charge.expires_at:
            return Expired()
        if order.status != "APPROVED" or charge.provider_reference is None:
            return standing
        return await self._capture(order, charge)

    async def cancel(self, charge: Charge) -> Outcome | None:
        """Note in the order that it is not to be captured, making one where there is none, for a late request to
        meet; a capture that is on its way at PayPal cannot be stopped."""
        order = await self._find(charge)
        if order is None:
            return Expired() if charge.provider_reference else None
        standing = _outcome(order, charge)
        if not isinstance(standing, Waiting) or order.unit.payments.captures:
            return standing
        return await self._note(order, charge, _CANCELLED)

    async def refund(
        self, charge: Charge, refund_key: str, amount: Money, provider_reference: str | None
    ) -> RefundOutcome:
        """Refund the capture; a refund that the order lists with the key's mark is not made again."""
        if charge.provider_reference is None:
            raise ProviderError("a charge that PayPal never named cannot be refunded")
        key = digest(f"{charge.reference}.{refund_key}")
        mark = _mark(charge, refund_key)
        try:
            if provider_reference:
                path = f"/v2/payments/refunds/{quote(provider_reference, '')}"
                return _refund_outcome(await self._api.get(PayPalRefund, path))
            order, _, capture_id = charge.provider_reference.partition(".")
            known = await self._read(order)
            made = _marked(known, mark)
            if made is not None:
                return _refund_outcome(made)
            if not capture_id and known and known.unit.payments.captures:
                capture_id = known.unit.payments.captures[0].id
            path = f"/v2/payments/captures/{quote(capture_id or order, '')}/refund"
            body = json.dumps({"amount": paypal_amount(amount).model_dump(), "custom_id": mark})
            return _refund_outcome(await self._api.post(PayPalRefund, path, body, f"refund-{key}"))
        except AmountNotTaken as refusal:
            return RefundImpossible(refusal.message)
        except Refused as refusal:
            if provider_reference or refusal.issue in _TRY_REFUND_LATER:
                raise ProviderError(str(refusal)) from None
            return RefundImpossible(str(refusal))

    async def find_refund(self, charge: Charge, refund_key: str, amount: Money) -> RefundOutcome | None:
        """The refund with the key's mark, if the order lists one."""
        order, _, _ = (charge.provider_reference or "").partition(".")
        made = _marked(await self._read(order), _mark(charge, refund_key)) if order else None
        return _refund_outcome(made) if made else None

    async def disputes(self, charge: Charge) -> Disputes | None:
        """How the disputes about the capture stand; see TellsDisputes."""
        return await paypal_disputes.look_up(self._api, charge)

    async def read_webhook(self, webhook: Webhook) -> Notice:
        """What an event is about that PayPal confirms; WebhookRefused."""
        return await paypal_webhook.read(webhook, self._api, self._settings.webhook_id)

    async def _find(self, charge: Charge) -> Order | None:
        """The charge's order, made anew if none is known; None when it is gone, or PayPal would not have one."""
        if charge.provider_reference:
            return await self._read(charge.provider_reference.partition(".")[0])
        try:
            return await self._make(charge)
        except (Refused, AmountNotTaken):
            return None

    async def _make(self, charge: Charge) -> Order:
        unit: dict[str, JsonValue] = {
            "reference_id": "default",
            "custom_id": charge.reference,
            # PayPal takes no two payments with the same one, however old its request ids are by then.
            "invoice_id": charge.reference,
            "amount": paypal_amount(charge.amount).model_dump(),
        }
        # With `payment_source` in its place the order could not be changed before its approval, so not be cancelled.
        context: dict[str, JsonValue] = {
            "return_url": self._settings.return_url,
            "cancel_url": self._settings.return_url,
            "shipping_preference": "NO_SHIPPING",
            "user_action": "PAY_NOW",
        }
        body = json.dumps({"intent": "CAPTURE", "purchase_units": [unit], "application_context": context})
        return await self._api.post(Order, "/v2/checkout/orders", body, f"{charge.reference}-create")

    async def _read(self, order_id: str) -> Order | None:
        try:
            return await self._api.get(Order, f"/v2/checkout/orders/{quote(order_id, '')}")
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise ProviderError(str(refusal)) from None

    async def _capture(self, order: Order, charge: Charge) -> Outcome:
        path = f"/v2/checkout/orders/{order.id}/capture"
        try:
            return _outcome(await self._api.post(Order, path, "{}", f"{charge.reference}-capture"), charge)
        except Refused as refusal:
            if refusal.issue not in _NOT_DECIDED:
                return await self._note(order, charge, f"{_DECLINED}{refusal.issue}")
        again = await self._read(order.id)
        return _outcome(again, charge) if again else Expired()

    async def _note(self, order: Order, charge: Charge, note: str) -> Outcome:
        """Write beside our reference that the order is not to be captured; how it stands when it is too late."""
        noted = f"{charge.reference}.{note}"
        path = "/purchase_units/@reference_id=='default'/custom_id"
        try:
            await self._api.patch(f"/v2/checkout/orders/{order.id}", [{"op": "replace", "path": path, "value": noted}])
        except Refused as refusal:
            again = await self._read(order.id)
            standing = _outcome(again, charge) if again else Expired()
            if isinstance(standing, Waiting):
                raise ProviderError(str(refusal)) from None
            return standing
        return Voided() if note == _CANCELLED else _declined(note.removeprefix(_DECLINED))


def _declined(issue: str) -> Declined:
    return Declined(Failure(code=issue or "declined", detail="PayPal did not take the payment"))


def _outcome(order: Order, charge: Charge) -> Outcome:
    wanted, there = paypal_amount(charge.amount), order.unit.amount
    if (there.currency_code, Decimal(there.value)) != (wanted.currency_code, Decimal(wanted.value)):
        raise ProviderError("PayPal knows this payment with another amount")
    for capture in order.unit.payments.captures:
        if capture.status in _TAKEN:
            return Captured(f"{order.id}.{capture.id}")
        if capture.status in ("DECLINED", "FAILED"):
            reason = capture.status_details.reason if capture.status_details else None
            return _declined(reason or capture.status)
    _, _, note = order.unit.custom_id.partition(".")
    if note.startswith(_DECLINED):
        return _declined(note.removeprefix(_DECLINED))
    if note == _CANCELLED or order.status == "VOIDED":
        return Voided()
    link = next((link.href for link in order.links if link.rel in _LINKS), None)
    expires_at = rfc3339(charge.expires_at)
    return Waiting(order.id, Instructions(type="redirect", redirect_url=link, expires_at=expires_at))


def _mark(charge: Charge, refund_key: str) -> str:
    return f"{charge.reference}.{digest(f'{charge.reference}.{refund_key}')}"[:127]


def _marked(order: Order | None, mark: str) -> PayPalRefund | None:
    return next((each for each in order.unit.payments.refunds if each.custom_id == mark), None) if order else None


def _refund_outcome(refund: PayPalRefund) -> RefundOutcome:
    match refund.status:
        case "COMPLETED":
            return RefundDone(refund.id)
        case "FAILED" | "CANCELLED":
            reason = refund.status_details.reason if refund.status_details else None
            return RefundImpossible(f"PayPal's refund is {refund.status}: {reason or 'no reason given'}")
        case _:
            return RefundPending(refund.id)
