"""Stripe: PaymentIntents for cards, their search, and refunds (https://docs.stripe.com/api, testing, currencies),
as they are in the API's version 2026-10-28.endive.

Cards are Stripe's own test PaymentMethods: `pm_card_visa` is charged, `pm_card_visa_chargeDeclined` is declined,
`pm_card_authenticationRequired` waits for its holder, `pm_card_pendingRefund` is charged and its refunds take until
they are asked for. The confirmation is the `create` that faults hit, for it takes the money; the making of an
unconfirmed intent is not. A `fail` is a failed authentication; an `expire` is Stripe's own cancellation.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import JsonValue

from shared_kernel.clock import Clock, system_clock
from tests.providers.simulator import Answer, Delivery, Dispute, Entry, Kind, Proof, Refund, Request, Simulator
from tests.providers.stripe_disputes import dispute_list, dispute_object, event_type

KEY_LIFE = timedelta(hours=24)
SEARCH_LAG = timedelta(minutes=1)

# What one of our minor units is in Stripe's, where it is not one of them.
_STRIPE_PER_OURS = {"UGX": 100, "ISK": 100}
_STEPS = {"UGX": 100, "ISK": 100, "BHD": 10, "JOD": 10, "KWD": 10, "OMR": 10, "TND": 10}
_CHARGED = {"pm_card_visa", "pm_card_mastercard", "pm_card_pendingRefund"}
_DECLINED = {"pm_card_visa_chargeDeclined": "generic_decline", "pm_card_visa_chargeDeclinedInsufficientFunds":
             "insufficient_funds"}  # fmt: skip
_TO_AUTHENTICATE = {"pm_card_authenticationRequired", "pm_card_threeDSecure2Required"}
_CONFIRM_FIELDS = {"payment_method", "return_url"}
_INTENT_FIELDS = _CONFIRM_FIELDS | {
    "amount",
    "currency",
    "capture_method",
    "confirm",
    "allowed_payment_method_types",
    "metadata",
}
_STATUS = {"waiting": "requires_action", "captured": "succeeded", "declined": "requires_payment_method",
           "expired": "canceled", "cancelled": "canceled"}  # fmt: skip
_EVENT = {"waiting": "requires_action", "captured": "succeeded", "declined": "payment_failed", "expired": "canceled",
          "cancelled": "canceled"}  # fmt: skip
_REFUND_STATUS = {"pending": "pending", "done": "succeeded", "failed": "failed"}


class _Wrong(Exception):
    """An error object of Stripe's."""

    def __init__(self, status: int, message: str, code: str | None = None, **more: JsonValue) -> None:
        super().__init__(message)
        kind = "card_error" if status == 402 else "invalid_request_error"
        self.status = status
        error: dict[str, JsonValue] = {"type": kind, "code": code, "message": message, **more}
        self.answer = Answer(status, {"error": error})


@dataclass
class _Intent:
    """A PaymentIntent as it was made; whether a card was tried is in the books."""

    id: str
    amount: int
    currency: str
    metadata: dict[str, JsonValue]
    made_at: datetime
    payment_method: str | None = None
    return_url: str | None = None
    cancelled_because: str | None = None
    cancelled: bool = False
    error: dict[str, JsonValue] | None = field(default=None)


