"""M-Pesa (Safaricom's Daraja): a prompt on the customer's phone, in whole Kenyan shillings.

It decides what can be known. Daraja has no key that makes a request act once, and finds a payment only by the
CheckoutRequestID of its answer. So nothing is pushed twice: where that answer was lost, only the callback can tell
what became of the charge, by the address that it was given. Until then `look_up` raises ProviderError; once a prompt
can no longer be open it answers Expired, and a callback that is later still is a payment that came after.

A reversal is of a whole payment, which Daraja does once, and needs the receipt that only the callback tells. It ends
in a callback too: there is no query that answers directly, so here a verified callback is all the truth there is.
`provider_reference` is `<CheckoutRequestID>`, then `<CheckoutRequestID>/<receipt>`; that of a refund is
`asked:<conversation>:<seconds since 1970 when last asked>`, then `done:<receipt>` or `failed:<code>`.
Sources: developer.safaricom.co.ke, APIs "M-Pesa Express", "M-Pesa Express Query", "Reversals", "Transaction Status".
"""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from payment.application.ports import Http, Notice, ProviderError, Webhook
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
    Waiting,
)
from payment.infrastructure.asking import NotAsked, ask, basic, read
from payment.infrastructure.exponents import AmountNotTaken, rescaled
from payment.infrastructure.mpesa_callbacks import About, Callbacks, Purpose
from shared_kernel.clock import Clock, rfc3339
from shared_kernel.contracts.payment import Failure, Instructions
from shared_kernel.errors import Invalid
from shared_kernel.money import EXPONENTS, Money

# The longest that a prompt is known to stay open and its callback to take, with room to spare.
SILENCE = timedelta(minutes=5)
# The answer to a query is a callback, and each callback has the refund asked for again: without a pause they never end.
SECONDS_BETWEEN_QUERIES = 120
TOKEN_MARGIN_SECONDS = 60
TOKEN_ATTEMPTS = 2
ACCOUNT_REFERENCE_LENGTH = 12
NAIROBI = timezone(timedelta(hours=3))
_PHONE = re.compile(r"\+254[17][0-9]{8}")
# Each of Daraja's APIs has its own code for it.
_INVALID_TOKEN = frozenset({"404.001.03", "401.002.01", "400.003.01"})
_UNCLEAR = "500.001.1001"
# The gateway's limits on calls: the request went no further.
_TOO_MANY_CALLS = frozenset({"500.003.02", "500.003.03"})
_STILL_OPEN = "4999"
_TIMED_OUT = frozenset({"1019", "1037"})
_FAILURES = {
    "1": ("insufficient_funds", "the customer's balance is too small"),
    "17": ("provider_refused", "M-Pesa could not carry the payment out"),
    "26": ("provider_busy", "M-Pesa was too busy"),
    "1001": ("customer_busy", "another payment is open on this phone"),
    "1025": ("prompt_failed", "the prompt could not be sent"),
    "1032": ("cancelled_by_customer", "the customer refused the payment"),
    "2001": ("wrong_pin", "the customer's PIN was wrong"),
    "9999": ("prompt_failed", "the prompt could not be sent"),
}


@dataclass(frozen=True)
class MpesaSettings:
    """Where Daraja is and who we are there; without an initiator nothing is reversed, and without addresses (or
    networks, as `196.201.214.0/24`) anybody with the right secret may call back."""

    base_url: str
    public_url: str
    shortcode: str
    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    passkey: str = field(repr=False)
    callback_secret: str = field(repr=False)
    initiator: str | None = None
    security_credential: str | None = field(default=None, repr=False)
    callback_addresses: tuple[str, ...] = ()


