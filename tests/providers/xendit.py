"""Xendit's Payments API v3 (docs.xendit.co/apidocs), and the older `/refunds` that its Python SDK still speaks.

As documented, only a card's `reference_id` has to be unique, and neither payment requests nor refunds have an
idempotency key: asked twice, both act twice. The list by `reference_id` is the older API's; the reference of v3 does
not have it. Tokens: `pt-declined` is declined, `pt-expired` refused, `pt-3ds` redirects, any other is charged.
"""

import base64
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import ClassVar

from pydantic import JsonValue

from shared_kernel.clock import rfc3339
from tests.providers.simulator import Answer, Delivery, Entry, Happening, Kind, Proof, Refund, Request, Simulator

SECRET_KEY = "xnd_development_simulator"
CALLBACK_TOKEN = "xendit-simulator-callback-token"
BUSINESS_ID = "5f27a14a9bf05c73dd040bc8"

_BANKS = ("BCA", "BNI", "BRI", "MANDIRI", "PERMATA", "CIMB", "BSI")
_ACCOUNTS = tuple(f"{bank}_VIRTUAL_ACCOUNT" for bank in _BANKS)
_WALLETS = ("DANA", "SHOPEEPAY", "LINKAJA", "ASTRAPAY")
_STATUSES = {
    "waiting": "REQUIRES_ACTION",
    "captured": "SUCCEEDED",
    "declined": "FAILED",
    "expired": "EXPIRED",
    "cancelled": "CANCELED",
}
_EVENTS = {"declined": "payment.failure", "expired": "payment_request.expiry", "cancelled": "payment_request.expiry"}
_REFUND_STATUSES = {"pending": "PENDING", "done": "SUCCEEDED", "failed": "FAILED"}
_REASONS = ("FRAUDULENT", "DUPLICATE", "REQUESTED_BY_CUSTOMER", "CANCELLATION", "OTHERS")


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"error_code": code, "message": message})


