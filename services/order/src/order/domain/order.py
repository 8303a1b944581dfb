"""The order: which events a command gives in each state, and what each event makes of the order.

draft -> pending -> awaiting_payment -> confirmed, or -> rejected; an order over its buyer's spending limit is
awaiting_approval before anything is taken for it, and pending again after an approver's yes. Whether an order
stands or falls is decided here and once: `OrderConfirmed` and `RejectionDecided` exclude each other, so two runs of
the saga, or a late one, can never do both. Money can still come and go after that, which is recorded and changes
nothing of it.
"""

import dataclasses
import functools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

from order.domain import commands, events
from order.domain.events import OrderEvent
from shared_kernel.contracts.inventory import Allocation
from shared_kernel.contracts.order import OrderStatus, PaymentState
from shared_kernel.contracts.product import Market, PricedLine
from shared_kernel.errors import Conflict
from shared_kernel.money import Money

ENDED: frozenset[OrderStatus] = frozenset({"confirmed", "rejected"})
APPROVAL_REFUSED = "approval_refused"
APPROVAL_EXPIRED = "approval_expired"
_REQUESTED: frozenset[PaymentState] = frozenset({"requested"})
AWAITED: frozenset[PaymentState] = _REQUESTED | {"pending"}


class IllegalTransition(Conflict):
    """The order's state does not allow the command."""

    code = "illegal_transition"


