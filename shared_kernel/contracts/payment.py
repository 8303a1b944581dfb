"""What the payment service offers: charges for the order saga, payments to read, refunds by staff."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from shared_kernel.clock import rfc3339
from shared_kernel.contracts.model import Health, Limit, Line, Message, Nothing, ReasonText
from shared_kernel.money import Money
from shared_kernel.rpc import Json

ProviderName = Literal["sandbox", "xendit", "midtrans", "stripe", "paypal", "mpesa"]
Method = Literal["card", "qris", "virtual_account", "ewallet", "paypal", "stk_push"]
Bank = Literal["bca", "bni", "bri", "mandiri", "permata", "cimb", "bsi"]
Phone = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
IdempotencyKey = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]

WebhookStatus = Literal["received", "done", "failed"]

RefundStatus = Literal["pending", "succeeded", "due", "withdrawn"]
RefundKind = Literal["refund", "chargeback"]

PaymentStatus = Literal[
    "created",
    "pending",
    "authorised",
    "captured",
    "declined",
    "expired",
    "cancelled",
    "partially_refunded",
    "refunded",
    "refund_due",
    "disputed",
]


def _in_utc(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs its offset from UTC")
    return rfc3339(moment)


Time = Annotated[str, AfterValidator(_in_utc)]
"""RFC 3339; whatever its offset, it is kept in the form of `rfc3339`."""


class Instructions(Message):
    """What the customer has to do to pay: scan, transfer, follow a link, or confirm on his phone."""

    type: Literal["qr_code", "virtual_account", "redirect", "stk_push"]
    qr_string: str | None = None
    bank: str | None = None
    account_number: str | None = None
    redirect_url: str | None = None
    expires_at: str | None = None


class Failure(Message):
    """Why a payment did not succeed, in the provider's terms."""

    code: str
    detail: str


class Payment(Message):
    """One payment of one order; what was captured less what was refunded is what the shop holds.

    `instructions` are there while the customer has something to do (`pending`); nobody asks a provider for the
    money after `expires_at`. `given_up`: it was undone, so whatever was or is taken for it goes back. `version` counts
    its changes: of two answers that cross, the one with the higher is the newer.
    """

    id: str
    order_id: str
    provider: str
    method: str
    status: PaymentStatus
    amount: Money
    captured: Money
    refunded: Money
    given_up: bool = False
    failure: Failure | None = None
    instructions: Instructions | None = None
    expires_at: str | None = None
    version: int
    created_at: str
    updated_at: str


class RequestPayment(Message):
    """Take this amount for this order; the key makes the same request meet the same payment.

    What the customer pays with (token, phone, bank, email) is used for the call and never stored or logged; the
    token stands for the card at the provider. Without `expires_at` the payment can be made for an hour.
    """

    idempotency_key: IdempotencyKey
    order_id: str
    amount: Money
    provider: ProviderName
    method: Method
    token: str | None = Field(default=None, repr=False)
    phone: Phone | None = Field(default=None, repr=False)
    bank: Bank | None = Field(default=None, repr=False)
    email: str | None = Field(default=None, repr=False)
    expires_at: Time | None = None


class CheckPayment(Message):
    """How does the payment that was requested with this key stand?"""

    idempotency_key: IdempotencyKey


class CancelPayment(Message):
    """Undo whatever the request with this key has done, or will do."""

    idempotency_key: IdempotencyKey
    order_id: str
    amount: Money
    provider: ProviderName
    method: Method
    reason: str


class GetPayment(Message):
    """Which payment."""

    id: str


class RefundPayment(Message):
    """Give back a part or the whole; two refunds with different keys are two refunds."""

    payment_id: str
    idempotency_key: IdempotencyKey
    amount: Money
    reason: ReasonText


class ListRefunds(Message):
    """Refunds of all payments: what is `due` or `pending` oldest first, anything else newest first."""

    status: RefundStatus | None = None
    limit: Limit = 20
    cursor: str | None = None


class SettleRefund(Message):
    """A refund that was due was paid by hand; `reference` says where that payment is found."""

    refund_id: str
    idempotency_key: IdempotencyKey
    reference: Line
    note: ReasonText | None = None


class Refund(Message):
    """One refund, and the payment as it stands now: repeated after a later refund, it shows that one too.

    `pending`: the provider has taken it on and will tell, or a dispute has to end first; `due`: the provider cannot
    give this payment back, so somebody has to do it by hand, and `paid_by_hand` is then the reference of that payment;
    `withdrawn`: a dispute was lost, which took the money first. A `chargeback` is what a lost dispute has cost.
    """

    id: str
    amount: Money
    reason: str
    status: RefundStatus
    kind: RefundKind = "refund"
    paid_by_hand: str | None = None
    payment: Payment
    # Whether an earlier request with the same key began it: the gateway tells it in a header, not in the body.
    replayed: SkipJsonSchema[bool] = False