class StripeSimulator(Simulator):
    """Stripe."""

    name = "stripe"
    settings: ClassVar[Mapping[str, str]] = {
        "STRIPE_SECRET_KEY": "sk_test_local",
        "STRIPE_WEBHOOK_SECRET": "whsec_local",
    }

    def __init__(self, clock: Clock = system_clock) -> None:
        super().__init__(clock)
        self.intents: dict[str, _Intent] = {}
        self._answers: dict[str, tuple[str, Answer, datetime]] = {}

    def kind(self, request: Request) -> Kind | None:
        if request.method != "POST":
            return None
        if request.path == "/v1/refunds":
            return "refund"
        made_and_confirmed = request.path == "/v1/payment_intents" and request.form().get("confirm") == "true"
        return "create" if made_and_confirmed or request.path.endswith("/confirm") else None

    def error_500(self) -> Answer:
        return Answer(500, {"error": {"type": "api_error", "message": "An unknown error occurred"}})

    def answer(self, request: Request, *, decline: bool) -> Answer:
        if not _authorised(request.headers.get("authorization", ""), self.given["STRIPE_SECRET_KEY"]):
            return _Wrong(401, "Invalid API Key provided").answer
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        if key is None:
            return self._answer(request, decline)
        asked = f"{request.path}?{request.body}"
        known = self._answers.get(key)
        if known and self.clock() < known[2] + KEY_LIFE:
            if known[0] != asked:
                message = "Keys for idempotent requests can only be used with the same parameters"
                return Answer(400, {"error": {"type": "idempotency_error", "message": message}})
            return Answer(known[1].status, known[1].body, {"Idempotent-Replayed": "true"})
        answer = self._answer(request, decline)
        # What was wrong before anything was tried is not remembered.
        if answer.status not in (400, 404):
            self._answers[key] = (asked, answer, self.clock())
        return answer

    def webhook(self, entry: Entry, refund: Refund | None, proof: Proof) -> Delivery:
        if refund is None:
            subject = self._object(self.intents[entry.provider_reference])
            return self._signed(f"payment_intent.{_EVENT[entry.status]}", subject, proof)
        kind = "refund.failed" if refund.status == "failed" else "refund.updated"
        return self._signed(kind, _refund_object(refund, entry), proof)

    def dispute_webhook(self, entry: Entry, dispute: Dispute, proof: Proof) -> Delivery:
        return self._signed(event_type(dispute), dispute_object(entry, dispute, _units(entry)), proof)

    def _signed(self, kind: str, subject: dict[str, JsonValue], proof: Proof) -> Delivery:
        event: dict[str, JsonValue] = {
            "id": f"evt_{secrets.token_hex(12)}",
            "object": "event",
            "created": int(self.clock().timestamp()),
            "data": {"object": subject},
            "livemode": False,
            "type": kind,
        }
        body = json.dumps(event, indent=2)
        secret = self.given["STRIPE_WEBHOOK_SECRET"] if proof == "good" else "whsec_somebody_else"
        signed_at = int(self.clock().timestamp())
        signature = hmac.new(secret.encode(), f"{signed_at}.{body}".encode(), hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json; charset=utf-8"}
        if proof != "missing":
            headers["stripe-signature"] = f"t={signed_at},v1={signature},v0={'0' * 64}"
        return Delivery("/api/webhooks/stripe", headers, body)

    def _answer(self, request: Request, decline: bool) -> Answer:
        _, _, resource, *rest = [*request.path.split("/"), "", ""]
        try:
            routes: dict[tuple[str, str, bool, str], Callable[[], JsonValue]] = {
                ("POST", "payment_intents", False, ""): lambda: self._make(request.form(), decline),
                ("POST", "payment_intents", True, "confirm"): lambda: self._confirm(rest[0], request.form(), decline),
                ("POST", "payment_intents", True, "cancel"): lambda: self._cancel(rest[0], request.form()),
                ("GET", "payment_intents", True, ""): lambda: self._read(rest[0], request.query),
                ("POST", "refunds", False, ""): lambda: self._refund(request.form(), decline),
                ("GET", "refunds", False, ""): lambda: self._refunds(request.query),
                ("GET", "refunds", True, ""): lambda: self._read_refund(rest[0]),
                ("GET", "disputes", False, ""): lambda: self._disputes(request.query),
            }
            route = routes.get((request.method, resource, bool(rest[0]), rest[1]))
            if route is None:
                raise _Wrong(404, f"Unrecognized request URL ({request.method}: {request.path})")
            return Answer(200, route())
        except _Wrong as wrong:
            return wrong.answer

    def _make(self, form: Mapping[str, str], decline: bool) -> JsonValue:
        fields, metadata = _tree(form, _INTENT_FIELDS)
        amount, currency = _whole(fields.get("amount")), fields.get("currency", "")
        step = _STEPS.get(currency.upper(), 1)
        if not re.fullmatch("[a-z]{3}", currency):
            raise _Wrong(400, f"Invalid currency: {currency}", param="currency")
        if amount < 1 or amount % step:
            raise _Wrong(400, "Invalid amount", "amount_too_small" if amount < 1 else None, param="amount")
        intent = _Intent(f"pi_{secrets.token_hex(12)}", amount, currency, metadata, self.clock())
        self.intents[intent.id] = intent
        if fields.get("confirm") == "true":
            return self._confirm(
                intent.id, {k: fields[k] for k in ("payment_method", "return_url") if k in fields}, decline
            )
        return self._object(intent)

    def _confirm(self, intent_id: str, form: Mapping[str, str], decline: bool) -> JsonValue:
        intent = self._intent(intent_id)
        fields, _ = _tree(form, _CONFIRM_FIELDS)
        method = fields.get("payment_method", "")
        if method not in _CHARGED | _DECLINED.keys() | _TO_AUTHENTICATE:
            raise _Wrong(400, f"No such PaymentMethod: '{method}'", "resource_missing", param="payment_method")
        if self._object(intent)["status"] not in ("requires_payment_method", "requires_confirmation"):
            raise self._unexpected(intent, "confirm")
        intent.payment_method, intent.return_url, intent.error = method, fields.get("return_url"), None
        reference = str(intent.metadata.get("reference") or intent.id)
        amount_minor = intent.amount // _STRIPE_PER_OURS.get(intent.currency.upper(), 1)
        entry = self.entries.setdefault(intent.id, Entry(reference, intent.id, amount_minor, intent.currency.upper()))
        declined = "generic_decline" if decline else _DECLINED.get(method)
        if declined:
            entry.status = "declined"
            intent.error = {"type": "card_error", "code": "card_declined", "decline_code": declined,
                            "message": "Your card was declined."}  # fmt: skip
            self.tell(entry)
            raise _Wrong(402, "Your card was declined.", "card_declined", decline_code=declined,
                         payment_intent=self._object(intent))  # fmt: skip
        if method in _TO_AUTHENTICATE:
            entry.status = "waiting"
        else:
            entry.capture()
            self.tell(entry)
        return self._object(intent)

    def _cancel(self, intent_id: str, form: Mapping[str, str]) -> JsonValue:
        intent, entry = self._intent(intent_id), self.entries.get(intent_id)
        fields, _ = _tree(form, {"cancellation_reason"})
        reason = fields.get("cancellation_reason")
        if reason not in (None, "duplicate", "fraudulent", "requested_by_customer", "abandoned"):
            raise _Wrong(400, "Invalid cancellation_reason", param="cancellation_reason")
        if self._object(intent)["status"] in ("succeeded", "canceled"):
            raise self._unexpected(intent, "cancel")
        intent.cancelled, intent.cancelled_because = True, reason
        if entry:
            entry.status = "cancelled"
        return self._object(intent)

    def _read(self, intent_id: str, query: Mapping[str, str]) -> JsonValue:
        if intent_id != "search":
            return self._object(self._intent(intent_id))
        asked = re.fullmatch(r"metadata\['reference'\]:'((?:[^'\\]|\\.)*)'", query.get("query", ""))
        if asked is None:
            raise _Wrong(400, "We were unable to parse your search query", param="query")
        reference = re.sub(r"\\(.)", r"\1", asked[1])
        # The index is behind: who searches has to cope with what it does not show yet.
        found: list[JsonValue] = [
            dict(self._object(intent))
            for intent in self.intents.values()
            if intent.metadata.get("reference") == reference and intent.made_at + SEARCH_LAG <= self.clock()
        ]
        return {"object": "search_result", "url": "/v1/payment_intents/search", "has_more": False, "data": found}

    def _refund(self, form: Mapping[str, str], decline: bool) -> JsonValue:
        fields, metadata = _tree(form, {"payment_intent", "amount", "metadata", "reason"})
        intent = self._intent(fields.get("payment_intent", ""))
        entry = self.entries.get(intent.id)
        if entry is None or not entry.times_charged:
            raise _Wrong(400, "This PaymentIntent does not have a successful charge to refund.")
        if entry.dispute and entry.dispute.status in ("open", "lost"):
            raise _Wrong(400, f"Charge for {intent.id} has been charged back.", "charge_disputed")
        left, per_ours = entry.left_minor, _units(entry)
        amount = _whole(fields["amount"]) if "amount" in fields else left * per_ours
        if not left:
            raise _Wrong(400, f"Charge for {intent.id} has already been refunded.", "charge_already_refunded")
        if amount > left * per_ours or amount < 1 or amount % _STEPS.get(entry.currency, 1):
            raise _Wrong(400, "Refund amount is greater than unrefunded amount on charge", param="amount")
        refund = Refund(str(metadata.get("refund_key", "")), f"re_{secrets.token_hex(12)}", amount // per_ours)
        refund.details["metadata"] = metadata
        if decline:
            refund.status = "failed"
        elif intent.payment_method == "pm_card_pendingRefund":
            refund.status = "pending"
        entry.refunds.append(refund)
        self.tell(entry, refund)
        return _refund_object(refund, entry)

    def _refunds(self, query: Mapping[str, str]) -> JsonValue:
        entry = self.entries.get(self._intent(query.get("payment_intent", "")).id)
        newest_first = list(reversed(entry.refunds)) if entry else []
        if after := query.get("starting_after"):
            places = [place for place, refund in enumerate(newest_first) if refund.provider_reference == after]
            newest_first = newest_first[places[0] + 1 :]
        limit = _whole(query.get("limit", "10"))
        shown: list[JsonValue] = [_refund_object(refund, entry) for refund in newest_first[:limit] if entry]
        return {"object": "list", "url": "/v1/refunds", "has_more": len(newest_first) > limit, "data": shown}

    def _read_refund(self, refund_id: str) -> JsonValue:
        for entry in self.entries.values():
            for refund in entry.refunds:
                if refund.provider_reference == refund_id:
                    refund.status = "done" if refund.status == "pending" else refund.status
                    return _refund_object(refund, entry)
        raise _Wrong(404, f"No such refund: '{refund_id}'", "resource_missing", param="id")

    def _disputes(self, query: Mapping[str, str]) -> JsonValue:
        entry = self.entries.get(self._intent(query.get("payment_intent", "")).id)
        return dispute_list(entry, _units(entry) if entry else 1)

    def _intent(self, intent_id: str) -> _Intent:
        if intent_id not in self.intents:
            raise _Wrong(404, f"No such payment_intent: '{intent_id}'", "resource_missing", param="intent")
        return self.intents[intent_id]

    def _unexpected(self, intent: _Intent, verb: str) -> _Wrong:
        shown = self._object(intent)
        message = f"You cannot {verb} this PaymentIntent because it has a status of {shown['status']}."
        return _Wrong(400, message, "payment_intent_unexpected_state", payment_intent=shown)

    def _object(self, intent: _Intent) -> dict[str, JsonValue]:
        entry = self.entries.get(intent.id)
        status = _STATUS[entry.status] if entry else "canceled" if intent.cancelled else "requires_payment_method"
        failed = {"type": "invalid_request_error", "code": "payment_intent_authentication_failure",
                  "message": "The provided PaymentMethod has failed authentication."}  # fmt: skip
        return {
            "id": intent.id,
            "object": "payment_intent",
            "amount": intent.amount,
            "amount_received": intent.amount if status == "succeeded" else 0,
            "cancellation_reason": "automatic" if entry and entry.status == "expired" else intent.cancelled_because,
            "capture_method": "automatic",
            "client_secret": f"{intent.id}_secret_local",
            "created": int(intent.made_at.timestamp()),
            "currency": intent.currency,
            "last_payment_error": (intent.error or {**failed}) if entry and entry.status == "declined" else None,
            "livemode": False,
            "metadata": dict(intent.metadata),
            "next_action": _next_action(intent) if status == "requires_action" else None,
            "payment_method": intent.payment_method,
            "payment_method_types": ["card"],
            "status": status,
        }


def _next_action(intent: _Intent) -> dict[str, JsonValue]:
    if intent.return_url is None:
        return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
    link = f"https://hooks.stripe.com/redirect/authenticate/{intent.id}"
    return {"type": "redirect_to_url", "redirect_to_url": {"url": link, "return_url": intent.return_url}}


def _units(entry: Entry) -> int:
    return _STRIPE_PER_OURS.get(entry.currency, 1)


def _refund_object(refund: Refund, entry: Entry) -> dict[str, JsonValue]:
    return {
        "id": refund.provider_reference,
        "object": "refund",
        "amount": refund.amount_minor * _units(entry),
        "currency": entry.currency.lower(),
        "metadata": refund.details["metadata"],
        "payment_intent": entry.provider_reference,
        "status": _REFUND_STATUS[refund.status],
        **({"failure_reason": "lost_or_stolen_card"} if refund.status == "failed" else {}),
    }


def _authorised(header: str, secret_key: str) -> bool:
    scheme, _, credentials = header.partition(" ")
    if scheme == "Basic":
        return base64.b64decode(credentials).decode() == f"{secret_key}:"
    return scheme == "Bearer" and credentials == secret_key


def _whole(text: str | None) -> int:
    if text is None or not re.fullmatch("-?[0-9]+", text):
        raise _Wrong(400, f"Invalid integer: {text}", "parameter_invalid_integer")
    return int(text)


def _tree(form: Mapping[str, str], known: set[str]) -> tuple[dict[str, str], dict[str, JsonValue]]:
    """The fields and the metadata of a form; _Wrong for a field that Stripe does not know."""
    fields: dict[str, str] = {}
    metadata: dict[str, JsonValue] = {}
    for name, value in form.items():
        plain, _, inner = name.partition("[")
        if plain == "payment_method_types":
            raise _Wrong(400, "Use dynamic payment methods instead", "payment_method_types_no_longer_supported")
        if plain not in known:
            raise _Wrong(400, f"Received unknown parameter: {plain}", "parameter_unknown", param=plain)
        if plain == "metadata":
            metadata[inner.rstrip("]")] = value
        else:
            fields[plain] = value
    return fields, metadata
