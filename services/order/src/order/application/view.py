"""An order as its owner sees it, and as the rest of the system is told of it."""

from collections.abc import Sequence

from order.application.ports import Recorded
from order.domain import events
from order.domain.order import Order, replay
from shared_kernel.contracts import order as contract
from shared_kernel.errors import NotFound
from shared_kernel.events import Event
from shared_kernel.money import total

_PUBLISHED_AS = {
    events.OrderPlaced: "order.placed",
    events.ApprovalRequested: "order.awaiting_approval",
    events.PaymentRequested: "order.awaiting_payment",
    events.OrderConfirmed: "order.confirmed",
    events.OrderRejected: "order.rejected",
}


def view(history: Sequence[Recorded], access_token: str | None = None) -> contract.Order:
    """The order that this history makes, be it a draft; NotFound for none."""
    order = replay(recorded.event for recorded in history)
    if order is None:
        raise NotFound("there is no such order", code="order_not_found")
    placed = order.placed
    return contract.Order(
        id=order.id,
        status=order.status,
        market=order.market,
        items=list(placed.lines if placed else order.cart),
        total=total(line.total for line in order.cart) if order.cart else None,
        email=placed.email if placed else None,
        shipping_address=placed.shipping_address if placed else None,
        payment=_payment(order, placed) if placed else None,
        approval=_approval(order),
        allocations=None if order.allocations is None else list(order.allocations),
        rejection=_rejection(order),
        version=order.version,
        placed_at=placed_at(history),
        customer_id=order.customer_id,
        company_id=order.company_id,
        access_token=access_token,
    )


def placed_view(history: Sequence[Recorded], access_token: str | None = None) -> contract.PlacedOrder:
    """The order that this history makes; NotFound for one that is not placed yet."""
    if placed_version(history) == 0:
        raise NotFound("there is no such order", code="order_not_found")
    return contract.PlacedOrder.model_validate(dict(view(history, access_token)))


def placed_at(history: Sequence[Recorded]) -> str | None:
    """When it was placed, RFC 3339; None before."""
    return next((each.occurred_at for each in history if isinstance(each.event, events.OrderPlaced)), None)


def placed_version(history: Sequence[Recorded]) -> int:
    """The version at which it was placed; 0 before."""
    return next((each.sequence for each in history if isinstance(each.event, events.OrderPlaced)), 0)


def announcement(history: Sequence[Recorded], traceparent: str) -> Event | None:
    """What is published of the last event of this history; None when it concerns nobody outside.

    The id is made from the order and the version, so that publishing it again changes nothing.
    """
    last = history[-1]
    kind = _PUBLISHED_AS.get(type(last.event))
    if kind is None:
        return None
    order = placed_view(history)
    return Event(
        id=f"{order.id}-{last.sequence}",
        source="/services/order",
        type=kind,
        subject=order.id,
        time=last.occurred_at,
        traceparent=traceparent,
        data=contract.OrderSummary(
            status=order.status,
            market=order.market,
            email=order.email,
            total=order.total,
            version=order.version,
            placed_at=order.placed_at,
            customer_id=order.customer_id,
            company_id=order.company_id,
        ).model_dump(),
    )


def announced_version(history: Sequence[Recorded]) -> int:
    """The version of the last event that was published; 0 before the first."""
    return next((each.sequence for each in reversed(history) if type(each.event) in _PUBLISHED_AS), 0)


def _payment(order: Order, placed: events.OrderPlaced) -> contract.OrderPayment:
    shown = order.instructed if order.payment == "pending" else None
    return contract.OrderPayment(
        id=order.payment_id,
        provider=placed.provider,
        method=placed.method,
        status=order.payment,
        instructions=shown.instructions if shown else None,
        expires_at=shown.expires_at if shown else None,
    )


def _approval(order: Order) -> contract.OrderApproval | None:
    if order.approval is None:
        return None
    return contract.OrderApproval(expires_at=order.approval.expires_at, approved_by=order.approved_by)


def _rejection(order: Order) -> contract.Rejection | None:
    if order.rejection is None:
        return None
    missing: list[dict[str, str | int]] = [
        {"product_id": short.product_id, "requested": short.requested, "available": short.available}
        for short in order.rejection.missing
    ]
    return contract.Rejection(code=order.rejection.code, detail=order.rejection.detail, missing=missing or None)