def settings_from(setting: Callable[[str], str | None]) -> MpesaSettings | None:
    """The settings, or None where a secret or our own address is missing.

    In production nobody may call back but from the addresses that are listed, so without a list there is none either.
    """
    public_url, shortcode = setting("PUBLIC_URL"), setting("MPESA_SHORTCODE")
    key, secret = setting("MPESA_CONSUMER_KEY"), setting("MPESA_CONSUMER_SECRET")
    passkey, callback_secret = setting("MPESA_PASSKEY"), setting("MPESA_CALLBACK_SECRET")
    if not (public_url and shortcode and key and secret and passkey and callback_secret):
        return None
    addresses = tuple((setting("MPESA_CALLBACK_ADDRESSES") or "").replace(",", " ").split())
    if not addresses and setting("ENVIRONMENT") == "production":
        return None
    return MpesaSettings(
        base_url=setting("MPESA_URL") or "https://api.safaricom.co.ke",
        public_url=public_url.rstrip("/"),
        shortcode=shortcode,
        consumer_key=key,
        consumer_secret=secret,
        passkey=passkey,
        callback_secret=callback_secret,
        initiator=setting("MPESA_INITIATOR"),
        security_credential=setting("MPESA_SECURITY_CREDENTIAL"),
        callback_addresses=addresses,
    )


class _Shape(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)


class _Token(_Shape):
    access_token: str
    expires_in: int


class _Reply(_Shape):
    error_code: str = Field(default="", alias="errorCode")
    error_message: str = Field(default="", alias="errorMessage")
    response_code: str = Field(default="", alias="ResponseCode")
    checkout_request_id: str = Field(default="", alias="CheckoutRequestID")
    result_code: str = Field(default="", alias="ResultCode")
    conversation_id: str = Field(default="", alias="OriginatorConversationID")

    @property
    def is_refusal(self) -> bool:
        """Whether Daraja said for certain that it did nothing."""
        bad_request = self.error_code.startswith(("400.", "401.", "404."))
        return bad_request or self.error_code in _TOO_MANY_CALLS or self.response_code not in {"", "0"}

    @property
    def knows_nothing(self) -> bool:
        """Whether a query was heard, and nothing found; not where it came no further than the gateway."""
        is_heard = self.error_code == _UNCLEAR or self.error_code.startswith(("400.", "404."))
        return is_heard and self.error_code not in _INVALID_TOKEN


def whole_shillings(amount: Money) -> int:
    """The amount as M-Pesa takes it; AmountNotTaken for another currency or a fraction."""
    if amount.currency != "KES":
        raise AmountNotTaken("M-Pesa takes Kenyan shillings only")
    return rescaled(amount.amount, EXPONENTS["KES"], 0)


