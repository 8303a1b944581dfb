"""What the order service offers: placing an order, and reading it as it is and as it was."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Protocol

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from shared_kernel.contracts.inventory import Allocation, Latitude, Longitude
from shared_kernel.contracts.model import (
    CursorText,
    Email,
    Health,
    Limit,
    Line,
    Message,
    Nothing,
    PostalCode,
    ReasonText,
)
from shared_kernel.contracts.payment import Bank, IdempotencyKey, Instructions, Method, Phone, ProviderName
from shared_kernel.contracts.product import Market, PricedLine, WantedLine
from shared_kernel.ids import Id
from shared_kernel.money import Money
from shared_kernel.rpc import Json

OrderStatus = Literal["draft", "pending", "awaiting_approval", "awaiting_payment", "confirmed", "rejected"]


class ShippingAddress(Message):
    """Where the goods go; the coordinates choose the warehouses, the country is ISO 3166-1 alpha-2."""

    name: Line
    line1: Line
    line2: Line | None = None
    city: Line
    postal_code: PostalCode
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    latitude: Latitude
    longitude: Longitude


_NEEDS: dict[Method, str] = {"card": "token", "stk_push": "phone", "virtual_account": "bank"}


class PaymentChoice(Message):
    """How the customer pays: a card needs its `token`, an STK push the `phone`, a virtual account the `bank`.

    The token stands for his card at the provider. All three are kept out of every event.
    """

    provider: ProviderName
    method: Method
    token: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7E]+$")] | None = Field(
        default=None, repr=False, validate_default=True
    )
    phone: Phone | None = Field(default=None, repr=False, validate_default=True)
    bank: Bank | None = Field(default=None, repr=False, validate_default=True)

    @field_validator("token", "phone", "bank")
    @classmethod
    def _is_there_when_needed(cls, value: str | None, field: ValidationInfo) -> str | None:
        method = field.data.get("method")
        if value is None and method is not None and _NEEDS.get(method) == field.field_name:
            raise PydanticCustomError("missing", "the method {method} needs it", {"method": method})
        return value


class OrderRequest(Message):
    """The body of `POST /api/orders`."""

    items: Annotated[list[WantedLine], Field(min_length=1, max_length=100)]
    email: Email
    shipping_address: ShippingAddress
    payment: PaymentChoice


class PlaceOrder(Message):
    """An order request with the key under which the caller may repeat it."""

    idempotency_key: IdempotencyKey
    request: OrderRequest


PaymentState = Literal[
    "not_requested",
    "requested",
    "pending",
    "captured",
    "declined",
    "expired",
    "cancelled",
    "refunding",
    "partially_refunded",
    "refunded",
    "refund_due",
]
"""`pending` waits for the customer; `refunding` and `refund_due` are money that is still to go back, by the provider
and by hand."""


class OrderPayment(Message):
    """What an order knows of its payment; the payment service knows the rest.

    While it is `pending` the customer can pay by `instructions`, until `expires_at`.
    """

    id: str | None = None
    provider: ProviderName
    method: Method
    status: PaymentState
    instructions: Instructions | None = None
    expires_at: str | None = None


class OrderApproval(Message):
    """That an order over its buyer's spending limit needs somebody's yes, until `expires_at`, and who gave it."""

    expires_at: str
    approved_by: str | None = None


class Rejection(Message):
    """Why an order came to nothing."""

    code: str
    detail: str
    missing: list[dict[str, str | int]] | None = None


class Order(Message):
    """An order as its owner sees it, at the version that it names; a draft has no address and no payment yet, and an
    empty one no total. `customer_id` is the account that placed it, `company_id` the company that a buyer placed it
    for; a guest's order has neither, and alone an `access_token`."""

    id: str
    status: OrderStatus
    market: Market
    items: list[PricedLine]
    total: Money | None = None
    email: str | None = None
    shipping_address: ShippingAddress | None = None
    payment: OrderPayment | None = None
    approval: OrderApproval | None = None
    allocations: list[Allocation] | None = None
    rejection: Rejection | None = None
    version: int
    placed_at: str | None = None
    customer_id: str | None = None
    company_id: str | None = None
    access_token: str | None = None


class PlacedOrder(Order):
    """An order that was placed, and has therefore everything that a draft may lack."""

    total: Money
    email: str
    shipping_address: ShippingAddress
    payment: OrderPayment
    placed_at: str


class OrderSummary(Message):
    """The data of every `order.*` event: the order in short, at the version that the event tells of."""

    status: OrderStatus
    market: Market
    email: str
    total: Money
    version: int
    placed_at: str
    customer_id: str | None = None
    company_id: str | None = None


class Placed(Message):
    """The order as it was when it was placed; `replayed` when this request had been answered before."""

    order: PlacedOrder
    replayed: bool


def _text_of_rfc3339(value: object) -> object:
    if isinstance(value, str) and "T" not in value.upper():
        raise ValueError("must be a date and time as RFC 3339 has it, with its offset")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years that UTC can tell") from None


Instant = Annotated[AwareDatetime, BeforeValidator(_text_of_rfc3339), AfterValidator(_in_utc)]


class GetOrder(Message):
    """Which order: as it is, or as it was at a version or a time (not both)."""

    id: Id
    version: Annotated[int, Field(ge=1)] | None = None
    at: Instant | None = None


class GetEvents(Message):
    """Which order's history."""

    id: Id


class ListOrders(Message):
    """Filters of a list, newest first."""

    status: OrderStatus | None = None
    customer: Annotated[str, StringConstraints(max_length=254)] | None = None
    limit: Limit = 20
    cursor: CursorText | None = None


class ApproveOrder(Message):
    """Which order, over its buyer's limit, may go on."""

    id: Id


class RefuseOrder(Message):
    """Which order, over its buyer's limit, may not, and why."""

    id: Id
    reason: ReasonText


class Orders(Protocol):
    """For the gateway: what customers do and read. An order is shown to staff, to the customer who placed it, to the
    members of the company that a buyer placed it for, and to whoever holds a guest's access token; to anyone else it
    does not exist (NotFound)."""

    async def place_order(self, request: PlaceOrder) -> Placed:
        """The placed order, its saga under way. Invalid `idempotency_key_reused` for the same key with another
        request, and whatever the product service says of the lines."""
        ...

    async def get_order(self, request: GetOrder) -> Order:
        """The order; NotFound, also for a version that it has not reached or a time before it began."""
        ...

    async def list_own_orders(self, request: ListOrders) -> Json:
        """As `Admin.list_orders`, of the caller's own orders, for a buyer those of his company too; Unauthenticated for
        a guest."""
        ...

    async def approve_order(self, request: ApproveOrder) -> Order:
        """The order after an approver's yes; NotFound; Forbidden `not_an_approver`, `own_order`; Conflict
        `illegal_transition` for an order that does not wait for it. The same yes again changes nothing."""
        ...

    async def refuse_order(self, request: RefuseOrder) -> Order:
        """The order after an approver's no: it is turned back. Raises as `approve_order`; the same no again changes
        nothing."""
        ...

    async def get_events(self, request: GetEvents) -> Json:
        """`{"items": [{"sequence", "type", "version", "occurred_at", "actor", "data"}]}`."""
        ...

    async def health(self, request: Nothing) -> Health:
        """Whether the service and its database answer."""
        ...


class Admin(Protocol):
    """For staff, through the gateway; anyone else is Unauthenticated or Forbidden."""

    async def list_orders(self, request: ListOrders) -> Json:
        """`{"items": [{"id", "status", "market", "email", "total", "version", "placed_at"}], "next_cursor"}`."""
        ...
