"""What the order's use cases need of the outside, by role."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from order.application.messages import (
    AnswerApproval,
    CarryOut,
    FindPlaced,
    Found,
    GetPaymentMeans,
    HearOfPayment,
    PaymentOffer,
    PlaceAtPrices,
)
from order.domain.events import OrderEvent
from shared_kernel.contracts.model import Nothing
from shared_kernel.contracts.order import GetEvents, GetOrder, ListOrders, Order, Placed, PlacedOrder
from shared_kernel.events import Event
from shared_kernel.rpc import Json
from shared_kernel.sql import Statement


@dataclass(frozen=True)
class Recorded:
    """One stored event: its place in the order's history, when it happened, and who caused it."""

    sequence: int
    occurred_at: str
    actor: str
    event: OrderEvent


class VersionConflict(Exception):
    """Another change to the order was stored first."""


class History(Protocol):
    """One order's stored events and what is kept beside them. Nothing here waits: a crash keeps what is stored
    between two awaits together, or not at all; an exception undoes only the `append` that raised it."""

    def recorded(self) -> list[Recorded]:
        """All events by sequence; none for an order that does not exist, for which nothing is created."""
        ...

    def append(self, recorded: Sequence[Recorded], outgoing: Sequence[Event]) -> None:
        """Store events and what is to be published of them, or nothing; VersionConflict when a sequence is taken."""
        ...

    def private(self, key: str) -> str | None:
        """A secret of this order that no event carries."""
        ...

    def keep_private(self, key: str, value: str | None) -> None:
        """Store a secret, or forget it."""
        ...

    def wake(self) -> None:
        """Have the order's alarm ring at once."""
        ...


class Aggregate(Protocol):
    """One order where it lives, in its Durable Object."""

    async def find_placed(self, request: FindPlaced) -> Found:
        """What the same request was answered before, if it was; Invalid `idempotency_key_reused`."""
        ...

    async def place(self, request: PlaceAtPrices) -> Placed:
        """Place it, or answer what the same request was answered before."""
        ...

    async def carry_out(self, request: CarryOut) -> PlacedOrder:
        """The order after the command; Conflict `illegal_transition`."""
        ...

    async def answer_approval(self, request: AnswerApproval) -> PlacedOrder:
        """The order after an approver's answer, its alarm awake; NotFound; Conflict `illegal_transition`."""
        ...

    async def get_placed(self, request: GetOrder) -> PlacedOrder:
        """The order as it is now, for the saga; NotFound."""
        ...

    async def get_order(self, request: GetOrder) -> Order:
        """The order at a version or a time; NotFound."""
        ...

    async def get_events(self, request: GetEvents) -> Json:
        """Its history; NotFound."""
        ...

    async def get_payment_means(self, request: GetPaymentMeans) -> PaymentOffer:
        """What the customer pays with, for the saga alone; NotFound once the order has ended."""
        ...

    async def hear_of_payment(self, request: HearOfPayment) -> Nothing:
        """Have the order's alarm see to what has changed; an order that does not exist stays so."""
        ...


class Owner(NamedTuple):
    """Whose orders: those that somebody placed, and a buyer those that were placed for his company, too."""

    customer_id: str
    company_id: str | None = None


class OrderList(Protocol):
    """The read model: one row for each order."""

    async def page(self, request: ListOrders, owner: Owner | None = None) -> Json:
        """A page of the list, or of one owner's part of it; Invalid `invalid_cursor`."""
        ...

    async def version_of(self, order_id: str) -> int:
        """The version that the list shows of the order; 0 when it does not show it yet."""
        ...

    def applied(self, event: Event) -> Statement:
        """What brings the order's row to the event's version, unless it is at a later one; ValidationError."""
        ...

    async def bury(self, body: str) -> None:
        """Keep a message that could not be handled."""
        ...


class Sagas(Protocol):
    """The workflow instances, one for each attempt to bring an order to its end."""

    async def start(self, order_id: str, attempt: int, traceparent: str) -> None:
        """Start the attempt, unless it was started before."""
        ...

    async def nudge(self, order_id: str, attempt: int) -> bool:
        """Have an attempt that waits, or is stuck, go on; False when it is over and another one is needed. One
        that is busy loses nothing by it: it looks once more when it comes to wait."""
        ...
