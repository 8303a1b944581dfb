"""What can happen to an order: its events, in the past tense, each with a type and a version.

They are the order's only state. A stored event keeps the form it was written in; a form that is
changed gets the next version, unless all that is new is a field that the older ones lack and need not have.
A `payment_version` is that of the payment of which the event tells; 0 in those that were stored without it.
"""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import TypeAdapter, ValidationError

from shared_kernel.contracts.inventory import Allocation
from shared_kernel.contracts.order import ShippingAddress
from shared_kernel.contracts.payment import Instructions, Method, ProviderName
from shared_kernel.contracts.product import Market, PricedLine
from shared_kernel.money import Money


@dataclass(frozen=True)
class OrderDrafted:
    """A cart was begun for a market, by somebody with an account or by a guest, and by a buyer for his company."""

    type: ClassVar[str] = "OrderDrafted"
    version: ClassVar[int] = 1
    order_id: str
    market: Market
    customer_id: str | None = None
    company_id: str | None = None


@dataclass(frozen=True)
class ItemAdded:
    """So many pieces of a product were put into the cart, at the price of that moment."""

    type: ClassVar[str] = "ItemAdded"
    version: ClassVar[int] = 1
    line: PricedLine


@dataclass(frozen=True)
class OrderPlaced:
    """The customer ordered at these prices, which hold from now on."""

    type: ClassVar[str] = "OrderPlaced"
    version: ClassVar[int] = 1
    lines: tuple[PricedLine, ...]
    total: Money
    email: str
    shipping_address: ShippingAddress
    provider: ProviderName
    method: Method


@dataclass(frozen=True)
class ApprovalRequested:
    """The order is over its buyer's spending limit, and waits for an approver until it expires (RFC 3339)."""

    type: ClassVar[str] = "ApprovalRequested"
    version: ClassVar[int] = 1
    expires_at: str


@dataclass(frozen=True)
class OrderApproved:
    """An approver of the buyer's company let the order go on."""

    type: ClassVar[str] = "OrderApproved"
    version: ClassVar[int] = 1
    approver_id: str


@dataclass(frozen=True)
class InventoryReserved:
    """All lines are held in these warehouses until the hold ends."""

    type: ClassVar[str] = "InventoryReserved"
    version: ClassVar[int] = 1
    allocations: tuple[Allocation, ...]
    expires_at: str | None


@dataclass(frozen=True)
class PaymentRequested:
    """The provider is about to be asked for the money."""

    type: ClassVar[str] = "PaymentRequested"
    version: ClassVar[int] = 1
    amount: Money


@dataclass(frozen=True)
class PaymentInstructed:
    """The customer was told how to pay, and can until it expires."""

    type: ClassVar[str] = "PaymentInstructed"
    version: ClassVar[int] = 1
    payment_id: str
    instructions: Instructions
    expires_at: str


@dataclass(frozen=True)
class PaymentCaptured:
    """The provider took the money for us."""

    type: ClassVar[str] = "PaymentCaptured"
    version: ClassVar[int] = 1
    payment_id: str
    amount: Money


@dataclass(frozen=True)
class PaymentDeclined:
    """The provider would not take the money."""

    type: ClassVar[str] = "PaymentDeclined"
    version: ClassVar[int] = 1
    payment_id: str
    code: str
    detail: str


@dataclass(frozen=True)
class PaymentExpired:
    """The customer did not pay in time."""

    type: ClassVar[str] = "PaymentExpired"
    version: ClassVar[int] = 1
    payment_id: str


@dataclass(frozen=True)
class HoldEnded:
    """The order was paid, but its hold on the stock had run out; the pieces are to be had again, or not."""

    type: ClassVar[str] = "HoldEnded"
    version: ClassVar[int] = 1


@dataclass(frozen=True)
class OrderConfirmed:
    """The goods are taken off the shelf and paid: the order stands."""

    type: ClassVar[str] = "OrderConfirmed"
    version: ClassVar[int] = 1


@dataclass(frozen=True)
class Shortage:
    """What a line lacked."""

    product_id: str
    requested: int
    available: int


