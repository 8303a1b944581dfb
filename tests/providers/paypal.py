"""PayPal: OAuth, Orders v2, refunds of captures and the check of webhooks (https://developer.paypal.com/docs/api/).

`pay` is the customer's approval: the money is taken by the merchant's capture, so the charge goes on waiting until
then. `fail` is an approval with a funding source that the capture finds declined (422 INSTRUMENT_DECLINED). The
`create` that faults hit is the making of an order and its capture, whichever comes next: a `decline` of the making is
kept for the capture, and one of the capture makes a capture with the status DECLINED. A `decline` of a refund makes it
FAILED. Where an entry's details say `slow_refunds`, its refunds are PENDING until they were looked at once.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar

from pydantic import JsonValue

from shared_kernel.clock import Clock, rfc3339, system_clock
from tests.providers.paypal_disputes import dispute_object, event_type, listed
from tests.providers.simulator import (
    Answer,
    Delivery,
    Dispute,
    Entry,
    Happening,
    Kind,
    Proof,
    Refund,
    Request,
    Simulator,
)

TOKEN_LIFE = timedelta(seconds=32400)
ORDER_KEY_LIFE, REFUND_KEY_LIFE = timedelta(hours=6), timedelta(days=45)
APPROVAL_WINDOW = timedelta(hours=3)
_SIGNING_SECRET = b"paypal's private key"
_NO_DECIMALS = {"JPY"}
_CURRENCIES = {"AUD", "CAD", "CHF", "CNY", "EUR", "GBP", "JPY", "MYR", "PHP", "SGD", "THB", "USD"}
_REFUND_STATUS = {"pending": "PENDING", "done": "COMPLETED", "failed": "FAILED"}


class _Wrong(Exception):
    """An error of PayPal's."""

    def __init__(self, status: int, issue: str) -> None:
        super().__init__(issue)
        names = {400: "INVALID_REQUEST", 404: "RESOURCE_NOT_FOUND", 422: "UNPROCESSABLE_ENTITY"}
        details: list[JsonValue] = [{"issue": issue, "description": "see the documentation"}]
        body: dict[str, JsonValue] = {"name": names[status], "details": details, "debug_id": secrets.token_hex(6)}
        self.answer = Answer(status, body)


