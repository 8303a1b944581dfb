"""What the payment service offers: charges for the order saga, payments to read, refunds by staff."""

from typing import Annotated, Literal, Protocol

from pydantic import Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from shared_kernel.contracts.model import Health, Message, Nothing
from shared_kernel.money import Money
from shared_kernel.rpc import Json

ProviderName = Literal["sandbox"]
Method = Literal["card"]
IdempotencyKey = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]

PaymentStatus = Literal["created", "captured", "declined", "cancelled", "partially_refunded", "refunded", "refund_due"]


class Failure(Message):
    """Why a payment did not succeed, in the provider's terms."""

    code: str
    detail: str


class Payment(Message):
    """One payment of one order; what was captured less what was refunded is what the shop holds."""

    id: str
    order_id: str
    provider: str
    method: str
    status: PaymentStatus
    amount: Money
    captured: Money
    refunded: Money
    failure: Failure | None = None
    created_at: str
    updated_at: str


class RequestPayment(Message):
    """Take this amount for this order; the key makes the same request meet the same payment.

    The token stands for the card at the provider; it is used for the call and never stored or logged.
    """

    idempotency_key: IdempotencyKey
    order_id: str
    amount: Money
    provider: ProviderName
    method: Method
    token: str = Field(repr=False)


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
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class Refund(Message):
    """One refund, and the payment as it stands now: repeated after a later refund, it shows that one too."""

    id: str
    amount: Money
    reason: str
    status: Literal["succeeded"]
    payment: Payment
    # Whether an earlier request with the same key began it: the gateway tells it in a header, not in the body.
    replayed: SkipJsonSchema[bool] = False


class Payments(Protocol):
    """For the gateway: reading."""

    async def get_payment(self, request: GetPayment) -> Payment:
        """The payment; NotFound. Staff only, or the order's owner as the gateway has checked with the order."""
        ...

    async def health(self, request: Nothing) -> Health:
        """Whether the service and its database answer."""
        ...


class Admin(Protocol):
    """For staff, through the gateway; anyone else is Unauthenticated or Forbidden."""

    async def refund(self, request: RefundPayment) -> Refund:
        """The refund; NotFound; Conflict `not_refundable` or `refund_exceeds_captured`; Invalid
        `currency_mismatch`, `idempotency_key_reused` for the same key with another refund."""
        ...

    async def list_sandbox_charges(self, request: Nothing) -> Json:
        """The sandbox provider's own book: `{"items": [{"reference", "idempotency_key", "amount",
        "refunded", "status"}]}`; NotFound where there is no sandbox."""
        ...


class Charges(Protocol):
    """For the order saga. Both methods may be repeated, and answer what was recorded."""

    async def request_payment(self, request: RequestPayment) -> Payment:
        """The payment, captured or declined. Unavailable when the provider gave no clear answer (repeat the
        same request: it is looked up before it is charged); Conflict `payment_cancelled` when it was
        cancelled before; Invalid `idempotency_key_reused`, `provider_not_available`."""
        ...

    async def cancel_payment(self, request: CancelPayment) -> Payment:
        """The payment, cancelled where nothing was captured and refunded where something was. A request that
        has not arrived yet is recorded as cancelled, and refused when it does arrive. Unavailable when the
        provider gave no clear answer."""
        ...
