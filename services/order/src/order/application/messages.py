"""What crosses between the order Worker and an order's Durable Object."""

from typing import Annotated

from pydantic import Field

from order.domain.commands import Approve, Command, Place, Refuse
from shared_kernel.contracts.model import Message
from shared_kernel.contracts.order import Placed
from shared_kernel.contracts.payment import Bank, PaymentStatus, Phone


class FindPlaced(Message):
    """The fingerprint of a request that may have been answered before."""

    fingerprint: str


class Found(Message):
    """The answer it was given, if it was."""

    placed: Placed | None = None


class PaymentMeans(Message):
    """What the customer pays with; it is never logged and never part of an event."""

    token: str | None = Field(default=None, repr=False)
    phone: Phone | None = Field(default=None, repr=False)
    bank: Bank | None = Field(default=None, repr=False)


class PlaceAtPrices(Message):
    """A priced order, with the fingerprint of the request that made it and what it is paid with."""

    order_id: str
    fingerprint: str
    means: PaymentMeans
    command: Place


class CarryOut(Message):
    """A command to a placed order."""

    command: Command


class AnswerApproval(Message):
    """The yes or no of somebody whose right to it the user service has affirmed."""

    command: Annotated[Approve | Refuse, Field(discriminator="name")]


class GetPaymentMeans(Message):
    """Asks for what the customer pays with."""


class PaymentOffer(PaymentMeans):
    """What the customer pays with, and until when the stock is held for him (RFC 3339)."""

    hold_ends_at: str | None = None


class HearOfPayment(Message):
    """The payment service has told of a change; what is true now has to be asked of it."""

    event_id: str
    status: PaymentStatus