class PayPalSimulator(Simulator):
    """PayPal."""

    name = "paypal"
    settings: ClassVar[Mapping[str, str]] = {
        "PAYPAL_CLIENT_ID": "paypal-client-local",
        "PAYPAL_CLIENT_SECRET": "paypal-secret-local",
        "PAYPAL_WEBHOOK_ID": "paypal-webhook-local",
    }

    def __init__(self, clock: Clock = system_clock) -> None:
        super().__init__(clock)
        self.tokens: dict[str, datetime] = {}
        self._made: dict[str, tuple[str, datetime]] = {}

    def kind(self, request: Request) -> Kind | None:
        if request.method != "POST":
            return None
        if request.path.startswith("/v2/payments/captures/"):
            return "refund"
        return "create" if request.path.startswith("/v2/checkout/orders") else None

    def error_500(self) -> Answer:
        return Answer(500, {"name": "INTERNAL_SERVER_ERROR", "message": "An internal server error has occurred."})

    def settle(self, entry: Entry, happening: Happening) -> None:
        if happening == "expire":
            super().settle(entry, happening)
            return
        entry.details["approved"] = True
        if happening == "fail":
            entry.details["refused"] = "INSTRUMENT_DECLINED"

    def answer(self, request: Request, *, decline: bool) -> Answer:
        authorization = request.headers.get("authorization", "")
        if request.path == "/v1/oauth2/token":
            return self._token(authorization, request.form())
        if self.tokens.get(authorization.removeprefix("Bearer "), self.clock()) <= self.clock():
            return Answer(401, {"error": "invalid_token", "error_description": "Access Token not found in cache"})
        parts = [*request.path.split("/"), "", ""]
        try:
            match (request.method, parts[2:]):
                case ("POST", ["checkout", "orders", "", ""]):
                    return self._make(request, decline)
                case ("GET", ["checkout", "orders", order_id, "", ""]):
                    return Answer(200, self._order(self._entry(order_id)))
                case ("PATCH", ["checkout", "orders", order_id, "", ""]):
                    return self._patch(self._entry(order_id), json.loads(request.body))
                case ("POST", ["checkout", "orders", order_id, "capture", "", ""]):
                    return self._capture(self._entry(order_id), decline)
                case ("POST", ["payments", "captures", capture_id, "refund", "", ""]):
                    return self._refund(capture_id, request, decline)
                case ("GET", ["customer", "disputes", dispute_id, *_]):
                    return self._disputes(request.query.get("disputed_transaction_id"), dispute_id)
                case ("GET", ["payments", "refunds", refund_id, "", ""]):
                    return self._read_refund(refund_id)
                case ("POST", ["notifications", "verify-webhook-signature", "", ""]):
                    return self._verify(request)
                case _:
                    raise _Wrong(404, "RESOURCE_NOT_FOUND")
        except _Wrong as wrong:
            return wrong.answer

    def webhook(self, entry: Entry, refund: Refund | None, proof: Proof) -> Delivery:
        return self._signed(*self._told(entry, refund), proof)

    def dispute_webhook(self, entry: Entry, dispute: Dispute, proof: Proof) -> Delivery:
        shown = dispute_object(entry, dispute, _money(entry.currency, dispute.amount_minor))
        return self._signed(event_type(dispute), "dispute", shown, proof)

    def _signed(self, kind: str, resource_type: str, resource: JsonValue, proof: Proof) -> Delivery:
        event: dict[str, JsonValue] = {
            "id": f"WH-{secrets.token_hex(8).upper()}",
            "event_version": "1.0",
            "create_time": rfc3339(self.clock()),
            "resource_type": resource_type,
            "event_type": kind,
            "resource": resource,
        }
        # The spaces and the escapes are such as no other writer of JSON would make again.
        body = json.dumps(event, indent=1).replace("/", "\\/")
        sent_at, message_id = rfc3339(self.clock()), secrets.token_hex(8)
        signature = self._signature(message_id, sent_at, body) if proof == "good" else "bm8gc2lnbmF0dXJl"
        headers = {
            "content-type": "application/json",
            "paypal-auth-algo": "SHA256withRSA",
            "paypal-cert-url": "https://api.paypal.com/v1/notifications/certs/CERT-local",
            "paypal-transmission-id": message_id,
            "paypal-transmission-time": sent_at,
        }
        if proof != "missing":
            headers["paypal-transmission-sig"] = signature
        return Delivery("/api/webhooks/paypal", headers, body)

    def _told(self, entry: Entry, refund: Refund | None) -> tuple[str, str, JsonValue]:
        """The event's type, its resource's type, and the resource."""
        if refund:
            kind = "PAYMENT.REFUND.FAILED" if refund.status == "failed" else "PAYMENT.CAPTURE.REFUNDED"
            return kind, "refund", _refund_object(entry, refund)
        if "capture_status" in entry.details:
            capture = _capture_object(entry)
            capture["supplementary_data"] = {"related_ids": {"order_id": entry.provider_reference}}
            return f"PAYMENT.CAPTURE.{entry.details['capture_status']}", "capture", capture
        kind = "APPROVED" if entry.details.get("approved") else "VOIDED" if entry.status == "expired" else "SAVED"
        return f"CHECKOUT.ORDER.{kind}", "checkout-order", self._order(entry)

    def _signature(self, message_id: str, sent_at: str, body: str) -> str:
        signed = f"{message_id}|{sent_at}|{self.given['PAYPAL_WEBHOOK_ID']}|{zlib.crc32(body.encode())}"
        return base64.b64encode(hmac.digest(_SIGNING_SECRET, signed.encode(), hashlib.sha256)).decode()

    def _verify(self, request: Request) -> Answer:
        fields = request.json()
        # The checksum is of the event as it was sent, so as it stands in the request.
        raw = request.body.partition('"webhook_event":')[2].strip().removesuffix("}").strip()
        wanted = self._signature(str(fields.get("transmission_id")), str(fields.get("transmission_time")), raw)
        good = fields.get("transmission_sig") == wanted and fields.get("webhook_id") == self.given["PAYPAL_WEBHOOK_ID"]
        return Answer(200, {"verification_status": "SUCCESS" if good else "FAILURE"})

    def _token(self, authorization: str, form: Mapping[str, str]) -> Answer:
        wanted = f"{self.given['PAYPAL_CLIENT_ID']}:{self.given['PAYPAL_CLIENT_SECRET']}".encode()
        if authorization != f"Basic {base64.b64encode(wanted).decode()}":
            return Answer(401, {"error": "invalid_client", "error_description": "Client Authentication failed"})
        if form.get("grant_type") != "client_credentials":
            return Answer(400, {"error": "unsupported_grant_type"})
        token = secrets.token_urlsafe(24)
        self.tokens[token] = self.clock() + TOKEN_LIFE
        seconds = int(TOKEN_LIFE.total_seconds())
        return Answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": seconds})

    def _known(self, request: Request, life: timedelta) -> str | None:
        made = self._made.get(request.headers.get("paypal-request-id", ""))
        return made[0] if made and self.clock() < made[1] + life else None

    def _remember(self, request: Request, made: str) -> None:
        if request_id := request.headers.get("paypal-request-id"):
            if len(request_id) > 108:
                raise _Wrong(400, "INVALID_STRING_LENGTH")
            self._made[request_id] = (made, self.clock())

    def _make(self, request: Request, decline: bool) -> Answer:
        if known := self._known(request, ORDER_KEY_LIFE):
            return Answer(200, self._order(self._entry(known)))
        body = request.json()
        units, context = body.get("purchase_units"), body.get("application_context")
        if body.get("intent") != "CAPTURE" or not isinstance(units, list) or len(units) != 1:
            raise _Wrong(400, "INVALID_PARAMETER_VALUE")
        unit = units[0]
        if not isinstance(unit, dict) or not isinstance(context, dict) or not context.get("return_url"):
            raise _Wrong(400, "MISSING_REQUIRED_PARAMETER")
        currency, amount_minor = _amount(unit.get("amount"))
        custom_id = str(unit.get("custom_id", ""))
        if len(custom_id) > 127:
            raise _Wrong(400, "INVALID_STRING_LENGTH")
        order_id = _id()
        entry = Entry(custom_id or order_id, order_id, amount_minor, currency)
        entry.expires_at = self.clock() + APPROVAL_WINDOW
        entry.details = {"custom_id": custom_id, "invoice_id": unit.get("invoice_id")}
        if decline:
            entry.details["refused"] = "INSTRUMENT_DECLINED"
        self._remember(request, order_id)
        self.entries[order_id] = entry
        return Answer(201, self._order(entry))

    def _patch(self, entry: Entry, changes: JsonValue) -> Answer:
        if entry.status != "waiting":
            raise _Wrong(422, "ORDER_ALREADY_COMPLETED")
        for change in changes if isinstance(changes, list) else []:
            if not isinstance(change, dict) or change.get("op") != "replace":
                raise _Wrong(400, "INVALID_PARAMETER_VALUE")
            if change.get("path") != "/purchase_units/@reference_id=='default'/custom_id":
                raise _Wrong(422, "NOT_PATCHABLE")
            entry.details["custom_id"] = change["value"]
        return Answer(204, "")

    def _capture(self, entry: Entry, decline: bool) -> Answer:
        if entry.status == "captured":
            raise _Wrong(422, "ORDER_ALREADY_CAPTURED")
        if not entry.details.get("approved"):
            raise _Wrong(422, "ORDER_NOT_APPROVED")
        if refused := entry.details.get("refused"):
            raise _Wrong(422, str(refused))
        if any(each is not entry and each.times_charged and each.details["invoice_id"] == entry.details["invoice_id"]
               for each in self.entries.values()):  # fmt: skip
            raise _Wrong(422, "DUPLICATE_INVOICE_ID")
        entry.details["capture_id"] = _id()
        if decline:
            entry.status = "declined"
        else:
            entry.capture()
        entry.details["capture_status"] = "DECLINED" if decline else "COMPLETED"
        self.tell(entry)
        return Answer(201, self._order(entry))

    def _refund(self, capture_id: str, request: Request, decline: bool) -> Answer:
        entry = next((each for each in self.entries.values() if each.details.get("capture_id") == capture_id), None)
        if entry is None:
            raise _Wrong(404, "RESOURCE_NOT_FOUND")
        if known := self._known(request, REFUND_KEY_LIFE):
            return self._read_refund(known)
        body = request.json()
        if entry.dispute and entry.dispute.status == "open":
            raise _Wrong(422, "TRANSACTION_DISPUTED")
        left = entry.left_minor
        currency, amount_minor = _amount(body["amount"]) if "amount" in body else (entry.currency, left)
        if currency != entry.currency:
            raise _Wrong(422, "REFUND_CAPTURE_CURRENCY_MISMATCH")
        if not left:
            raise _Wrong(422, "CAPTURE_FULLY_REFUNDED")
        if amount_minor > left:
            raise _Wrong(422, "REFUND_AMOUNT_EXCEEDED")
        refund = Refund(str(body.get("custom_id", "")), _id(), amount_minor)
        refund.status = "failed" if decline else "pending" if entry.details.get("slow_refunds") else "done"
        self._remember(request, refund.provider_reference)
        entry.refunds.append(refund)
        self.tell(entry, refund)
        return Answer(201, _refund_object(entry, refund))

    def _read_refund(self, refund_id: str) -> Answer:
        for entry in self.entries.values():
            for refund in entry.refunds:
                if refund.provider_reference == refund_id:
                    shown = _refund_object(entry, refund)
                    # Time passes between two looks.
                    refund.status = "done" if refund.status == "pending" else refund.status
                    return Answer(200, shown)
        raise _Wrong(404, "RESOURCE_NOT_FOUND")

    def _disputes(self, capture_id: str | None, dispute_id: str) -> Answer:
        found = [
            dispute_object(entry, entry.dispute, _money(entry.currency, entry.dispute.amount_minor))
            for entry in self.entries.values()
            if entry.dispute
            and (entry.dispute.provider_reference == dispute_id or entry.details["capture_id"] == capture_id)
        ]
        if not dispute_id:
            shown: list[JsonValue] = [listed(each) for each in found]
            return Answer(200, {"items": shown})
        if not found:
            raise _Wrong(404, "RESOURCE_NOT_FOUND")
        return Answer(200, found[0])

    def _entry(self, order_id: str) -> Entry:
        entry = self.entry(order_id)
        if entry is None or entry.provider_reference != order_id or entry.status == "expired":
            raise _Wrong(404, "RESOURCE_NOT_FOUND")
        return entry

    def _order(self, entry: Entry) -> JsonValue:
        approved = "APPROVED" if entry.details.get("approved") else "CREATED"
        status = approved if entry.status == "waiting" else "COMPLETED"
        unit: dict[str, JsonValue] = {
            "reference_id": "default",
            "custom_id": entry.details["custom_id"],
            "invoice_id": entry.details["invoice_id"],
            "amount": _money(entry.currency, entry.amount_minor),
        }
        if "capture_id" in entry.details:
            refunds: list[JsonValue] = [_refund_object(entry, refund) for refund in entry.refunds]
            unit["payments"] = {"captures": [_capture_object(entry)], **({"refunds": refunds} if refunds else {})}
        links: list[JsonValue] = [{"href": f"https://api-m.paypal.com/v2/checkout/orders/{entry.provider_reference}",
                                   "rel": "self", "method": "GET"}]  # fmt: skip
        if status == "CREATED":
            approve = f"https://www.paypal.com/checkoutnow?token={entry.provider_reference}"
            links.append({"href": approve, "rel": "approve", "method": "GET"})
        return {
            "id": entry.provider_reference,
            "intent": "CAPTURE",
            "status": status,
            "purchase_units": [unit],
            "links": links,
        }