class SettleSandboxPayment(Message):
    """What the customer of a waiting payment does at the sandbox provider."""

    payment_id: str
    outcome: Literal["paid", "failed"]


class DeliverWebhook(Message):
    """A provider's message as it reached the gateway; header names are in lower case.

    The body may hold personal data, and the headers and the path a secret: none of them is ever logged.
    """

    provider: str
    headers: dict[str, str] = Field(repr=False)
    body: str = Field(repr=False)
    path_secret: str = Field(default="", repr=False)
    address: str = ""


class WebhookReceipt(Message):
    """A webhook that was kept and has had its effect, now or before."""

    id: str
    status: WebhookStatus


class ListWebhooks(Message):
    """Kept webhooks, newest first."""

    status: WebhookStatus | None = None
    limit: Limit = 20
    cursor: str | None = None


class RunWebhook(Message):
    """Which webhook is to have its effect once more."""

    id: str


class Payments(Protocol):
    """For the gateway: reading."""

    async def get_payment(self, request: GetPayment) -> Payment:
        """The payment; NotFound. Staff only, or the order's owner as the gateway has checked with the order."""
        ...

    async def settle_sandbox_payment(self, request: SettleSandboxPayment) -> Payment:
        """The payment after the sandbox's webhook was received; who may do it as in `get_payment`. NotFound where
        there is no sandbox or the payment is not one of its own; Conflict `sandbox_not_waiting`."""
        ...

    async def health(self, request: Nothing) -> Health:
        """Whether the service and its database answer, and which providers are configured."""
        ...


class Admin(Protocol):
    """For staff, through the gateway; anyone else is Unauthenticated or Forbidden."""

    async def refund(self, request: RefundPayment) -> Refund:
        """The refund; NotFound; Conflict `not_refundable` or `refund_exceeds_captured`; Invalid
        `currency_mismatch`, `idempotency_key_reused` for the same key with another refund."""
        ...

    async def list_refunds(self, request: ListRefunds) -> Json:
        """`{"items": [{"id", "payment_id", "order_id", "provider", "method", "amount", "reason", "kind", "status",
        "detail"?, "paid_by_hand"?, "created_at"}], "next_cursor"}`; Invalid `invalid_cursor`."""
        ...

    async def settle_refund(self, request: SettleRefund) -> Refund:
        """The refund that was due, recorded as paid by hand; NotFound `refund_not_found`; Conflict `refund_not_due`,
        `refund_already_settled` by another key, `payment_disputed`; Invalid `idempotency_key_reused`."""
        ...

    async def get_ledger(self, request: Nothing) -> Json:
        """`{"balanced": bool, "items": [{"account", "balance": Money}]}`: one item for each account and currency,
        and whether the entries of every transfer add up to nothing."""
        ...

    async def list_webhooks(self, request: ListWebhooks) -> Json:
        """`{"items": [{"id", "provider", "event_id", "status", "attempts", "failure"?, "received_at"}],
        "next_cursor"}`, without bodies; Invalid `invalid_cursor`."""
        ...

    async def run_webhook(self, request: RunWebhook) -> WebhookReceipt:
        """The webhook with its effect, for one that failed; NotFound; Unavailable `webhook_failed` as before."""
        ...

    async def list_sandbox_charges(self, request: Nothing) -> Json:
        """The sandbox provider's own book: `{"items": [{"reference", "idempotency_key", "amount",
        "refunded", "status"}]}`; NotFound where there is no sandbox."""
        ...


class Charges(Protocol):
    """For the order saga. Every method may be repeated, and answers what was recorded."""

    async def request_payment(self, request: RequestPayment) -> Payment:
        """The payment: captured, declined, expired, or pending with instructions for the customer. Unavailable when
        the provider gave no clear answer (repeat the same request: it is looked up before it is charged); Conflict
        `payment_cancelled` when it was cancelled before; Invalid `idempotency_key_reused`,
        `provider_not_available`."""
        ...

    async def check_payment(self, request: CheckPayment) -> Payment:
        """The payment as the provider has it now, looked up where it is in a passing state; NotFound; Unavailable
        when the provider gave no clear answer."""
        ...

    async def cancel_payment(self, request: CancelPayment) -> Payment:
        """The payment, cancelled where nothing was captured, and where something was, refunded, `refund_due`, or
        with a refund under way. A request that has not arrived yet is recorded as cancelled, and refused when it
        does arrive. What is paid after the cancellation is given back by itself. Unavailable when the provider gave
        no clear answer."""
        ...


class Webhooks(Protocol):
    """For the gateway: what the providers send."""

    async def receive(self, request: DeliverWebhook) -> WebhookReceipt:
        """The webhook, kept and with its effect; one that was done before has no second. Unauthenticated
        `webhook_not_verified` when its proof is missing or wrong, and nothing is kept; Invalid
        `provider_not_available`; Unavailable `webhook_failed` when it was kept but its effect has to wait: the
        provider sends it again, and the service tries by itself."""
        ...
