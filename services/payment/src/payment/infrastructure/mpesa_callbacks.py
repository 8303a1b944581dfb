"""What M-Pesa calls back with, and where to.

Daraja's callbacks carry no signature. Each request therefore names an address of its own: what it is about, which
charge and which refund, with a MAC of that under the callback secret, all in the path's last part. Who does not know
the secret cannot make one, and one that leaks is good for a single charge. Senders can be limited to a list besides.
The shapes of the bodies are those of developer.safaricom.co.ke, "M-Pesa Express", "Reversals", "Transaction Status".
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from payment.application.ports import Notice, Webhook, WebhookRefused

Purpose = Literal["pay", "reversal", "status", "queue"]
PATH = "/api/webhooks/mpesa"
ALREADY_REVERSED = "R000001"
_FAILED_STATUSES = frozenset({"Failed", "Declined", "Cancelled", "Expired"})


class About(NamedTuple):
    """What a callback address stands for: a payment, a reversal, the status of one, or one that got no turn."""

    purpose: Purpose
    reference: str
    refund_key: str | None = None


_ABOUT = TypeAdapter(About)


class _Shape(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)


class _Item(_Shape):
    name: str = Field(alias="Name")
    value: JsonValue = Field(default=None, alias="Value")


class _Metadata(_Shape):
    items: list[_Item] = Field(default=[], alias="Item")


class _StkCallback(_Shape):
    checkout_request_id: str = Field(alias="CheckoutRequestID")
    result_code: str = Field(alias="ResultCode")
    metadata: _Metadata = Field(default=_Metadata(), alias="CallbackMetadata")


class _Body(_Shape):
    callback: _StkCallback = Field(alias="stkCallback")


class _StkMessage(_Shape):
    body: _Body = Field(alias="Body")


class _Parameter(_Shape):
    key: str = Field(alias="Key")
    value: JsonValue = Field(default=None, alias="Value")


class _Parameters(_Shape):
    # A single one comes without its list.
    parameters: list[_Parameter] | _Parameter = Field(default=[], alias="ResultParameter")

    def text(self, key: str) -> str:
        listed = self.parameters if isinstance(self.parameters, list) else [self.parameters]
        return next((str(each.value) for each in listed if each.key == key), "")


class _Result(_Shape):
    result_code: str = Field(alias="ResultCode")
    conversation_id: str = Field(alias="OriginatorConversationID")
    transaction_id: str = Field(default="", alias="TransactionID")
    parameters: _Parameters = Field(default=_Parameters(), alias="ResultParameters")


class _ResultMessage(_Shape):
    result: _Result = Field(alias="Result")


class Callbacks:
    """The addresses that M-Pesa is given, and what comes to them."""

    def __init__(self, public_url: str, secret: str, senders: Sequence[str]) -> None:
        self._public_url = public_url
        self._secret = secret.encode()
        self._senders = [ipaddress.ip_network(sender, strict=False) for sender in senders]

    def address(self, about: About) -> str:
        """Where M-Pesa calls back with this."""
        words = base64.urlsafe_b64encode(_ABOUT.dump_json(about)).decode().rstrip("=")
        return f"{self._public_url}{PATH}/{words}.{self._mac(words)}"

    def read(self, webhook: Webhook) -> Notice:
        """What the callback is about; WebhookRefused for another sender, address or shape."""
        self._require_sender(webhook.address)
        about = self._about(webhook.path_secret)
        digest = hashlib.sha256(f"{webhook.path_secret}\n{webhook.body}".encode()).hexdigest()
        event_id = f"mpesa-{digest[:40]}"
        try:
            if about.purpose == "pay":
                return _of_payment(event_id, about, _StkMessage.model_validate_json(webhook.body).body.callback)
            if about.purpose == "queue":
                return Notice(event_id, about.reference, refund_key=about.refund_key)
            return _of_refund(event_id, about, _ResultMessage.model_validate_json(webhook.body).result)
        except ValidationError:
            raise WebhookRefused("not a callback of M-Pesa") from None

    def _require_sender(self, address: str) -> None:
        if not self._senders:
            return
        try:
            sender = ipaddress.ip_address(address)
        except ValueError:
            raise WebhookRefused("the sender is not known") from None
        if not any(sender in network for network in self._senders):
            raise WebhookRefused("the sender is not one of M-Pesa")

    def _about(self, path_secret: str) -> About:
        words, _, mac = path_secret.partition(".")
        if not hmac.compare_digest(self._mac(words).encode(), mac.encode()):
            raise WebhookRefused("the address is none that M-Pesa was given")
        try:
            return _ABOUT.validate_json(base64.urlsafe_b64decode(words + "=" * (-len(words) % 4)))
        except (binascii.Error, ValidationError):
            raise WebhookRefused("the address is none that M-Pesa was given") from None

    def _mac(self, words: str) -> str:
        return hmac.new(self._secret, words.encode(), hashlib.sha256).hexdigest()


def _of_payment(event_id: str, about: About, told: _StkCallback) -> Notice:
    """The receipt comes with a payment that was made, and from nowhere else; a reversal needs it."""
    receipts = [str(item.value) for item in told.metadata.items if item.name == "MpesaReceiptNumber" and item.value]
    known_by = "/".join([told.checkout_request_id, *receipts[:1]])
    return Notice(event_id, about.reference, known_by)


def _of_refund(event_id: str, about: About, told: _Result) -> Notice:
    """How the reversal stands: the result of a reversal decides, the one of a query only if it found an end."""
    status = told.parameters.text("TransactionStatus")
    ended: str | None = None
    if about.purpose == "reversal":
        # Of a reversal that was asked for twice, as its first answer was lost, the second ends with this code.
        done = {"0": told.transaction_id, ALREADY_REVERSED: "before"}.get(told.result_code)
        ended = f"done:{done}" if done else f"failed:{told.result_code}"
    elif told.result_code == "0" and status == "Completed":
        ended = f"done:{told.parameters.text('ReceiptNo') or told.transaction_id}"
    elif told.result_code == "0" and status in _FAILED_STATUSES:
        ended = f"failed:{status}"
    return Notice(event_id, about.reference, refund_reference=ended, refund_key=about.refund_key)
