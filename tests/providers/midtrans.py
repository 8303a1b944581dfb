"""Midtrans' Core API, as its reference tells it: charge, status, cancel, expire, refund and notifications.

Cards: a token that begins with `invalid` is refused with 411; without `authentication` the card is captured in the
answer, with it the customer has to follow `redirect_url` (`pay` is his having done so). A captured card is not
settled, and can then be cancelled but not refunded, until `/control/midtrans/pay` is sent again with `anyway`.
"""

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import ClassVar

from pydantic import JsonValue

from shared_kernel.clock import Clock, system_clock
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

SERVER_KEY = "SB-Mid-server-local-simulator"
KEY_LIFETIME = timedelta(minutes=5)
JAKARTA = timezone(timedelta(hours=7))
CARD_EXPIRY = timedelta(minutes=10)
OTHER_EXPIRY = timedelta(hours=24)
UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
STATUSES = {"waiting": "pending", "captured": "settlement", "declined": "deny", "expired": "expire"}
CODES = {"pending": "201", "deny": "202", "expire": "407"}
REFUNDABLE = {"credit_card", "gopay", "qris"}


class MidtransSimulator(Simulator):
    """Midtrans' side, its books in whole rupiah times a hundred."""

    name = "midtrans"
    settings: ClassVar[Mapping[str, str]] = {"MIDTRANS_SERVER_KEY": SERVER_KEY}

    def __init__(self, clock: Clock = system_clock) -> None:
        super().__init__(clock)
        self.remembered: dict[str, tuple[datetime, Answer]] = {}

    def kind(self, request: Request) -> Kind | None:
        if request.method != "POST":
            return None
        if request.path == "/v2/charge":
            return "create"
        return "refund" if request.path.endswith(("/refund", "/refund/online/direct")) else None

    def answer(self, request: Request, *, decline: bool) -> Answer:
        expected = "Basic " + base64.b64encode(f"{self.given['MIDTRANS_SERVER_KEY']}:".encode()).decode()
        if request.path.endswith("/qr-code"):
            return Answer(200, "an image of the QR code", {"content-type": "image/png"})
        if request.headers.get("authorization") != expected:
            message = "Transaction cannot be authorized with the current client/server key."
            return Answer(401, {"status_code": "401", "status_message": message})
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        if key in self.remembered and self.remembered[key][0] + KEY_LIFETIME > self.clock():
            return self.remembered[key][1]
        answer = self._route(request, decline)
        if key and isinstance(answer.body, dict) and str(answer.body.get("status_code", "")).startswith("2"):
            self.remembered[key] = (self.clock(), answer)
        return answer

    def error_500(self) -> Answer:
        return _refusal("500", "Sorry. Our system is recovering from unexpected issues. Please retry.", http=500)

    def settle(self, entry: Entry, happening: Happening) -> None:
        if happening == "pay" and entry.status == "captured":
            entry.details["settled"] = True
            return
        super().settle(entry, happening)

    def webhook(self, entry: Entry, refund: Refund | None, proof: Proof) -> Delivery:
        body = _transaction(entry) | {"status_message": "midtrans payment notification"}
        # A notification of an expiry carries 202 where the status carries 407.
        code = "202" if body["transaction_status"] == "expire" else str(body["status_code"])
        key = self.given["MIDTRANS_SERVER_KEY"] if proof == "good" else "SB-Mid-server-of-somebody-else"
        signed = f"{entry.reference}{code}{body['gross_amount']}{key}"
        body |= {"status_code": code, "signature_key": hashlib.sha512(signed.encode()).hexdigest()}
        if proof == "missing":
            del body["signature_key"]
        return Delivery("/api/webhooks/midtrans", {"content-type": "application/json"}, json.dumps(body))

    def dispute_webhook(self, entry: Entry, dispute: Dispute, proof: Proof) -> Delivery:
        """Midtrans tells of a chargeback when it has been made, and of nothing before."""
        return self.webhook(entry, None, proof)

    def _route(self, request: Request, decline: bool) -> Answer:
        if (request.method, request.path) == ("POST", "/v2/charge"):
            return self._charge(request.json(), decline)
        _, version, reference, *verb = request.path.split("/")
        entry = self.entry(reference)
        if version != "v2" or entry is None:
            return _refusal("404", "Transaction doesn't exist.")
        match request.method, "/".join(verb):
            case "GET", "status":
                return Answer(200, _transaction(entry))
            case "POST", "cancel":
                return self._cancel(entry)
            case "POST", "expire" if entry.status == "waiting":
                entry.status = "expired"
                return Answer(200, _transaction(entry) | {"status_message": "Success, transaction has expired"})
            case "POST", "refund" | "refund/online/direct":
                return self._refund(entry, request.json(), decline)
        return _refusal("412", "Merchant cannot modify the status of the transaction")

    def _charge(self, asked: dict[str, JsonValue], decline: bool) -> Answer:
        order, kind = asked.get("transaction_details"), str(asked.get("payment_type"))
        if not isinstance(order, dict) or not isinstance(order.get("gross_amount"), int) or not order.get("order_id"):
            return _refusal("400", "One or more parameters in the payload is invalid.")
        if kind not in REFUNDABLE | {"bank_transfer", "echannel"}:
            return _refusal("402", "Payment channel is not activated.")
        reference = str(order["order_id"])
        known = self.entry(reference)
        if known and known.status != "expired":
            return _refusal("406", "The request could not be completed due to a conflict, please try again.")
        card = asked.get("credit_card")
        if kind == "credit_card" and (not isinstance(card, dict) or str(card["token_id"]).startswith("invalid")):
            return _refusal("411", "Credit card token is no longer available. Please create a new one.")
        entry = Entry(reference, str(uuid.uuid4()), int(str(order["gross_amount"])) * 100, "IDR")
        entry.expires_at = self.clock() + _expiry(asked.get("custom_expiry"), kind)
        entry.details = {"payment_type": kind, "time": f"{self.clock().astimezone(JAKARTA):%Y-%m-%d %H:%M:%S}"}
        entry.details |= _account(asked)
        if known:
            del self.entries[known.provider_reference]
        self.entries[entry.provider_reference] = entry
        if decline:
            entry.status = "declined"
        elif isinstance(card, dict) and not card.get("authentication"):
            entry.capture()
            self.tell(entry)
        return Answer(200, _transaction(entry) | _actions(entry, self.clock()))

    @staticmethod
    def _cancel(entry: Entry) -> Answer:
        unsettled = entry.details["payment_type"] == "credit_card" and not entry.details.get("settled")
        if entry.status == "captured" and unsettled and not entry.refunds:
            entry.refunds.append(Refund("cancel", str(uuid.uuid4()), entry.amount_minor))
        elif entry.status != "waiting":
            return _refusal("412", "Merchant cannot modify the status of the transaction")
        entry.status = "cancelled"
        return Answer(200, _transaction(entry) | {"status_message": "Success, transaction is canceled"})

    def _refund(self, entry: Entry, asked: dict[str, JsonValue], decline: bool) -> Answer:
        key = str(asked.get("refund_key") or uuid.uuid4())
        refund = next((each for each in entry.refunds if each.key == key), None)
        if refund is None:
            amount_minor = int(str(asked.get("amount", entry.amount_minor // 100))) * 100
            left_minor = entry.left_minor
            if decline:
                return _refusal("414", "Refund request is rejected due to merchant insufficient funds.")
            if _status(entry) not in {"settlement", "partial_refund"} or not 0 < amount_minor <= left_minor:
                return _refusal("412", "Merchant cannot modify the status of the transaction")
            if entry.details["payment_type"] not in REFUNDABLE:
                return _refusal("412", "Merchant cannot modify the status of the transaction")
            refund = Refund(key, str(uuid.uuid4()), amount_minor)
            entry.refunds.append(refund)
            self.tell(entry, refund)
        body = _transaction(entry) | {"status_message": "Success, refund request is approved"}
        body |= {"refund_key": key, "refund_amount": _decimals(refund.amount_minor)}
        return Answer(200, body)


def _refusal(code: str, message: str, http: int = 200) -> Answer:
    return Answer(http, {"status_code": code, "status_message": message, "id": str(uuid.uuid4())})


def _decimals(amount_minor: int) -> str:
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"


def _expiry(custom: JsonValue, kind: str) -> timedelta:
    if isinstance(custom, dict) and isinstance(custom["expiry_duration"], int):
        return timedelta(seconds=custom["expiry_duration"] * UNITS[str(custom.get("unit", "minute"))])
    return CARD_EXPIRY if kind == "credit_card" else OTHER_EXPIRY


def _account(asked: dict[str, JsonValue]) -> dict[str, JsonValue]:
    digits = f"{uuid.uuid4().int % 10**12:012d}"
    if asked["payment_type"] == "echannel":
        return {"biller_code": "70012", "bill_key": digits}
    transfer = asked.get("bank_transfer")
    if not isinstance(transfer, dict):
        return {}
    if transfer["bank"] == "permata":
        return {"permata_va_number": f"8778{digits}"}
    return {"va_numbers": [{"bank": transfer["bank"], "va_number": digits}]}


def _actions(entry: Entry, now: datetime) -> dict[str, JsonValue]:
    """What only the answer to the charge tells."""
    if entry.status != "waiting":
        return {}
    kind, here = entry.details["payment_type"], f"https://api.midtrans.example/v2/{entry.details['payment_type']}"
    image: JsonValue = {
        "name": "generate-qr-code",
        "method": "GET",
        "url": f"{here}/{entry.provider_reference}/qr-code",
    }
    expiry: dict[str, JsonValue] = {"expiry_time": f"{(entry.expires_at or now).astimezone(JAKARTA):%Y-%m-%d %H:%M:%S}"}
    if kind == "qris":
        return expiry | {"actions": [image], "qr_string": f"0002010102{entry.provider_reference}", "acquirer": "gopay"}
    if kind == "gopay":
        url = f"https://simulator.sandbox.midtrans.example/gopay/partner/app/payment-pin?id={entry.provider_reference}"
        return expiry | {"actions": [image, {"name": "deeplink-redirect", "method": "GET", "url": url}]}
    if kind == "credit_card":
        url = f"https://api.midtrans.example/v2/token/rba/redirect/{entry.provider_reference}"
        return expiry | {"redirect_url": url}
    return expiry


def _status(entry: Entry) -> str:
    if entry.status == "cancelled":
        return "cancel"
    if entry.charged_back_minor:
        return "partial_chargeback" if entry.left_minor else "chargeback"
    if entry.refunded_minor:
        return "refund" if entry.refunded_minor == entry.amount_minor else "partial_refund"
    if entry.status == "captured" and entry.details["payment_type"] == "credit_card":
        return "settlement" if entry.details.get("settled") else "capture"
    return STATUSES[entry.status]


def _transaction(entry: Entry) -> dict[str, JsonValue]:
    status = _status(entry)
    body: dict[str, JsonValue] = {
        "status_code": CODES.get(status, "200"),
        "status_message": "Success, transaction is found",
        "transaction_id": entry.provider_reference,
        "order_id": entry.reference,
        "merchant_id": "G000000000",
        "gross_amount": _decimals(entry.amount_minor),
        "currency": "IDR",
        "transaction_time": entry.details["time"],
        "transaction_status": status,
        "fraud_status": "accept",
        **{name: value for name, value in entry.details.items() if name not in {"time", "settled"}},
    }
    if entry.refunds and entry.status != "cancelled":
        body["refund_amount"] = _decimals(entry.refunded_minor)
        body["refunds"] = [
            {
                "refund_chargeback_id": number,
                "refund_chargeback_uuid": refund.provider_reference,
                "refund_amount": _decimals(refund.amount_minor),
                "refund_key": refund.key,
                "refund_method": "online",
            }
            for number, refund in enumerate(entry.refunds, start=1)
        ]
    return body
