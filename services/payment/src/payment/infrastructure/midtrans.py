"""Midtrans' Core API: QRIS, virtual accounts, GoPay and cards by token, in whole rupiah.

It decides what we send and what the answers mean. Midtrans knows a charge by `order_id`, which is our reference. Its
Idempotency-Key lasts five minutes only, and the order_id of an expired charge may be used again, so that a charge is
looked up before it is asked for; of two requests at the same time the second is refused with 406. An amount is a
whole number on the way there and text with two decimals on the way back.
Sources: docs.midtrans.com, the Core API's reference, and there "API Headers & Idempotency", "Code 2xx" and "Code 4xx".
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from payment.application.ports import Http, Notice, ProviderError, Webhook, WebhookRefused
from payment.domain.charge import (
    Authorised,
    Captured,
    Charge,
    Chargeback,
    Declined,
    Disputes,
    Expired,
    Means,
    Outcome,
    RefundDone,
    RefundImpossible,
    RefundOutcome,
    Voided,
    Waiting,
)
from payment.infrastructure.asking import ask, basic, digest, read
from payment.infrastructure.exponents import AmountNotTaken, rescaled
from shared_kernel.clock import Clock, rfc3339
from shared_kernel.contracts.payment import Failure, Instructions
from shared_kernel.errors import Invalid
from shared_kernel.money import EXPONENTS, Money

SHORTEST_EXPIRY_SECONDS = 20
_BANKS = frozenset({"bca", "bni", "bri", "permata", "cimb"})
# With these nothing was made, and nothing will be however often it is asked for.
_REFUSALS = frozenset({"400", "402", "409", "410", "413"})
# So a refund can never be made: bad data, no access to refunds of this kind, or a charge whose status does not allow it
# (docs.midtrans.com, "Code 4xx"). Anything else, as too little balance (414), may pass.
_NO_REFUND = frozenset({"400", "402", "408", "412", "413"})
# A settled transfer that the bank reverses is told as `deny`, as a decline is ("Transaction Status Cycle").
_TAKEN_BACK = frozenset({"chargeback", "deny"})
_PAID = frozenset({"capture", "settlement", "refund", "partial_refund", "chargeback", "partial_chargeback"})


@dataclass(frozen=True)
class MidtransSettings:
    """Where Midtrans is and who we are there; `public_url` is our own address, for notifications and the way back."""

    base_url: str
    server_key: str = field(repr=False)
    public_url: str | None = None


def settings_from(setting: Callable[[str], str | None]) -> MidtransSettings | None:
    """The settings, or None where the server key is missing."""
    server_key = setting("MIDTRANS_SERVER_KEY")
    if not server_key:
        return None
    public_url = (setting("PUBLIC_URL") or "").rstrip("/")
    return MidtransSettings(setting("MIDTRANS_URL") or "https://api.midtrans.com", server_key, public_url or None)


class _Answer(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)


class _VirtualAccount(_Answer):
    bank: str
    va_number: str


class _Action(_Answer):
    name: str
    url: str


class _Refund(_Answer):
    refund_key: str = ""
    refund_chargeback_uuid: str = ""
    refund_chargeback_id: str = ""
    refund_amount: str = "0"


class _Transaction(_Answer):
    status_code: str = ""
    status_message: str = ""
    transaction_id: str = ""
    transaction_status: str = ""
    fraud_status: str = ""
    gross_amount: str = ""
    currency: str = "IDR"
    channel_response_message: str = ""
    va_numbers: list[_VirtualAccount] = []
    permata_va_number: str = ""
    biller_code: str = ""
    bill_key: str = ""
    qr_string: str | None = None
    redirect_url: str | None = None
    actions: list[_Action] = []
    refunds: list[_Refund] = []


class _Notification(_Answer):
    order_id: str
    status_code: str
    gross_amount: str
    signature_key: str
    transaction_id: str = ""
    transaction_status: str = ""


def whole_rupiah(amount: Money) -> int:
    """The amount as Midtrans takes it; AmountNotTaken for another currency or a fraction."""
    if amount.currency != "IDR":
        raise AmountNotTaken("Midtrans takes rupiah only")
    return rescaled(amount.amount, EXPONENTS["IDR"], 0)


class MidtransProvider:
    """The provider; only what Midtrans answers to a question of ours is believed."""

    def __init__(self, http: Http, settings: MidtransSettings, clock: Clock) -> None:
        self._http = http
        self._settings = settings
        self._clock = clock

    async def create(self, charge: Charge, means: Means) -> Outcome:
        """See PaymentProvider; a charge that Midtrans knows already is answered as it stands."""
        request = self._request(charge, means)
        known = await self.look_up(charge)
        if known is not None:
            return known
        if charge.expires_at <= self._clock():
            return Expired()
        made = await self._call("POST", "/v2/charge", request, f"{charge.reference}-charge")
        if made.status_code == "406":
            known = await self.look_up(charge)
            if known is None:
                raise ProviderError("Midtrans knows the charge and does not find it")
            return known
        if made.status_code == "411":
            return Declined(Failure(code="invalid_token", detail="the token does not stand for a card"))
        if made.status_code in _REFUSALS:
            return Declined(Failure(code="refused_by_midtrans", detail=f"{made.status_code}: {made.status_message}"))
        return self._outcome(charge, made)

    async def look_up(self, charge: Charge) -> Outcome | None:
        """See PaymentProvider. The instructions of a QR code are then the address of its image: Midtrans tells the
        code's text only once."""
        found = await self._find(charge)
        return self._outcome(charge, found) if found else None

    async def cancel(self, charge: Charge) -> Outcome | None:
        """See PaymentProvider; a charge that was captured is left alone."""
        stands = await self.look_up(charge)
        for verb in ("cancel", "expire"):
            if not isinstance(stands, Waiting):
                break
            # Whatever is answered, how the charge stands after it is what counts.
            await self._call("POST", f"{_path(charge)}/{verb}")
            stands = await self.look_up(charge)
        return stands

    async def refund(
        self, charge: Charge, refund_key: str, amount: Money, provider_reference: str | None
    ) -> RefundOutcome:
        """See PaymentProvider. A card's capture cannot be refunded before it is settled (within a day): a whole one
        is cancelled instead, a part raises ProviderError until then."""
        if charge.method == "virtual_account":
            return RefundImpossible("Midtrans gives nothing back by bank transfer")
        try:
            rupiah = whole_rupiah(amount)
        except AmountNotTaken as refusal:
            return RefundImpossible(refusal.message)
        key = _midtrans_key(refund_key)
        before = await self._find(charge)
        if before is None:
            raise ProviderError("Midtrans does not know the charge")
        if done := _refunded(before, key):
            return done
        if provider_reference:
            raise ProviderError("Midtrans does not show a refund that it has made")
        if before.transaction_status == "capture":
            return await self._undo_capture(charge, amount)
        asked: dict[str, JsonValue] = {"refund_key": key, "amount": rupiah, "reason": "refund"}
        answer = await self._call("POST", f"{_path(charge)}/refund", asked, f"{key}-refund")
        # Its key is forgotten after minutes: a refusal may be due to an earlier attempt at the same refund.
        after = await self._find(charge)
        if after is None:
            raise ProviderError("Midtrans does not know the charge any more")
        if done := _refunded(after, key):
            return done
        if answer.status_code in _NO_REFUND:
            return RefundImpossible(f"Midtrans refused it with {answer.status_code}: {answer.status_message}")
        raise ProviderError(f"Midtrans answered the refund with {answer.status_code}")

    async def find_refund(self, charge: Charge, refund_key: str, amount: Money) -> RefundOutcome | None:
        """See PaymentProvider."""
        found = await self._find(charge)
        return _refunded(found, _midtrans_key(refund_key)) if found else None

    async def read_webhook(self, webhook: Webhook) -> Notice:
        """See PaymentProvider. The signature covers neither the status nor the refunds, which is one more reason to
        look the charge up; the same words sent twice are one event."""
        try:
            told = _Notification.model_validate_json(webhook.body)
        except ValidationError:
            raise WebhookRefused("not a notification with a signature") from None
        words = f"{told.order_id}{told.status_code}{told.gross_amount}{self._settings.server_key}"
        expected = hashlib.sha512(words.encode()).hexdigest()
        if not hmac.compare_digest(expected.encode(), told.signature_key.encode()):
            raise WebhookRefused("the signature is not of Midtrans")
        return Notice(
            event_id=f"midtrans-{digest(webhook.body)[:40]}",
            reference=told.order_id,
            provider_reference=told.transaction_id or None,
            # The signature does not cover this word: whether it is true is asked.
            disputed=told.transaction_status in _TAKEN_BACK | {"partial_chargeback"},
        )

    async def disputes(self, charge: Charge) -> Disputes:
        """See TellsDisputes. Midtrans tells of a dispute, or of a reversal, when the money is gone. Of a partial
        chargeback it does not tell how much is, so that stays open until somebody has asked."""
        found = await self._find(charge)
        if found is None or not _is_of(found, charge.amount):
            raise ProviderError("Midtrans does not know the charge")
        if found.transaction_status not in _TAKEN_BACK:
            return Disputes(is_open=found.transaction_status == "partial_chargeback")
        refunded = sum(Decimal(refund.refund_amount) for refund in found.refunds)
        left = rescaled(int(whole_rupiah(charge.amount) - refunded), 0, EXPONENTS["IDR"])
        return Disputes(False, (Chargeback(found.transaction_id, Money(amount=left, currency="IDR")),))

    async def _undo_capture(self, charge: Charge, amount: Money) -> RefundOutcome:
        if amount != charge.amount:
            raise ProviderError("the capture is not settled yet, and no part of it can be given back before")
        await self._call("POST", f"{_path(charge)}/cancel")
        after = await self._find(charge)
        if after is None or after.transaction_status != "cancel":
            raise ProviderError("Midtrans did not cancel the capture")
        return RefundDone(after.transaction_id)

    async def _find(self, charge: Charge) -> _Transaction | None:
        found = await self._call("GET", f"{_path(charge)}/status")
        if found.status_code == "404":
            return None
        if not found.transaction_status:
            raise ProviderError(f"Midtrans answered {found.status_code} instead of the charge")
        return found

    async def _call(
        self, method: str, path: str, body: dict[str, JsonValue] | None = None, idempotency_key: str | None = None
    ) -> _Transaction:
        authorization = basic(self._settings.server_key)
        headers = {"authorization": authorization, "accept": "application/json", "content-type": "application/json"}
        if idempotency_key:
            headers["idempotency-key"] = idempotency_key
        if path == "/v2/charge" and self._settings.public_url:
            headers["x-override-notification"] = f"{self._settings.public_url}/api/webhooks/midtrans"
        text = None if body is None else json.dumps(body)
        answer = await ask(self._http, "Midtrans", method, self._settings.base_url + path, headers, text)
        told = read("Midtrans", _Transaction, answer)
        # The code within the body is the one that is documented; the one of HTTP is often 200 beside an error.
        return told if told.status_code else told.model_copy(update={"status_code": str(answer.status)})

    def _request(self, charge: Charge, means: Means) -> dict[str, JsonValue]:
        remaining_seconds = int((charge.expires_at - self._clock()).total_seconds())
        expiry: JsonValue = {"expiry_duration": max(SHORTEST_EXPIRY_SECONDS, remaining_seconds), "unit": "second"}
        order: JsonValue = {"order_id": charge.reference, "gross_amount": whole_rupiah(charge.amount)}
        return {"transaction_details": order, "custom_expiry": expiry, **self._method(charge, means)}

    def _method(self, charge: Charge, means: Means) -> dict[str, JsonValue]:
        match charge.method:
            case "qris":
                return {"payment_type": "qris", "qris": {"acquirer": "gopay"}}
            case "ewallet":
                back: dict[str, JsonValue] = {"enable_callback": True, "callback_url": self._settings.public_url}
                return {"payment_type": "gopay", "gopay": back if self._settings.public_url else {}}
            case "virtual_account" if means.bank == "mandiri":
                bill: JsonValue = {"bill_info1": "Payment:", "bill_info2": "Online purchase"}
                return {"payment_type": "echannel", "echannel": bill}
            case "virtual_account" if means.bank in _BANKS:
                return {"payment_type": "bank_transfer", "bank_transfer": {"bank": means.bank}}
            case "card" if means.token:
                card: JsonValue = {"token_id": means.token, "authentication": True}
                return {"payment_type": "credit_card", "credit_card": card}
        raise Invalid(
            f"Midtrans cannot take {charge.method} with these details: a card needs its token, a virtual account one"
            f" of the banks {', '.join(sorted(_BANKS | {'mandiri'}))}",
            code="payment_details_invalid",
        )

    def _outcome(self, charge: Charge, found: _Transaction) -> Outcome:
        status = found.transaction_status
        if not status or not found.transaction_id:
            raise ProviderError(f"Midtrans answered {found.status_code} instead of the charge")
        if not _is_of(found, charge.amount):
            raise ProviderError("Midtrans has this charge with another amount")
        if status in _PAID and found.fraud_status == "challenge":
            # Somebody has to accept or deny it in Midtrans' portal; left alone it is cancelled after a day.
            return Authorised(found.transaction_id)
        match status:
            case "pending":
                return Waiting(found.transaction_id, self._instructions(charge, found))
            case "deny" | "failure":
                code = "card_declined" if charge.method == "card" else "payment_denied"
                return Declined(Failure(code=code, detail=found.channel_response_message or "Midtrans denied it"))
            case "cancel":
                return Voided()
            case "expire":
                return Expired()
        if status in _PAID:
            return Captured(found.transaction_id)
        raise ProviderError("Midtrans tells a status that is not known here")

    def _instructions(self, charge: Charge, found: _Transaction) -> Instructions:
        expires_at = rfc3339(charge.expires_at)
        if charge.method == "virtual_account":
            bank, number = _account(found)
            return Instructions(type="virtual_account", bank=bank, account_number=number, expires_at=expires_at)
        urls = {action.name: action.url for action in found.actions}
        redirect_url = found.redirect_url or urls.get("deeplink-redirect")
        if redirect_url or charge.method == "card":
            return Instructions(type="redirect", redirect_url=redirect_url, expires_at=expires_at)
        kind = "qris" if charge.method == "qris" else "gopay"
        image = urls.get("generate-qr-code") or f"{self._settings.base_url}/v2/{kind}/{found.transaction_id}/qr-code"
        return Instructions(type="qr_code", qr_string=found.qr_string, redirect_url=image, expires_at=expires_at)


