"""What can be asked of an order."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from order.domain.events import Shortage
from shared_kernel.contracts.inventory import Allocation
from shared_kernel.contracts.order import ShippingAddress
from shared_kernel.contracts.payment import Instructions, Method, ProviderName
from shared_kernel.contracts.product import Market, PricedLine
from shared_kernel.money import Money


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Place(_Command):
    """Order these lines at these prices, as a customer, for a buyer's company, or as a guest who is neither."""

    name: Literal["place"] = "place"
    market: Market
    customer_id: str | None = None
    company_id: str | None = None
    lines: tuple[PricedLine, ...] = Field(min_length=1)
    total: Money
    email: str
    shipping_address: ShippingAddress
    provider: ProviderName
    method: Method


class RequestApproval(_Command):
    """It is over the buyer's limit: let somebody say yes until it expires (RFC 3339)."""

    name: Literal["request_approval"] = "request_approval"
    expires_at: str


class Approve(_Command):
    """An approver says yes."""

    name: Literal["approve"] = "approve"
    approver_id: str


class Refuse(_Command):
    """An approver says no."""

    name: Literal["refuse"] = "refuse"
    reason: str


class ExpireApproval(_Command):
    """The time for an answer is over; one that was given all the same counts."""

    name: Literal["expire_approval"] = "expire_approval"


class RecordReservation(_Command):
    """The stock is held."""

    name: Literal["record_reservation"] = "record_reservation"
    allocations: tuple[Allocation, ...]
    expires_at: str | None = None


class RequestPayment(_Command):
    """The provider is about to be asked."""

    name: Literal["request_payment"] = "request_payment"


class RecordInstructions(_Command):
    """The customer has to do something to pay, and can until it expires (RFC 3339)."""

    name: Literal["record_instructions"] = "record_instructions"
    payment_id: str
    instructions: Instructions
    expires_at: str


class RecordCapture(_Command):
    """The provider took the money."""

    name: Literal["record_capture"] = "record_capture"
    payment_id: str
    amount: Money


class RecordDecline(_Command):
    """The provider would not."""

    name: Literal["record_decline"] = "record_decline"
    payment_id: str
    code: str
    detail: str


class RecordExpiry(_Command):
    """The customer did not pay in time."""

    name: Literal["record_expiry"] = "record_expiry"
    payment_id: str


class RecordHoldEnd(_Command):
    """The stock is not held any more, though the order is paid."""

    name: Literal["record_hold_end"] = "record_hold_end"


class Confirm(_Command):
    """The stock is confirmed: let the order stand."""

    name: Literal["confirm"] = "confirm"


class DecideRejection(_Command):
    """It cannot be fulfilled: begin to give back."""

    name: Literal["decide_rejection"] = "decide_rejection"
    code: str
    detail: str
    missing: tuple[Shortage, ...] = ()


class RecordReturn(_Command):
    """How much was ever taken and has gone back so far; what is left is on its way, or `due` by hand.

    The payment was so at `payment_version`.
    """

    name: Literal["record_return"] = "record_return"
    payment_id: str
    payment_version: int
    captured: Money
    refunded: Money
    due: bool = False


class RecordRelease(_Command):
    """The stock went back, or was never held."""

    name: Literal["record_release"] = "record_release"


class Reject(_Command):
    """Everything is given back: end the order."""

    name: Literal["reject"] = "reject"


ApprovalCommand = RequestApproval | Approve | Refuse | ExpireApproval
Command = Annotated[
    Place
    | ApprovalCommand
    | RecordReservation
    | RequestPayment
    | RecordInstructions
    | RecordCapture
    | RecordDecline
    | RecordExpiry
    | RecordHoldEnd
    | Confirm
    | DecideRejection
    | RecordReturn
    | RecordRelease
    | Reject,
    Field(discriminator="name"),
]
