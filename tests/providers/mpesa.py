"""Daraja, as Safaricom's documentation tells it: OAuth, STK push and its query, reversals, transaction status.

It calls back at the addresses that each request names, and knows our payment only by its AccountReference (its last
twelve characters), so `/control/mpesa` finds a charge by any reference that ends with that. A declined create is
taken on and then fails for want of money; `fail` is the customer's refusal, unless `details["result_code"]` says
otherwise. A reversal is of a whole payment and carried out at once; its result comes by callback.
"""

import base64
import json
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import JsonValue

from shared_kernel.clock import Clock, system_clock
from tests.providers.simulator import Answer, Delivery, Entry, Happening, Kind, Proof, Refund, Request, Simulator

PROMPT_LIFETIME = timedelta(minutes=3)
TOKEN_LIFETIME_SECONDS = 3599
DESCRIPTIONS = {
    "0": "The service request is processed successfully.",
    "1": "The balance is insufficient for the transaction.",
    "1032": "Request cancelled by user",
    "1037": "DS timeout user cannot be reached",
    "2001": "The initiator information is invalid.",
    "R000001": "The transaction has already been reversed.",
}


class MpesaSimulator(Simulator):
    """Safaricom's side, its books in Kenyan cents."""

    name = "mpesa"
    settings: ClassVar[Mapping[str, str]] = {
        "MPESA_CONSUMER_KEY": "local-consumer-key",
        "MPESA_CONSUMER_SECRET": "local-consumer-secret",
        "MPESA_PASSKEY": "local-passkey",
        "MPESA_SHORTCODE": "174379",
        "MPESA_CALLBACK_SECRET": "local-callback-secret",
        "MPESA_INITIATOR": "testapi",
        "MPESA_SECURITY_CREDENTIAL": "local-security-credential",
    }

    def __init__(self, clock: Clock = system_clock) -> None:
        super().__init__(clock)
        self.tokens: dict[str, datetime] = {}

    def kind(self, request: Request) -> Kind | None:
        kinds: dict[str, Kind] = {
            "/mpesa/stkpush/v1/processrequest": "create",
            "/mpesa/reversal/v1/request": "refund",
        }
        return kinds.get(request.path)

    def answer(self, request: Request, *, decline: bool) -> Answer:
        if request.path == "/oauth/v1/generate":
            return self._authorise(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens.get(token, self.clock()) <= self.clock():
            return _error(404, "404.001.03", "Invalid Access Token")
        asked = request.json()
        match request.path:
            case "/mpesa/stkpush/v1/processrequest":
                return self._push(asked, decline)
            case "/mpesa/stkpushquery/v1/query":
                return self._query(asked)
            case "/mpesa/reversal/v1/request":
                return self._reverse(asked, decline)
            case "/mpesa/transactionstatus/v1/query":
                return self._status(asked)
        return _error(404, "404.001.01", "Resource not found")

    def error_500(self) -> Answer:
        return _error(500, "500.003.1001", "Internal Server Error")

    def entry(self, reference: str) -> Entry | None:
        entry = super().entry(reference)
        if entry is None and len(reference) > 12:
            entry = super().entry(reference[-12:])
        return entry

    def settle(self, entry: Entry, happening: Happening) -> None:
        super().settle(entry, happening)
        if happening == "pay":
            entry.details.setdefault("receipt", uuid.uuid4().hex[:10].upper())
        elif happening == "fail":
            entry.details.setdefault("result_code", "1032")

    def webhook(self, entry: Entry, refund: Refund | None, proof: Proof) -> Delivery:
        if refund:
            return _delivery(refund.details["result_url"], {"Result": refund.details["result"]}, proof)
        code = _result_code(entry)
        told: dict[str, JsonValue] = {
            "MerchantRequestID": entry.details["merchant_request_id"],
            "CheckoutRequestID": entry.provider_reference,
            "ResultCode": int(code),
            "ResultDesc": DESCRIPTIONS.get(code, "The transaction is still under processing"),
        }
        if code == "0":
            told["CallbackMetadata"] = {
                "Item": [
                    {"Name": "Amount", "Value": entry.amount_minor / 100},
                    {"Name": "MpesaReceiptNumber", "Value": entry.details["receipt"]},
                    {"Name": "Balance"},
                    {"Name": "TransactionDate", "Value": int(f"{self.clock():%Y%m%d%H%M%S}")},
                    {"Name": "PhoneNumber", "Value": int(str(entry.details["phone"]))},
                ]
            }
        return _delivery(entry.details["callback_url"], {"Body": {"stkCallback": told}}, proof)

    def _authorise(self, request: Request) -> Answer:
        user = f"{self.given['MPESA_CONSUMER_KEY']}:{self.given['MPESA_CONSUMER_SECRET']}"
        expected = "Basic " + base64.b64encode(user.encode()).decode()
        if request.headers.get("authorization") != expected:
            return _error(400, "400.008.01", "Invalid Authentication passed")
        if request.query.get("grant_type") != "client_credentials":
            return _error(400, "400.008.02", "Invalid grant type passed")
        token = uuid.uuid4().hex
        self.tokens[token] = self.clock() + timedelta(seconds=TOKEN_LIFETIME_SECONDS)
        return Answer(200, {"access_token": token, "expires_in": str(TOKEN_LIFETIME_SECONDS)})

    def _is_signed(self, asked: dict[str, JsonValue]) -> bool:
        words = f"{self.given['MPESA_SHORTCODE']}{self.given['MPESA_PASSKEY']}{asked.get('Timestamp')}"
        return asked.get("Password") == base64.b64encode(words.encode()).decode()

    def _push(self, asked: dict[str, JsonValue], decline: bool) -> Answer:
        if not self._is_signed(asked):
            return _error(500, "500.001.1001", "Wrong credentials")
        if not str(asked.get("Amount")).isdigit() or asked.get("Amount") == 0:
            return _error(400, "400.002.02", "Bad Request - Invalid Amount")
        phone, account = str(asked.get("PhoneNumber")), str(asked.get("AccountReference"))
        if not (phone.startswith("254") and phone.isdigit() and len(phone) == 12):
            return _error(400, "400.002.02", "Bad Request - Invalid PhoneNumber")
        if not 0 < len(account) <= 12 or not 0 < len(str(asked.get("TransactionDesc", ""))) <= 13:
            return _error(400, "400.002.02", "Bad Request - Invalid AccountReference")
        number = f"ws_CO_{self.clock():%d%m%Y%H%M%S}{uuid.uuid4().int % 10**10:010d}"
        entry = Entry(account, number, int(str(asked["Amount"])) * 100, "KES")
        entry.expires_at = self.clock() + PROMPT_LIFETIME
        entry.details = {
            "callback_url": asked["CallBackURL"],
            "phone": phone,
            "merchant_request_id": uuid.uuid4().hex[:16],
        }
        self.entries[number] = entry
        if decline:
            entry.status = "declined"
            entry.details["result_code"] = "1"
            self.tell(entry)
        body = {
            "MerchantRequestID": entry.details["merchant_request_id"],
            "CheckoutRequestID": number,
            "ResponseCode": "0",
            "ResponseDescription": "Success. Request accepted for processing",
            "CustomerMessage": "Success. Request accepted for processing",
        }
        return Answer(200, body)

    def _query(self, asked: dict[str, JsonValue]) -> Answer:
        entry = self.entry(str(asked.get("CheckoutRequestID")))
        if not self._is_signed(asked) or entry is None:
            return _error(500, "500.001.1001", "Wrong credentials")
        if entry.status == "waiting":
            return _error(500, "500.001.1001", "The transaction is being processed")
        code = _result_code(entry)
        body: dict[str, JsonValue] = {
            "ResponseCode": "0",
            "ResponseDescription": "The service request has been accepted successsfully",
            "MerchantRequestID": entry.details["merchant_request_id"],
            "CheckoutRequestID": entry.provider_reference,
            "ResultCode": code,
            "ResultDesc": DESCRIPTIONS.get(code, "The transaction failed"),
        }
        return Answer(200, body)

    def _reverse(self, asked: dict[str, JsonValue], decline: bool) -> Answer:
        if asked.get("RecieverIdentifierType") != "11":
            return _error(400, "400.002.02", "Bad Request - Invalid RecieverIdentifierType")
        receipt = str(asked.get("TransactionID"))
        entry = next((each for each in self.entries.values() if each.details.get("receipt") == receipt), None)
        if entry is None or str(asked.get("Amount")) != str(entry.amount_minor // 100):
            return _error(400, "400.002.02", "Bad Request - Invalid TransactionID")
        code = "1" if decline else "R000001" if entry.refunded_minor else "0"
        refund = Refund(str(asked["ResultURL"]), str(uuid.uuid4()), entry.amount_minor)
        refund.status = "done" if code == "0" else "failed"
        own_receipt = uuid.uuid4().hex[:10].upper() if code == "0" else "SKE0000000"
        result: dict[str, JsonValue] = {
            "ResultType": 0,
            "ResultCode": 0 if code == "0" else code,
            "ResultDesc": DESCRIPTIONS[code],
            "OriginatorConversationID": refund.provider_reference,
            "ConversationID": f"AG_{uuid.uuid4().hex[:20]}",
            "TransactionID": own_receipt,
        }
        if code == "0":
            result["ResultParameters"] = _parameters({"OriginalTransactionID": receipt, "Charge": 0})
        refund.details = {"result_url": asked["ResultURL"], "result": result}
        entry.refunds.append(refund)
        self.tell(entry, refund)
        return _accepted(refund.provider_reference)

    def _status(self, asked: dict[str, JsonValue]) -> Answer:
        wanted = asked.get("OriginalConversationID")
        refunds = [refund for entry in self.entries.values() for refund in entry.refunds]
        refund = next((each for each in refunds if each.provider_reference == wanted), None)
        conversation = str(uuid.uuid4())
        result: dict[str, JsonValue] = {
            "ResultType": 0,
            "ResultCode": 0 if refund else 2033,
            "ResultDesc": DESCRIPTIONS["0"] if refund else "The transaction does not exist",
            "OriginatorConversationID": conversation,
            "ConversationID": f"AG_{uuid.uuid4().hex[:20]}",
            "TransactionID": "SKE0000000",
        }
        if refund:
            state = "Completed" if refund.status == "done" else "Failed"
            known = refund.details["result"]
            receipt = known["TransactionID"] if isinstance(known, dict) else None
            result["ResultParameters"] = _parameters({"ReceiptNo": receipt, "TransactionStatus": state})
        self.outgoing.append(_delivery(asked["ResultURL"], {"Result": result}, "good"))
        return _accepted(conversation)


def _result_code(entry: Entry) -> str:
    codes = {"captured": "0", "waiting": "4999", "expired": "1037"}
    return codes.get(entry.status) or str(entry.details.get("result_code", "1032"))


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"requestId": uuid.uuid4().hex[:16], "errorCode": code, "errorMessage": message})


def _accepted(conversation: str) -> Answer:
    body: dict[str, JsonValue] = {
        "OriginatorConversationID": conversation,
        "ConversationID": f"AG_{uuid.uuid4().hex[:20]}",
        "ResponseCode": "0",
        "ResponseDescription": "Accept the service request successfully.",
    }
    return Answer(200, body)


def _parameters(values: dict[str, JsonValue]) -> JsonValue:
    return {"ResultParameter": [{"Key": key, "Value": value} for key, value in values.items()]}


def _delivery(url: JsonValue, body: JsonValue, proof: Proof) -> Delivery:
    """Addresses are the only proof there is: a wrong one ends otherwise, a missing one ends early."""
    path = urlsplit(str(url)).path
    if proof == "wrong":
        path = path[:-1] + ("0" if path[-1] != "0" else "1")
    elif proof == "missing":
        path = path.rpartition("/")[0]
    return Delivery(path, {"content-type": "application/json"}, json.dumps(body))
