"""The order: which events a command gives in each state, and what each event makes of the order.

draft -> pending -> awaiting_payment -> confirmed, or -> rejected. Whether an order stands or falls is
decided here and once: `OrderConfirmed` and `RejectionDecided` exclude each other, so two runs of the
saga, or a late one, can never do both.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from order.domain import commands, events
from order.domain.events import OrderEvent
from shared_kernel.contracts.inventory import Allocation
from shared_kernel.contracts.order import OrderStatus
from shared_kernel.contracts.product import Market, PricedLine
from shared_kernel.errors import Conflict
from shared_kernel.money import Money

PaymentState = Literal["not_requested", "requested", "captured", "declined", "refunded", "cancelled"]
ENDED: frozenset[OrderStatus] = frozenset({"confirmed", "rejected"})


class IllegalTransition(Conflict):
    """The order's state does not allow the command."""

    code = "illegal_transition"


@dataclass(frozen=True)
class Order:
    """An order at one version; the version is the number of its events."""

    id: str
    market: Market
    status: OrderStatus = "draft"
    version: int = 0
    cart: tuple[PricedLine, ...] = ()
    placed: events.OrderPlaced | None = None
    allocations: tuple[Allocation, ...] | None = None
    payment: PaymentState = "not_requested"
    payment_id: str | None = None
    rejection: events.RejectionDecided | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done for it."""
        return self.status in ENDED


def replay(history: Iterable[OrderEvent]) -> Order | None:
    """The order that these events make; None for no events."""
    return functools.reduce(evolve, history, None)


def evolve(order: Order | None, event: OrderEvent) -> Order:
    """The order after the event. Every stored event was legal when it was decided, so none is refused."""
    if isinstance(event, events.OrderDrafted):
        return Order(id=event.order_id, market=event.market, version=1)
    if order is None:
        raise ValueError(f"a history begins with OrderDrafted, not with {event.type}")
    return dataclasses.replace(_applied(order, event), version=order.version + 1)


def _applied(order: Order, event: OrderEvent) -> Order:
    replace = functools.partial(dataclasses.replace, order)
    match event:
        case events.OrderDrafted():
            return order
        case events.ItemAdded(line):
            return replace(cart=(*order.cart, line))
        case events.OrderPlaced():
            return replace(status="pending", placed=event)
        case events.InventoryReserved(allocations):
            return replace(allocations=allocations)
        case events.PaymentRequested():
            return replace(status="awaiting_payment", payment="requested")
        case events.PaymentCaptured(payment_id):
            return replace(payment="captured", payment_id=payment_id)
        case events.PaymentDeclined(payment_id):
            return replace(payment="declined", payment_id=payment_id)
        case events.OrderConfirmed():
            return replace(status="confirmed")
        case events.RejectionDecided():
            return replace(rejection=event)
        case events.RefundIssued(payment_id):
            return replace(payment="refunded", payment_id=payment_id)
        case events.InventoryReleased():
            return replace(allocations=None)
        case events.OrderRejected():
            return replace(status="rejected", payment="cancelled" if order.payment == "requested" else order.payment)
        case _:
            assert_never(event)


def decide(order_id: str, order: Order | None, command: commands.Command) -> Sequence[OrderEvent]:
    """The events that the command gives; none where it had its effect before; IllegalTransition otherwise."""
    if isinstance(command, commands.Place):
        if order is not None:
            raise IllegalTransition(f"the order is {order.status} and cannot be placed again")
        return _place(order_id, command)
    if order is None or order.placed is None:
        raise IllegalTransition(f"{command.name} needs a placed order")
    return _decide_placed(order, order.placed.total, command)


def _place(order_id: str, command: commands.Place) -> list[OrderEvent]:
    return [
        events.OrderDrafted(order_id, command.market),
        *map(events.ItemAdded, command.lines),
        events.OrderPlaced(
            lines=command.lines,
            total=command.total,
            email=command.email,
            shipping_address=command.shipping_address,
            provider=command.provider,
            method=command.method,
        ),
    ]


def _decide_placed(order: Order, total: Money, command: commands.Command) -> Sequence[OrderEvent]:
    match command:
        case commands.Place():
            raise IllegalTransition("the order is placed already")
        case commands.RecordReservation():
            return _once(order.allocations is not None, _going(order, command), _reserved(command))
        case commands.RequestPayment():
            legal = _going(order, command) and order.allocations is not None
            return _once(order.payment != "not_requested", legal, events.PaymentRequested(total))
        case commands.RecordCapture():
            return _record_capture(order, total, command)
        case commands.RecordDecline():
            return _record_decline(order, command)
        case commands.Confirm():
            legal = _going(order, command) and order.payment == "captured" and order.allocations is not None
            return _once(order.status == "confirmed", legal, events.OrderConfirmed())
        case commands.DecideRejection():
            decided = events.RejectionDecided(command.code, command.detail, command.missing)
            return _once(order.rejection is not None, order.status != "confirmed", decided)
        case commands.RecordRefund():
            return _record_refund(order, command)
        case commands.RecordRelease():
            given_back = order.rejection is not None and order.allocations is None
            return _once(given_back, _falling(order), events.InventoryReleased())
        case commands.Reject():
            return _reject(order)
        case _:
            assert_never(command)


def _once(done: bool, legal: bool, event: OrderEvent) -> Sequence[OrderEvent]:
    if done:
        return []
    if not legal:
        raise IllegalTransition(f"the order's state does not allow {event.type}")
    return [event]


def _going(order: Order, command: commands.Command) -> bool:
    """Whether it is still on its way to being confirmed."""
    if order.rejection is not None:
        raise IllegalTransition(f"{command.name} came after the order's rejection was decided")
    return not order.ended


def _falling(order: Order) -> bool:
    """Whether its rejection is decided but not yet carried out."""
    return order.rejection is not None and not order.ended


def _reserved(command: commands.RecordReservation) -> OrderEvent:
    return events.InventoryReserved(command.allocations, command.expires_at)


def _record_capture(order: Order, total: Money, command: commands.RecordCapture) -> Sequence[OrderEvent]:
    if order.payment == "captured" and order.payment_id != command.payment_id:
        raise IllegalTransition("the order is paid by another payment")
    if order.payment == "requested" and command.amount != total:
        raise IllegalTransition(f"{command.amount} was captured for an order of {total}")
    captured = events.PaymentCaptured(command.payment_id, command.amount)
    return _once(order.payment == "captured", _going(order, command) and order.payment == "requested", captured)


def _record_decline(order: Order, command: commands.RecordDecline) -> Sequence[OrderEvent]:
    declined = events.PaymentDeclined(command.payment_id, command.code, command.detail)
    return _once(order.payment == "declined", _going(order, command) and order.payment == "requested", declined)


def _record_refund(order: Order, command: commands.RecordRefund) -> Sequence[OrderEvent]:
    refunded = events.RefundIssued(command.payment_id, command.amount)
    legal = _falling(order) and order.payment in ("requested", "captured")
    return _once(order.payment == "refunded", legal, refunded)


def _reject(order: Order) -> Sequence[OrderEvent]:
    if order.status == "rejected":
        return []
    if order.rejection is None:
        raise IllegalTransition("the rejection must be decided first")
    if order.payment == "captured":
        raise IllegalTransition("the payment must be refunded first")
    if order.allocations is not None:
        raise IllegalTransition("the stock must be released first")
    return [events.OrderRejected(order.rejection.code, order.rejection.detail)]