@dataclass(frozen=True)
class RejectionDecided:
    """The order will come to nothing; from now on it can only give back what it took."""

    type: ClassVar[str] = "RejectionDecided"
    version: ClassVar[int] = 1
    code: str
    detail: str
    missing: tuple[Shortage, ...]


@dataclass(frozen=True)
class LatePaymentCaptured:
    """The money came when the order's rejection was decided already; it goes back."""

    type: ClassVar[str] = "LatePaymentCaptured"
    version: ClassVar[int] = 1
    payment_id: str
    amount: Money
    payment_version: int = 0


@dataclass(frozen=True)
class RefundIssued:
    """So much of the money that was taken went back."""

    type: ClassVar[str] = "RefundIssued"
    version: ClassVar[int] = 1
    payment_id: str
    amount: Money
    payment_version: int = 0


@dataclass(frozen=True)
class RefundFailed:
    """So much of what had gone back has come back: the provider did not get it to the customer after all."""

    type: ClassVar[str] = "RefundFailed"
    version: ClassVar[int] = 1
    payment_id: str
    amount: Money
    payment_version: int


@dataclass(frozen=True)
class RefundBegun:
    """So much is on its way back: the provider has taken it on and will tell when it is done."""

    type: ClassVar[str] = "RefundBegun"
    version: ClassVar[int] = 1
    payment_id: str
    amount: Money
    payment_version: int = 0


@dataclass(frozen=True)
class RefundDue:
    """So much cannot go back through the provider: staff owe it to the customer."""

    type: ClassVar[str] = "RefundDue"
    version: ClassVar[int] = 1
    payment_id: str
    amount: Money
    payment_version: int = 0


@dataclass(frozen=True)
class InventoryReleased:
    """The pieces that were held went back on sale."""

    type: ClassVar[str] = "InventoryReleased"
    version: ClassVar[int] = 1


@dataclass(frozen=True)
class OrderRejected:
    """Everything is given back, and the order has come to nothing for this reason."""

    type: ClassVar[str] = "OrderRejected"
    version: ClassVar[int] = 1
    code: str
    detail: str


ReturnEvent = LatePaymentCaptured | RefundIssued | RefundFailed | RefundBegun | RefundDue
PaymentEvent = ReturnEvent | PaymentRequested | PaymentInstructed | PaymentCaptured | PaymentDeclined | PaymentExpired
OrderEvent = (
    PaymentEvent
    | OrderDrafted
    | ItemAdded
    | OrderPlaced
    | ApprovalRequested
    | OrderApproved
    | InventoryReserved
    | HoldEnded
    | OrderConfirmed
    | RejectionDecided
    | InventoryReleased
    | OrderRejected
)

_FORMS: dict[tuple[str, int], TypeAdapter[OrderEvent]] = {
    (kind.type, kind.version): TypeAdapter(kind)
    for kind in (
        OrderDrafted,
        ItemAdded,
        OrderPlaced,
        ApprovalRequested,
        OrderApproved,
        InventoryReserved,
        PaymentRequested,
        PaymentInstructed,
        PaymentCaptured,
        PaymentDeclined,
        PaymentExpired,
        HoldEnded,
        OrderConfirmed,
        RejectionDecided,
        LatePaymentCaptured,
        RefundIssued,
        RefundFailed,
        RefundBegun,
        RefundDue,
        InventoryReleased,
        OrderRejected,
    )
}


class UnknownEvent(Exception):
    """A stored event is of a type or version that this code does not know: it is older than its data."""


def write_event(event: OrderEvent) -> str:
    """The event's data as JSON text."""
    return _FORMS[event.type, event.version].dump_json(event).decode()


def read_event(kind: str, version: int, data: str) -> OrderEvent:
    """The event that `write_event` wrote; UnknownEvent for a form that is not known here."""
    try:
        form = _FORMS[kind, version]
    except KeyError:
        raise UnknownEvent(f"{kind} version {version}") from None
    try:
        return form.validate_json(data)
    except ValidationError as failure:
        # The failure's own text holds the data, and with it whatever a customer told us.
        fields = [".".join(map(str, error["loc"])) for error in failure.errors(include_input=False)]
        raise UnknownEvent(f"{kind} version {version} has other fields: {', '.join(fields)}") from None
