"""What crosses between the order Worker and an order's Durable Object."""

from order.domain.commands import Command, Place
from shared_kernel.contracts.model import Message
from shared_kernel.contracts.order import Placed


class FindPlaced(Message):
    """The fingerprint of a request that may have been answered before."""

    fingerprint: str


class Found(Message):
    """The answer it was given, if it was."""

    placed: Placed | None = None


class PlaceAtPrices(Message):
    """A priced order, with the fingerprint of the request that made it and the token to pay it with."""

    order_id: str
    fingerprint: str
    payment_token: str
    command: Place


class CarryOut(Message):
    """A command to a placed order."""

    command: Command


class GetPaymentToken(Message):
    """Asks for what the customer pays with."""


class PaymentToken(Message):
    """What the customer pays with; it is never logged and never part of an event."""

    token: str
