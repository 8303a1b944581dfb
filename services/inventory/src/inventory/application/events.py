"""What the inventory service tells others: the events' types and their data."""

from datetime import datetime

from pydantic import JsonValue

from inventory.domain.reservation import Change, Reservation
from inventory.domain.stock import Level
from shared_kernel.clock import rfc3339
from shared_kernel.contracts.inventory import Allocation
from shared_kernel.events import Event, event
from shared_kernel.ids import new_id

SOURCE = "/services/inventory"


def reserved(reservation: Reservation, now: datetime, traceparent: str) -> Event:
    """`stock.reserved` about the order: what is held, and until when."""
    return _event("stock.reserved", reservation.order_id, _told(reservation), now, traceparent)


def changed(change: Change, now: datetime, traceparent: str) -> list[Event]:
    """`stock.confirmed` or `stock.released` about the order: what it had, and the status before and after; nothing
    for a change that moves no stock."""
    if change.effect.event is None:
        return []
    data = _told(change.after) | {"previous_status": change.before.status}
    return [_event(change.effect.event, change.after.order_id, data, now, traceparent)]


def low(place: Level | Allocation, now: datetime, traceparent: str) -> Event:
    """`stock.low` about the product; of an allocation without the figures, which only the database knows."""
    data: dict[str, JsonValue] = {
        "product_id": place.product_id,
        "warehouse_id": place.warehouse_id,
        "warehouse_code": place.warehouse_code,
    }
    if isinstance(place, Level):
        data |= {"available": place.available, "low_stock_threshold": place.low_stock_threshold}
    return _event("stock.low", place.product_id, data, now, traceparent)


def _told(reservation: Reservation) -> dict[str, JsonValue]:
    return {
        "order_id": reservation.order_id,
        "status": reservation.status,
        "expires_at": rfc3339(reservation.expires_at) if reservation.expires_at else None,
        "allocations": [piece.model_dump() for piece in reservation.allocations],
    }


def _event(kind: str, subject: str, data: dict[str, JsonValue], now: datetime, traceparent: str) -> Event:
    return event(kind, subject, data, id=new_id("evt", now), at=now, source=SOURCE, traceparent=traceparent)
