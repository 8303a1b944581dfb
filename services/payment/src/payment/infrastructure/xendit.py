"""Xendit: QRIS, virtual accounts, e-wallets and saved cards in Indonesia, through its Payments API v3.

Source: docs.xendit.co/apidocs (create-payment-request, get-payment-request, cancel-payment-request, create-a-refund,
get-a-refund, list-refunds-for-a-payment, payment-webhook-notification). There is no idempotency header, and a
`reference_id` must be unique for cards only; so whatever may be a repetition is looked up before it is asked for.
"""

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from urllib.parse import quote, urlencode

from pydantic import JsonValue, ValidationError

from payment.application.ports import Http, HttpAnswer, Notice, ProviderError, Webhook, WebhookRefused
from payment.domain.charge import (
    Captured,
    Charge,
    Declined,
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
from payment.infrastructure.asking import ask, basic, read
from payment.infrastructure.exponents import AmountNotTaken, rescaled
from payment.infrastructure.xendit_messages import (
    Event,
    PaymentRequest,
    PaymentRequests,
    Refund,
    Refunds,
    error_code,
    unclear,
)
from shared_kernel.clock import rfc3339
from shared_kernel.contracts.payment import Failure, Instructions
from shared_kernel.errors import Invalid
from shared_kernel.money import EXPONENTS, Money

API_VERSION = "2024-11-11"
XENDIT_EXPONENT = 0

# Refusals that may be none the next time; every other 400 is final (docs.xendit.co/docs/error-scenarios).
_PASSING = frozenset(
    {"PAYMENT_REQUEST_RATE_LIMITED", "TEMPORARILY_UNAVAILABLE", "REFUND_IN_PROGRESS", "INSUFFICIENT_BALANCE"}
)
_FINAL_403 = frozenset({"ACCOUNT_ACCESS_BLOCKED", "SKIP_3DS_FORBIDDEN"})
_VIRTUAL_ACCOUNT = "_VIRTUAL_ACCOUNT"


@dataclass(frozen=True)
class XenditSettings:
    """How to reach Xendit, and how it proves itself; `ewallet` is the channel code of a wallet that redirects."""

    base_url: str
    return_url: str
    secret_key: str = field(repr=False)
    callback_token: str = field(repr=False)
    ewallet: str = "DANA"
    display_name: str = "Pasar"


def settings_from(setting: Callable[[str], str | None]) -> XenditSettings | None:
    """The settings by their names; None where a secret or our own address is missing."""
    secret_key, callback_token = setting("XENDIT_SECRET_KEY"), setting("XENDIT_CALLBACK_TOKEN")
    return_url = setting("PUBLIC_URL")
    if not (secret_key and callback_token and return_url):
        return None
    return XenditSettings(
        base_url=(setting("XENDIT_URL") or "https://api.xendit.co").rstrip("/"),
        return_url=return_url,
        secret_key=secret_key,
        callback_token=callback_token,
        ewallet=setting("XENDIT_EWALLET") or "DANA",
    )


class XenditProvider:
    """Payment requests that take one payment each; rupiah only."""

    def __init__(self, http: Http, settings: XenditSettings) -> None:
        self._http = http
        self._settings = settings

    async def create(self, charge: Charge, means: Means) -> Outcome:
        """Ask for the payment once; Invalid (`payment_details_invalid`) also for a fraction of a rupiah."""
        request = self._request(charge, means)
        if charge.method != "card" or charge.provider_reference is not None:
            # Only a card's reference is refused the second time: a second QR code could be paid as well.
            known = await self.look_up(charge)
            if known is not None:
                return known
        answer = await self._call("POST", "/v3/payment_requests", request)
        if answer.status in (200, 201):
            return _outcome(charge, read("Xendit", PaymentRequest, answer))
        code = error_code(answer)
        if answer.status == 409:
            known = await self.look_up(charge)
            if known is not None:
                return known
        if (answer.status == 400 and code not in _PASSING) or (answer.status == 403 and code in _FINAL_403):
            return Declined(Failure(code=code.lower(), detail="refused by Xendit"))
        raise unclear(answer)

    async def look_up(self, charge: Charge) -> Outcome | None:
        """How the payment request stands, by Xendit's id where it is known, by our reference otherwise."""
        found = await self._find(charge)
        return None if found is None else _outcome(charge, found)

    async def cancel(self, charge: Charge) -> Outcome | None:
        """Keep the customer from paying; a payment request that has ended stays as it ended."""
        found = await self._find(charge)
        if found is None:
            return None
        outcome = _outcome(charge, found)
        if not isinstance(outcome, Waiting):
            return outcome
        answer = await self._call("POST", _path(found.payment_request_id) + "/cancel")
        if answer.status == 200:
            return _outcome(charge, read("Xendit", PaymentRequest, answer))
        if answer.status == 400:
            # It was paid, or it ended, since it was looked up.
            return await self.look_up(replace(charge, provider_reference=found.payment_request_id))
        raise unclear(answer)

    async def refund(
        self, charge: Charge, refund_key: str, amount: Money, provider_reference: str | None
    ) -> RefundOutcome:
        """Give back through the channel; a bank transfer into a virtual account has no way back."""
        if charge.method == "virtual_account":
            return RefundImpossible("a virtual account cannot be refunded through Xendit")
        try:
            rupiah = _rupiah(amount)
        except AmountNotTaken as refusal:
            return RefundImpossible(refusal.message)
        if provider_reference is not None:
            answer = await self._call("GET", f"/v3/refunds/{quote(provider_reference, safe='')}")
            if answer.status == 200:
                return _refund_outcome(read("Xendit", Refund, answer), amount)
            raise unclear(answer)
        found = await self._find(charge)
        if found is None or found.latest_payment_id is None:
            raise ProviderError("Xendit does not know the captured payment")
        payment_id = found.latest_payment_id
        known = await self._refund_with(payment_id, refund_key)
        if known is not None:
            return _refund_outcome(known, amount)
        answer = await self._call(
            "POST",
            "/v3/refunds",
            {
                "reference_id": refund_key,
                "payment_id": payment_id,
                "amount": rupiah,
                "reason": "REQUESTED_BY_CUSTOMER",
                "metadata": {"payment_reference": charge.reference},
            },
        )
        if answer.status in (200, 201):
            return _refund_outcome(read("Xendit", Refund, answer), amount)
        code = error_code(answer)
        if answer.status in (400, 409):
            # Nothing may be left because an earlier attempt at the same refund had its effect since the first look.
            known = await self._refund_with(payment_id, refund_key)
            if known is not None:
                return _refund_outcome(known, amount)
        if answer.status == 400 and code not in _PASSING:
            return RefundImpossible(f"refused by Xendit: {code.lower()}")
        raise unclear(answer)

    async def find_refund(self, charge: Charge, refund_key: str, amount: Money) -> RefundOutcome | None:
        """The refund with our reference, if Xendit lists one."""
        found = await self._find(charge)
        if found is None or found.latest_payment_id is None:
            return None
        known = await self._refund_with(found.latest_payment_id, refund_key)
        return None if known is None else _refund_outcome(known, amount)

    async def read_webhook(self, webhook: Webhook) -> Notice:
        """What the webhook is about. The token is a shared secret and signs no body: nothing in it is believed."""
        token = webhook.headers.get("x-callback-token", "")
        if not hmac.compare_digest(token.encode(), self._settings.callback_token.encode()):
            raise WebhookRefused("the webhook's x-callback-token is missing or wrong")
        try:
            event = Event.model_validate_json(webhook.body)
        except ValidationError:
            raise WebhookRefused("the webhook is not one of Xendit's events") from None
        data = event.data.data or event.data
        own = data.refund_id or data.id or data.payment_id or data.payment_request_id
        event_id = f"{event.event}:{own}:{data.status}"
        if event.event.startswith("refund."):
            ours = (data.metadata or {}).get("payment_reference")
            reference = ours if isinstance(ours, str) else None
            return Notice(event_id, reference, data.payment_request_id, refund_reference=data.reference_id)
        return Notice(event_id, data.reference_id, data.payment_request_id)

    def _request(self, charge: Charge, means: Means) -> dict[str, JsonValue]:
        returning: dict[str, JsonValue] = {
            "success_return_url": self._settings.return_url,
            "failure_return_url": self._settings.return_url,
        }
        channel: dict[str, JsonValue]
        if charge.method == "qris":
            # A QRIS code's end cannot be set (docs.xendit.co/docs/qris): it is cancelled when it is not waited for.
            channel = {"channel_code": "QRIS", "channel_properties": {}}
        elif charge.method == "virtual_account":
            if means.bank is None:
                raise Invalid("a virtual account needs a bank", code="payment_details_invalid")
            account: JsonValue = {
                "display_name": self._settings.display_name,
                "expires_at": rfc3339(charge.expires_at),
            }
            channel = {"channel_code": means.bank.upper() + _VIRTUAL_ACCOUNT, "channel_properties": account}
        elif charge.method == "ewallet":
            channel = {"channel_code": self._settings.ewallet, "channel_properties": returning}
        elif charge.method == "card":
            if means.token is None:
                raise Invalid("a card needs a token", code="payment_details_invalid")
            card: JsonValue = {**returning, "card_on_file_type": "CUSTOMER_UNSCHEDULED"}
            channel = {"channel_code": "CARDS", "payment_token_id": means.token, "channel_properties": card}
        else:
            raise Invalid(f"Xendit does not take {charge.method}", code="payment_details_invalid")
        return {
            "reference_id": charge.reference,
            "type": "PAY",
            "country": "ID",
            "currency": "IDR",
            "request_amount": _rupiah(charge.amount),
            "capture_method": "AUTOMATIC",
            **channel,
        }

    async def _find(self, charge: Charge) -> PaymentRequest | None:
        if charge.provider_reference is not None:
            answer = await self._call("GET", _path(charge.provider_reference))
            if answer.status == 404 and error_code(answer) == "DATA_NOT_FOUND":
                return None
            if answer.status == 200:
                return read("Xendit", PaymentRequest, answer)
            raise unclear(answer)
        query = urlencode({"reference_id": charge.reference, "limit": 10})
        answer = await self._call("GET", f"/v3/payment_requests?{query}")
        if answer.status != 200:
            raise unclear(answer)
        ours = [each for each in read("Xendit", PaymentRequests, answer).data if each.reference_id == charge.reference]
        return min(ours, key=lambda each: each.weight, default=None)

    async def _refund_with(self, payment_id: str, refund_key: str) -> Refund | None:
        answer = await self._call("GET", f"/v3/refunds?{urlencode({'payment_id': payment_id})}")
        if answer.status != 200:
            raise unclear(answer)
        ours = [each for each in read("Xendit", Refunds, answer).root if each.reference_id == refund_key]
        # Of several with our reference, one that failed says nothing of the money.
        return min(ours, key=lambda each: each.status == "FAILED", default=None)

    async def _call(self, method: str, path: str, body: JsonValue = None) -> HttpAnswer:
        headers = {
            "authorization": basic(self._settings.secret_key),
            "api-version": API_VERSION,
            "content-type": "application/json",
        }
        text = None if body is None else json.dumps(body)
        return await ask(self._http, "Xendit", method, self._settings.base_url + path, headers, text)


def _path(payment_request_id: str) -> str:
    return f"/v3/payment_requests/{quote(payment_request_id, safe='')}"


def _rupiah(amount: Money) -> int:
    """Whole rupiah, as Xendit takes them; our IDR has two decimals (ISO 4217)."""
    if amount.currency != "IDR" or amount.amount <= 0:
        raise AmountNotTaken("Xendit takes rupiah, and more than none")
    return rescaled(amount.amount, EXPONENTS["IDR"], XENDIT_EXPONENT)


def _is_amount(value: Decimal, currency: str, amount: Money) -> bool:
    """Whether Xendit speaks of the same money, to the last digit."""
    return currency == amount.currency and value == Decimal(amount.amount).scaleb(-EXPONENTS[currency])


def _outcome(charge: Charge, found: PaymentRequest) -> Outcome:
    if found.reference_id != charge.reference or not _is_amount(found.request_amount, found.currency, charge.amount):
        raise ProviderError("Xendit answered with another payment")
    if found.status == "SUCCEEDED":
        return Captured(found.payment_request_id)
    if found.status in ("REQUIRES_ACTION", "ACCEPTING_PAYMENTS"):
        return Waiting(found.payment_request_id, _instructions(charge, found))
    if found.status == "CANCELED":
        return Voided()
    failure = found.failure_code or "FAILURE_DETAILS_UNAVAILABLE"
    if found.status == "EXPIRED" or (found.status == "FAILED" and failure == "PAYMENT_REQUEST_EXPIRED"):
        return Expired()
    if found.status == "FAILED":
        return Declined(Failure(code=failure.lower(), detail="the payment failed"))
    raise ProviderError("Xendit has not settled the payment")


def _instructions(charge: Charge, found: PaymentRequest) -> Instructions:
    expires_at = rfc3339(charge.expires_at)
    for action in found.actions:
        if action.descriptor == "QR_STRING" and charge.method == "qris":
            return Instructions(type="qr_code", qr_string=action.value, expires_at=expires_at)
        if action.descriptor == "VIRTUAL_ACCOUNT_NUMBER":
            bank = (found.channel_code or "").removesuffix(_VIRTUAL_ACCOUNT).lower()
            return Instructions(type="virtual_account", bank=bank, account_number=action.value, expires_at=expires_at)
        if action.descriptor == "WEB_URL":
            return Instructions(type="redirect", redirect_url=action.value, expires_at=expires_at)
    raise ProviderError("Xendit did not tell what the customer has to do")


def _refund_outcome(found: Refund, amount: Money) -> RefundOutcome:
    if not _is_amount(found.amount, found.currency, amount):
        raise ProviderError("Xendit answered with another refund")
    if found.status == "SUCCEEDED":
        return RefundDone(found.refund_id)
    if found.status == "PENDING":
        return RefundPending(found.refund_id)
    if found.status == "FAILED":
        return RefundImpossible(f"the refund failed at Xendit: {(found.failure_code or 'unknown').lower()}")
    raise ProviderError("Xendit has not settled the refund")