class XenditSimulator(Simulator):
    """A create is POST /v3/payment_requests; a refund is POST /v3/refunds or /refunds."""

    name = "xendit"
    settings: ClassVar[Mapping[str, str]] = {
        "XENDIT_SECRET_KEY": SECRET_KEY,
        "XENDIT_CALLBACK_TOKEN": CALLBACK_TOKEN,
    }

    def kind(self, request: Request) -> Kind | None:
        kinds: dict[str, Kind] = {"/v3/payment_requests": "create", "/v3/refunds": "refund", "/refunds": "refund"}
        return kinds.get(request.path) if request.method == "POST" else None

    def error_500(self) -> Answer:
        return Answer(500, {"error_code": "SERVER_ERROR", "message": "An unexpected error occured"})

    def answer(self, request: Request, *, decline: bool) -> Answer:
        try:
            self._admit(request)
            return self._route(request, decline)
        except _Refused as refusal:
            return refusal.answer
        except ValueError:
            return _Refused(400, "API_VALIDATION_ERROR", "The request body is not valid JSON").answer

    def settle(self, entry: Entry, happening: Happening) -> None:
        super().settle(entry, happening)
        if happening == "fail":
            entry.details["failure_code"] = "USER_DECLINED_PAYMENT"

    def webhook(self, entry: Entry, refund: Refund | None, proof: Proof) -> Delivery:
        if refund:
            told = self._refund(entry, refund)
            event = f"refund.{'failed' if refund.status == 'failed' else 'succeeded'}"
        else:
            told = {**self._request(entry), "payment_id": entry.details["payment_id"]}
            # Of a charge that waits, a captured one is told: what a webhook says proves nothing.
            event = _EVENTS.get(entry.status, "payment.capture")
            told["status"] = "SUCCEEDED" if event == "payment.capture" else told["status"]
        body: JsonValue = {
            "event": event,
            "business_id": BUSINESS_ID,
            "created": rfc3339(self.clock()),
            "data": told,
        }
        headers = {"content-type": "application/json"}
        if proof != "missing":
            token = self.given["XENDIT_CALLBACK_TOKEN"]
            headers["x-callback-token"] = token if proof == "good" else token[::-1]
        return Delivery("/api/webhooks/xendit", headers, Answer(0, body).text())

    def _admit(self, request: Request) -> None:
        expected = "Basic " + base64.b64encode(f"{self.given['XENDIT_SECRET_KEY']}:".encode()).decode()
        if request.headers.get("authorization") != expected:
            raise _Refused(401, "INVALID_API_KEY", "API key is not authorized for this API service")
        if request.path.startswith("/v3/") and request.headers.get("api-version") != "2024-11-11":
            raise _Refused(400, "API_VALIDATION_ERROR", "The api-version header is missing or not supported")

    def _route(self, request: Request, decline: bool) -> Answer:
        match [request.method, *request.path.strip("/").split("/")]:
            case ["POST", "v3", "payment_requests"]:
                return self._create(request.json(), decline)
            case ["GET", "v3", "payment_requests"]:
                asked = [each for each in self.entries.values() if each.reference == request.query.get("reference_id")]
                shown: list[JsonValue] = [self._request(self._known(each.provider_reference)) for each in asked]
                return Answer(200, {"data": shown, "has_more": False})
            case ["GET", "v3", "payment_requests", reference]:
                return Answer(200, self._request(self._known(reference)))
            case ["POST", "v3", "payment_requests", reference, "cancel"]:
                entry = self._known(reference)
                if entry.status != "waiting":
                    raise _Refused(400, "INACTIVE_PAYMENT_REQUEST", "Payment request is already inactive.")
                entry.status = "cancelled"
                return Answer(200, self._request(entry))
            case ["POST", "v3", "payment_requests", reference, "simulate"]:
                entry = self._known(reference)
                if entry.status != "waiting":
                    raise _Refused(400, "INACTIVE_PAYMENT_REQUEST", "Payment request is already inactive.")
                self.settle(entry, "pay")
                self.tell(entry)
                return Answer(200, {"status": "PENDING", "message": "Webhook will be sent once payment is successful"})
            case ["POST", "v3", "refunds"]:
                asked_refund = request.json()
                return self._give_back(self._paid_with(asked_refund.get("payment_id")), asked_refund, decline)
            case ["GET", "v3", "refunds"]:
                entry = self._paid_with(request.query.get("payment_id"))
                return Answer(200, [self._refund(entry, refund) for refund in entry.refunds])
            case ["GET", "v3", "refunds", refund_id]:
                return Answer(200, self._refund(*self._known_refund(refund_id)))
            case ["POST", "refunds"]:
                asked_refund = request.json()
                entry = self._known(str(asked_refund.get("payment_request_id")))
                return self._give_back(entry, asked_refund, decline, older=True)
            case ["GET", "refunds", refund_id]:
                return Answer(200, self._older_refund(*self._known_refund(refund_id)))
            case _:
                raise _Refused(404, "NOT_FOUND", "The requested resource was not found")

    def _create(self, asked: Mapping[str, JsonValue], decline: bool) -> Answer:
        channel, reference = asked.get("channel_code"), asked.get("reference_id")
        properties = asked.get("channel_properties")
        if not isinstance(reference, str) or not 1 <= len(reference) <= 255 or not isinstance(channel, str):
            raise _Refused(400, "API_VALIDATION_ERROR", "reference_id and channel_code are required")
        if (asked.get("type"), asked.get("country"), asked.get("currency")) != ("PAY", "ID", "IDR"):
            raise _Refused(400, "API_VALIDATION_ERROR", "only PAY in IDR in ID is simulated")
        if not isinstance(properties, dict):
            raise _Refused(400, "API_VALIDATION_ERROR", "channel_properties is required")
        expires_at = self._end(channel, properties)
        entry = Entry(
            reference, f"pr-{uuid.uuid4()}", _minor(asked.get("request_amount")), "IDR", expires_at=expires_at
        )
        entry.details = {"channel_code": channel, "payment_id": f"py-{uuid.uuid4()}", "properties": properties}
        if channel == "CARDS":
            self._card(entry, asked.get("payment_token_id"))
        if decline:
            entry.status = "declined"
            entry.details["failure_code"] = "CARD_DECLINED" if channel == "CARDS" else "DECLINED_BY_PROCESSOR"
        elif channel == "CARDS" and entry.status == "waiting" and asked.get("payment_token_id") != "pt-3ds":
            entry.capture()
            self.tell(entry)
        self.entries[entry.provider_reference] = entry
        return Answer(201, self._request(entry))

    def _end(self, channel: str, properties: Mapping[str, JsonValue]) -> datetime:
        """When the request expires: a virtual account's can be set, the others' are those of their channels."""
        if channel in _ACCOUNTS:
            ends = properties.get("expires_at")
            try:
                expires_at = datetime.fromisoformat(str(ends).replace("Z", "+00:00")).astimezone(UTC)
            except ValueError:
                raise _Refused(400, "API_VALIDATION_ERROR", "expires_at is not a date-time") from None
            if not properties.get("display_name") or expires_at <= self.clock():
                raise _Refused(400, "INVALID_VALUE_ERROR", "display_name and an expires_at to come are required")
            return expires_at
        if channel == "QRIS":
            if "expires_at" in properties:
                raise _Refused(400, "API_VALIDATION_ERROR", "expires_at is not supported by QRIS")
            return self.clock() + timedelta(hours=48)
        if channel in _WALLETS or channel == "CARDS":
            if not (properties.get("success_return_url") and properties.get("failure_return_url")):
                raise _Refused(400, "API_VALIDATION_ERROR", "return URLs are required")
            return self.clock() + timedelta(hours=24 if channel in _WALLETS else 0.166)
        raise _Refused(400, "INVALID_VALUE_ERROR", "the channel is not activated")

    def _card(self, entry: Entry, token: JsonValue) -> None:
        if any(
            each.reference == entry.reference and each.details["channel_code"] == "CARDS"
            for each in self.entries.values()
        ):
            raise _Refused(409, "DUPLICATE_ERROR", "Duplication is not allowed: reference_id")
        if not isinstance(token, str) or not token.startswith("pt-") or token == "pt-expired":
            raise _Refused(400, "INVALID_TOKEN", "Payment token ID has expired or has been cancelled.")
        if token == "pt-declined":
            entry.status = "declined"
            entry.details["failure_code"] = "CARD_DECLINED"

    def _request(self, entry: Entry) -> dict[str, JsonValue]:
        channel = str(entry.details["channel_code"])
        shown: dict[str, JsonValue] = {
            "business_id": BUSINESS_ID,
            "reference_id": entry.reference,
            "payment_request_id": entry.provider_reference,
            "type": "PAY",
            "country": "ID",
            "currency": entry.currency,
            "request_amount": entry.amount_minor // 100,
            "capture_method": "AUTOMATIC",
            "channel_code": channel,
            "channel_properties": entry.details["properties"],
            "actions": [_action(channel, entry)] if entry.status == "waiting" else [],
            "status": _STATUSES[entry.status],
            "created": rfc3339(self.clock()),
            "updated": rfc3339(self.clock()),
        }
        if entry.times_charged:
            shown["latest_payment_id"] = entry.details["payment_id"]
        if entry.status == "declined":
            shown["failure_code"] = entry.details.get("failure_code", "FAILURE_DETAILS_UNAVAILABLE")
        return shown

    def _give_back(self, entry: Entry, asked: Mapping[str, JsonValue], decline: bool, *, older: bool = False) -> Answer:
        reference, reason = asked.get("reference_id"), asked.get("reason")
        if not isinstance(reference, str) or reason not in _REASONS:
            raise _Refused(400, "API_VALIDATION_ERROR", "reference_id and reason are required")
        if entry.status != "captured":
            raise _Refused(400, "INELIGIBLE_TRANSACTION_STATUS", "the payment has not succeeded")
        channel = entry.details["channel_code"]
        if channel in _ACCOUNTS:
            raise _Refused(400, "REFUND_NOT_SUPPORTED", "the channel has no refunds")
        amount = entry.amount_minor if asked.get("amount") is None else _minor(asked.get("amount"))
        if amount > entry.amount_minor - entry.refunded_minor:
            raise _Refused(400, "REFUND_AMOUNT_EXCEEDED", "more than was captured and not refunded")
        refund = Refund(reference, f"rfd-{uuid.uuid4()}", amount, details={"reason": reason})
        refund.details["metadata"] = asked.get("metadata")
        entry.refunds.append(refund)
        if decline:
            refund.status, refund.details["failure_code"] = "failed", "REFUND_FAILED"
        elif channel == "QRIS":
            refund.status = "pending"
        answer = Answer(200, (self._older_refund if older else self._refund)(entry, refund))
        if refund.status == "pending":
            refund.status = "done"
            self.tell(entry, refund)
        return answer

    def _refund(self, entry: Entry, refund: Refund) -> dict[str, JsonValue]:
        return {
            "refund_id": refund.provider_reference,
            "reference_id": refund.key,
            "business_id": BUSINESS_ID,
            "payment_id": entry.details["payment_id"],
            "status": _REFUND_STATUSES[refund.status],
            "amount": refund.amount_minor // 100,
            "currency": entry.currency,
            "channel_code": entry.details["channel_code"],
            "reason": refund.details["reason"],
            "failure_code": refund.details.get("failure_code"),
            "created": rfc3339(self.clock()),
            "updated": rfc3339(self.clock()),
            "metadata": refund.details["metadata"],
        }

    def _older_refund(self, entry: Entry, refund: Refund) -> dict[str, JsonValue]:
        shown = self._refund(entry, refund)
        shown.update(
            id=shown.pop("refund_id"), payment_request_id=entry.provider_reference, country="ID", refund_fee_amount=None
        )
        return shown

    def _known(self, reference: str) -> Entry:
        entry = self.entry(reference) if reference in self.entries else None
        if entry is None:
            raise _Refused(404, "DATA_NOT_FOUND", "ID specified in request cannot be found.")
        return entry

    def _paid_with(self, payment_id: JsonValue) -> Entry:
        for entry in self.entries.values():
            if entry.times_charged and entry.details["payment_id"] == payment_id:
                return entry
        raise _Refused(404, "DATA_NOT_FOUND", "ID specified in request cannot be found.")

    def _known_refund(self, refund_id: str) -> tuple[Entry, Refund]:
        for entry in self.entries.values():
            for refund in entry.refunds:
                if refund.provider_reference == refund_id:
                    return entry, refund
        raise _Refused(404, "DATA_NOT_FOUND", "ID specified in request cannot be found.")