def _path(charge: Charge) -> str:
    return f"/v2/{quote(charge.reference, safe='')}"


def _is_of(found: _Transaction, amount: Money) -> bool:
    try:
        return found.currency == "IDR" and Decimal(found.gross_amount) == whole_rupiah(amount)
    except InvalidOperation:
        return False


def _account(found: _Transaction) -> tuple[str, str]:
    """The bank and where to transfer to; at Mandiri that is a biller's code and a bill's key, with a space between."""
    if found.va_numbers:
        return found.va_numbers[0].bank, found.va_numbers[0].va_number
    if found.permata_va_number:
        return "permata", found.permata_va_number
    if found.bill_key:
        return "mandiri", f"{found.biller_code} {found.bill_key}"
    raise ProviderError("Midtrans does not tell where to transfer to")


def _midtrans_key(refund_key: str) -> str:
    return refund_key if re.fullmatch(r"[A-Za-z0-9_-]{1,50}", refund_key) else f"r-{digest(refund_key)[:40]}"


def _refunded(found: _Transaction, key: str) -> RefundDone | None:
    if found.transaction_status == "cancel":
        return RefundDone(found.transaction_id)
    for refund in found.refunds:
        if refund.refund_key == key:
            return RefundDone(refund.refund_chargeback_uuid or refund.refund_chargeback_id or key)
    return None