@dataclass(frozen=True)
class Order:
    """An order at one version; the version is the number of its events."""

    id: str
    market: Market
    customer_id: str | None = None
    company_id: str | None = None
    status: OrderStatus = "draft"
    version: int = 0
    cart: tuple[PricedLine, ...] = ()
    placed: events.OrderPlaced | None = None
    approval: events.ApprovalRequested | None = None
    approved_by: str | None = None
    allocations: tuple[Allocation, ...] | None = None
    hold_ends_at: str | None = None
    payment: PaymentState = "not_requested"
    payment_id: str | None = None
    instructed: events.PaymentInstructed | None = None
    captured: Money | None = None
    refunded: Money | None = None
    payment_version: int = 0
    rejection: events.RejectionDecided | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done for it."""
        return self.status in ENDED

    @property
    def awaits_approver(self) -> bool:
        """Whether it goes on only when an approver has answered, or can answer no more."""
        return self.status == "awaiting_approval" and self.rejection is None

    @property
    def awaits_customer(self) -> bool:
        """Whether it goes on only when the customer has paid, or can pay no more."""
        return self.payment == "pending" and self.rejection is None

    @property
    def money_is_out(self) -> bool:
        """Whether money that it does not need has not gone back, and it is not for staff to give it back."""
        return self.status == "rejected" and self.payment == "refunding"


def replay(history: Iterable[OrderEvent]) -> Order | None:
    """The order that these events make; None for no events."""
    return functools.reduce(evolve, history, None)


def evolve(order: Order | None, event: OrderEvent) -> Order:
    """The order after the event. Every stored event was legal when it was decided, so none is refused."""
    if isinstance(event, events.OrderDrafted):
        return Order(
            id=event.order_id,
            market=event.market,
            customer_id=event.customer_id,
            company_id=event.company_id,
            version=1,
        )
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
        case events.ApprovalRequested():
            return replace(status="awaiting_approval", approval=event)
        case events.OrderApproved(approver_id):
            return replace(status="pending", approved_by=approver_id)
        case events.InventoryReserved(allocations, expires_at):
            return replace(allocations=allocations, hold_ends_at=expires_at)
        case events.HoldEnded() | events.InventoryReleased():
            return replace(allocations=None, hold_ends_at=None)
        case events.OrderConfirmed():
            return replace(status="confirmed")
        case events.RejectionDecided():
            return replace(rejection=event)
        case events.OrderRejected():
            return replace(status="rejected", payment="cancelled" if order.payment in AWAITED else order.payment)
        case _:
            return _paid(order, event)


def _paid(order: Order, event: events.PaymentEvent) -> Order:
    replace = functools.partial(dataclasses.replace, order)
    match event:
        case events.PaymentRequested():
            return replace(status="awaiting_payment", payment="requested")
        case events.PaymentInstructed(payment_id):
            return replace(payment="pending", payment_id=payment_id, instructed=event)
        case events.PaymentCaptured(payment_id, amount):
            return replace(payment="captured", payment_id=payment_id, captured=amount)
        case events.PaymentDeclined(payment_id):
            return replace(payment="declined", payment_id=payment_id)
        case events.PaymentExpired(payment_id):
            return replace(payment="expired", payment_id=payment_id)
        case _:
            return _returned(order, event)


def _returned(order: Order, event: events.ReturnEvent) -> Order:
    replace = functools.partial(
        dataclasses.replace, order, payment_id=event.payment_id, payment_version=event.payment_version
    )
    match event:
        case events.LatePaymentCaptured():
            return replace(payment="captured", captured=event.amount)
        case events.RefundIssued():
            refunded = event.amount if order.refunded is None else order.refunded + event.amount
            whole = order.captured in (None, refunded)
            return replace(payment="refunded" if whole else "partially_refunded", refunded=refunded)
        case events.RefundFailed():
            left = (order.refunded or event.amount) - event.amount
            return replace(payment="partially_refunded" if left.amount else "captured", refunded=left)
        case events.RefundBegun():
            return replace(payment="refunding")
        case events.RefundDue():
            return replace(payment="refund_due")
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
        events.OrderDrafted(order_id, command.market, command.customer_id, command.company_id),
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
        case commands.RequestApproval() | commands.Approve() | commands.Refuse() | commands.ExpireApproval():
            return _decide_approval(order, command)
        case commands.RecordReservation():
            legal = _going(order, command) and not order.awaits_approver
            return _once(order.allocations is not None, legal, _reserved(command))
        case commands.RequestPayment():
            legal = _going(order, command) and order.allocations is not None
            return _once(order.payment != "not_requested", legal, events.PaymentRequested(total))
        case commands.RecordInstructions():
            instructed = events.PaymentInstructed(command.payment_id, command.instructions, command.expires_at)
            return _answered(order, command, "pending", _REQUESTED, instructed)
        case commands.RecordCapture():
            return _record_capture(order, total, command)
        case commands.RecordDecline():
            declined = events.PaymentDeclined(command.payment_id, command.code, command.detail)
            return _answered(order, command, "declined", AWAITED, declined)
        case commands.RecordExpiry():
            return _answered(order, command, "expired", AWAITED, events.PaymentExpired(command.payment_id))
        case commands.RecordHoldEnd():
            legal = _going(order, command) and order.payment == "captured"
            return _once(legal and order.allocations is None, legal, events.HoldEnded())
        case commands.Confirm():
            legal = _going(order, command) and order.payment == "captured" and order.allocations is not None
            return _once(order.status == "confirmed", legal, events.OrderConfirmed())
        case commands.DecideRejection():
            decided = events.RejectionDecided(command.code, command.detail, command.missing)
            return _once(order.rejection is not None, order.status != "confirmed", decided)
        case commands.RecordReturn():
            return _record_return(order, command)
        case commands.RecordRelease():
            given_back = order.rejection is not None and order.allocations is None
            return _once(given_back, _falling(order), events.InventoryReleased())
        case commands.Reject():
            return _reject(order)
        case _:
            assert_never(command)


def _decide_approval(order: Order, command: commands.ApprovalCommand) -> Sequence[OrderEvent]:
    match command:
        case commands.RequestApproval():
            untouched = order.company_id is not None and order.allocations is None and order.status == "pending"
            legal = _going(order, command) and untouched
            return _once(order.approval is not None, legal, events.ApprovalRequested(command.expires_at))
        case commands.Approve():
            return _once(
                order.approved_by is not None, order.awaits_approver, events.OrderApproved(command.approver_id)
            )
        case commands.Refuse():
            refused = events.RejectionDecided(APPROVAL_REFUSED, command.reason, ())
            done = order.rejection is not None and order.rejection.code == APPROVAL_REFUSED
            return _once(done, order.awaits_approver, refused)
        case commands.ExpireApproval():
            expired = events.RejectionDecided(APPROVAL_EXPIRED, "nobody approved the order in time", ())
            answered = order.approved_by is not None or order.rejection is not None
            return _once(order.approval is not None and answered, order.awaits_approver, expired)


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
    _require_payment(order, command.payment_id)
    if order.payment in AWAITED and command.amount != total:
        raise IllegalTransition(f"{command.amount} was captured for an order of {total}")
    captured = events.PaymentCaptured(command.payment_id, command.amount)
    return _once(order.captured is not None, _going(order, command) and order.payment in AWAITED, captured)


def _answered(
    order: Order,
    command: commands.RecordInstructions | commands.RecordDecline | commands.RecordExpiry,
    state: PaymentState,
    before: Collection[PaymentState],
    event: OrderEvent,
) -> Sequence[OrderEvent]:
    _require_payment(order, command.payment_id)
    return _once(order.payment == state, _going(order, command) and order.payment in before, event)


def _record_return(order: Order, command: commands.RecordReturn) -> Sequence[OrderEvent]:
    """What came in and went out that is not recorded yet; a confirmed order keeps what has not gone back.

    An answer that is older than what is recorded undoes nothing.
    """
    if order.payment == "not_requested" or not (order.ended or order.rejection):
        raise IllegalTransition("nothing is to be given back of an order that is on its way")
    _require_payment(order, command.payment_id)
    payment, version = command.payment_id, command.payment_version
    if version < order.payment_version:
        return []
    decided: list[OrderEvent] = []
    if order.captured is None and command.captured.amount > 0:
        decided.append(events.LatePaymentCaptured(payment, command.captured, version))
    known = order.refunded or command.refunded.times(0)
    if command.refunded.amount < known.amount:
        decided.append(events.RefundFailed(payment, known - command.refunded, version))
    elif command.refunded != known:
        decided.append(events.RefundIssued(payment, command.refunded - known, version))
    left = command.captured - command.refunded
    if order.rejection is not None and left.amount > 0:
        kind, state = (events.RefundDue, "refund_due") if command.due else (events.RefundBegun, "refunding")
        if decided or order.payment != state:
            decided.append(kind(payment, left, version))
    return decided


def _require_payment(order: Order, payment_id: str) -> None:
    if order.payment_id not in (None, payment_id):
        raise IllegalTransition("the order is paid by another payment")


def _reject(order: Order) -> Sequence[OrderEvent]:
    if order.status == "rejected":
        return []
    if order.rejection is None:
        raise IllegalTransition("the rejection must be decided first")
    if order.payment in ("captured", "partially_refunded"):
        raise IllegalTransition("the payment must be refunded first")
    if order.allocations is not None:
        raise IllegalTransition("the stock must be released first")
    return [events.OrderRejected(order.rejection.code, order.rejection.detail)]