class MpesaProvider:
    """The provider. `create` must not be called again after a ProviderError unless `look_up` answered None, and it
    never does for a charge that may have been pushed."""

    def __init__(self, http: Http, settings: MpesaSettings, clock: Clock) -> None:
        self._http = http
        self._settings = settings
        self._clock = clock
        self._callbacks = Callbacks(settings.public_url, settings.callback_secret, settings.callback_addresses)
        self._token: tuple[str, datetime] | None = None

    async def create(self, charge: Charge, means: Means) -> Outcome:
        """See PaymentProvider. Where M-Pesa was certainly not reached the charge is declined: asking once more is
        then a matter of a new payment."""
        phone = means.phone or ""
        if charge.method != "stk_push" or not _PHONE.fullmatch(phone):
            raise Invalid("M-Pesa takes an stk_push to a phone number +254...", code="payment_details_invalid")
        shillings = whole_shillings(charge.amount)
        if charge.provider_reference:
            return await self._query(charge, charge.provider_reference)
        if charge.expires_at <= self._clock():
            return Expired()
        request = self._signed() | {
            "TransactionType": "CustomerPayBillOnline",
            "Amount": shillings,
            "PartyA": phone[1:],
            "PartyB": self._settings.shortcode,
            "PhoneNumber": phone[1:],
            "CallBackURL": self._callbacks.address(About("pay", charge.reference)),
            "AccountReference": charge.reference[-ACCOUNT_REFERENCE_LENGTH:],
            "TransactionDesc": "Order payment",
        }
        try:
            reply = await self._post("/mpesa/stkpush/v1/processrequest", request)
        except NotAsked:
            return Declined(Failure(code="provider_unavailable", detail="M-Pesa could not be asked for the payment"))
        if reply.is_refusal:
            return Declined(Failure(code="refused_by_mpesa", detail=reply.error_code or reply.response_code))
        if not reply.checkout_request_id:
            raise ProviderError(f"M-Pesa answered the payment with {reply.error_code or 'nothing that is known'}")
        return _waiting(charge, reply.checkout_request_id)

    async def look_up(self, charge: Charge) -> Outcome | None:
        """See PaymentProvider; never None, for M-Pesa cannot be asked what it does not know."""
        if charge.provider_reference:
            return await self._query(charge, charge.provider_reference)
        if self._is_open(charge):
            raise ProviderError("only M-Pesa's callback can tell how the payment stands")
        return Expired()

    async def cancel(self, charge: Charge) -> Outcome | None:
        """See PaymentProvider; a prompt cannot be taken back, it ends by itself within minutes."""
        return await self.look_up(charge)

    async def refund(
        self, charge: Charge, refund_key: str, amount: Money, provider_reference: str | None
    ) -> RefundOutcome:
        """See PaymentProvider; one that was asked for is asked about, and the answer comes by callback."""
        state, _, detail = (provider_reference or "").partition(":")
        if state == "done" and provider_reference:
            return RefundDone(provider_reference)
        if state == "failed":
            return RefundImpossible(f"M-Pesa refused the reversal with {detail}")
        if amount != charge.amount:
            return RefundImpossible("M-Pesa reverses nothing but a whole payment")
        if not (self._settings.initiator and self._settings.security_credential):
            return RefundImpossible("nobody is set up here who may reverse an M-Pesa payment")
        if state == "asked":
            conversation_id, _, asked_at = detail.rpartition(":")
            if self._seconds() - int(asked_at) >= SECONDS_BETWEEN_QUERIES:
                await self._ask_about(charge, refund_key, conversation_id)
                asked_at = str(self._seconds())
            return RefundPending(f"asked:{conversation_id}:{asked_at}")
        _, _, receipt = (charge.provider_reference or "").partition("/")
        if receipt:
            return await self._reverse(charge, refund_key, receipt)
        if self._is_open(charge):
            raise ProviderError("M-Pesa has not told the payment's receipt yet")
        return RefundImpossible("M-Pesa never told the payment's receipt: it has to be found in its portal")

    async def find_refund(self, charge: Charge, refund_key: str, amount: Money) -> RefundOutcome | None:
        """See PaymentProvider; always None, for M-Pesa knows nothing by our key. Its callback tells of a reversal whose
        answer was lost, and of a second one that the first was made (`ALREADY_REVERSED`)."""
        return None

    async def read_webhook(self, webhook: Webhook) -> Notice:
        """See PaymentProvider; `refund_reference` says how a reversal stands, and is to be kept as the refund's."""
        return self._callbacks.read(webhook)

    async def _query(self, charge: Charge, provider_reference: str) -> Outcome:
        checkout_request_id = provider_reference.partition("/")[0]
        reply = await self._post(
            "/mpesa/stkpushquery/v1/query", self._signed() | {"CheckoutRequestID": checkout_request_id}
        )
        code = reply.result_code
        if code == "0":
            return Captured(provider_reference)
        # The same code stands for any trouble; only its words tell that the prompt is still open.
        if code == _STILL_OPEN or (reply.error_code == _UNCLEAR and "being processed" in reply.error_message):
            return _waiting(charge, provider_reference)
        if code in _TIMED_OUT:
            return Expired()
        if code in _FAILURES:
            name, detail = _FAILURES[code]
            return Declined(Failure(code=name, detail=detail))
        # The prompt is long gone. If M-Pesa took the money after all, its callback tells of a late payment; and of one
        # that was made it has told the receipt, which is then all that is left to go by.
        is_gone, has_receipt = not self._is_open(charge), "/" in provider_reference
        if is_gone and code and not has_receipt:
            return Declined(Failure(code="provider_refused", detail=f"M-Pesa ended the payment with {code}"))
        if is_gone and reply.knows_nothing:
            return Captured(provider_reference) if has_receipt else Expired()
        raise ProviderError(f"M-Pesa answered the query with {code or reply.error_code or 'nothing that is known'}")

    async def _reverse(self, charge: Charge, refund_key: str, receipt: str) -> RefundOutcome:
        request = self._initiated("TransactionReversal", "reversal", charge, refund_key) | {
            "TransactionID": receipt,
            "Amount": whole_shillings(charge.amount),
            "ReceiverParty": self._settings.shortcode,
            # Misspelt as documented; 11 is the only value that reversals take.
            "RecieverIdentifierType": "11",
        }
        reply = await self._post("/mpesa/reversal/v1/request", request)
        if (
            reply.error_code in _TOO_MANY_CALLS
            or reply.error_code.startswith("401.")
            or reply.error_code in _INVALID_TOKEN
        ):
            raise ProviderError(f"M-Pesa did not take the reversal now: {reply.error_code}")
        if reply.is_refusal:
            return RefundImpossible(f"M-Pesa refused the reversal with {reply.error_code or reply.response_code}")
        if not reply.conversation_id:
            raise ProviderError(f"M-Pesa answered the reversal with {reply.error_code or 'nothing that is known'}")
        return RefundPending(f"asked:{reply.conversation_id}:{self._seconds()}")

    async def _ask_about(self, charge: Charge, refund_key: str, conversation_id: str) -> None:
        request = self._initiated("TransactionStatusQuery", "status", charge, refund_key) | {
            "OriginalConversationID": conversation_id,
            "PartyA": self._settings.shortcode,
            "IdentifierType": "4",
        }
        reply = await self._post("/mpesa/transactionstatus/v1/query", request)
        if reply.response_code != "0":
            raise ProviderError(f"M-Pesa answered the query with {reply.error_code or reply.response_code}")

    def _seconds(self) -> int:
        return int(self._clock().timestamp())

    def _is_open(self, charge: Charge) -> bool:
        return self._clock() < charge.expires_at + SILENCE

    def _signed(self) -> dict[str, JsonValue]:
        timestamp = f"{self._clock().astimezone(NAIROBI):%Y%m%d%H%M%S}"
        password = f"{self._settings.shortcode}{self._settings.passkey}{timestamp}"
        return {
            "BusinessShortCode": self._settings.shortcode,
            "Password": base64.b64encode(password.encode()).decode(),
            "Timestamp": timestamp,
        }

    def _initiated(self, command: str, purpose: Purpose, charge: Charge, refund_key: str) -> dict[str, JsonValue]:
        return {
            "Initiator": self._settings.initiator,
            "SecurityCredential": self._settings.security_credential,
            "CommandID": command,
            "ResultURL": self._callbacks.address(About(purpose, charge.reference, refund_key)),
            "QueueTimeOutURL": self._callbacks.address(About("queue", charge.reference, refund_key)),
            "Remarks": f"Refund {refund_key}"[:100],
        }

    async def _post(self, path: str, request: dict[str, JsonValue]) -> _Reply:
        """The reply; once more with a fresh token where the first was refused, which is before anything is done."""
        reply = await self._post_once(path, request)
        if reply.error_code in _INVALID_TOKEN:
            self._token = None
            reply = await self._post_once(path, request)
        return reply

    async def _post_once(self, path: str, request: dict[str, JsonValue]) -> _Reply:
        headers = {"authorization": f"Bearer {await self._access_token()}", "content-type": "application/json"}
        url = self._settings.base_url + path
        return read("M-Pesa", _Reply, await ask(self._http, "M-Pesa", "POST", url, headers, json.dumps(request)))

    async def _access_token(self) -> str:
        if self._token and self._clock() < self._token[1]:
            return self._token[0]
        headers = {"authorization": basic(self._settings.consumer_key, self._settings.consumer_secret)}
        url = f"{self._settings.base_url}/oauth/v1/generate?grant_type=client_credentials"
        for _ in range(TOKEN_ATTEMPTS):
            try:
                token = read("M-Pesa", _Token, await ask(self._http, "M-Pesa", "GET", url, headers))
            except ProviderError:
                continue
            lifetime = timedelta(seconds=token.expires_in - TOKEN_MARGIN_SECONDS)
            self._token = (token.access_token, self._clock() + lifetime)
            return token.access_token
        raise NotAsked("M-Pesa gave no access token")


def _waiting(charge: Charge, provider_reference: str) -> Waiting:
    return Waiting(provider_reference, Instructions(type="stk_push", expires_at=rfc3339(charge.expires_at)))