def _capture_object(entry: Entry) -> dict[str, JsonValue]:
    refunded = {0: "COMPLETED", entry.amount_minor: "REFUNDED"}.get(entry.refunded_minor, "PARTIALLY_REFUNDED")
    return {
        "id": entry.details["capture_id"],
        "status": refunded if entry.status == "captured" else entry.details["capture_status"],
        "amount": _money(entry.currency, entry.amount_minor),
        "custom_id": entry.details["custom_id"],
        "invoice_id": entry.details["invoice_id"],
        "final_capture": True,
    }


def _refund_object(entry: Entry, refund: Refund) -> dict[str, JsonValue]:
    return {
        "id": refund.provider_reference,
        "status": _REFUND_STATUS[refund.status],
        "amount": _money(entry.currency, refund.amount_minor),
        "custom_id": refund.key,
        "invoice_id": entry.details["invoice_id"],
    }


def _money(currency: str, amount_minor: int) -> JsonValue:
    decimals = 0 if currency in _NO_DECIMALS else 2
    return {"currency_code": currency, "value": f"{Decimal(amount_minor).scaleb(-decimals):.{decimals}f}"}


def _amount(amount: JsonValue) -> tuple[str, int]:
    """The currency and the minor units of PayPal's words for an amount."""
    if not isinstance(amount, dict):
        raise _Wrong(400, "MISSING_REQUIRED_PARAMETER")
    currency, value = str(amount.get("currency_code")), str(amount.get("value"))
    if currency not in _CURRENCIES:
        raise _Wrong(422, "CURRENCY_NOT_SUPPORTED")
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        raise _Wrong(400, "INVALID_PARAMETER_SYNTAX")
    decimals = len(value.partition(".")[2])
    if currency in _NO_DECIMALS and decimals:
        raise _Wrong(422, "DECIMALS_NOT_SUPPORTED")
    if decimals > 2:
        raise _Wrong(422, "DECIMAL_PRECISION")
    minor = int(Decimal(value).scaleb(0 if currency in _NO_DECIMALS else 2))
    if minor <= 0:
        raise _Wrong(422, "CANNOT_BE_ZERO_OR_NEGATIVE")
    return currency, minor


def _id() -> str:
    return "".join(secrets.choice("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(17))