def _action(channel: str, entry: Entry) -> JsonValue:
    if channel == "QRIS":
        value = f"00020101021226570011ID.DANA.WWW5204581253033605802ID5405{entry.amount_minor // 100}6304"
        return {"type": "PRESENT_TO_CUSTOMER", "descriptor": "QR_STRING", "value": value}
    if channel in _ACCOUNTS:
        number = f"8881{uuid.UUID(entry.provider_reference.removeprefix('pr-')).int % 10**12:012d}"
        return {"type": "PRESENT_TO_CUSTOMER", "descriptor": "VIRTUAL_ACCOUNT_NUMBER", "value": number}
    value = f"https://redirect.example/{entry.provider_reference}"
    return {"type": "REDIRECT_CUSTOMER", "descriptor": "WEB_URL", "value": value}


def _minor(amount: JsonValue) -> int:
    """Our minor units of an amount in rupiah, of which only whole ones are taken."""
    try:
        rupiah = Decimal(str(amount)) if isinstance(amount, int | float) else Decimal(0)
    except InvalidOperation:
        rupiah = Decimal(0)
    if rupiah <= 0 or rupiah != rupiah.to_integral_value():
        raise _Refused(400, "INVALID_VALUE_ERROR", "the amount has to be whole rupiah, and more than none")
    return int(rupiah) * 100
