"""The routes of orders: placing one, an approver's decision on it, and reading it as it is and as it was."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.answers import OrderEventList, OrderPage
from gateway.http import Response, json_of, json_text
from gateway.preconditions import entity_tag
from gateway.routing import Access, Asked, Route
from shared_kernel.contracts.company import Reason
from shared_kernel.contracts.model import Nothing
from shared_kernel.contracts.order import (
    Admin,
    ApproveOrder,
    GetEvents,
    GetOrder,
    Instant,
    ListOrders,
    Order,
    OrderRequest,
    Orders,
    PlaceOrder,
    RefuseOrder,
)


class Moment(BaseModel):
    """Which state of an order: the present one, that of a version, or that of a time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[int, Field(ge=1, le=2**53 - 1)] | None = None
    at: Instant | None = Field(default=None, description="RFC 3339; a `+` in a query is written `%2B`.")

    @model_validator(mode="after")
    def _one(self) -> "Moment":
        if self.version is not None and self.at is not None:
            raise ValueError("ask for a version or for a time, not for both")
        return self


async def place_order(asked: Asked[OrderRequest]) -> Response:
    """An order is taken and its saga begins; the same key and request again give the same answer."""
    request = PlaceOrder(idempotency_key=asked.idempotency_key, request=asked.input)
    placed = await asked.ask(Orders).place_order(request)
    headers = {"location": f"/api/orders/{placed.order.id}"}
    return json_of(placed.order, 202, headers | ({"idempotent-replayed": "true"} if placed.replayed else {}))


def _order(order: Order) -> Response:
    return json_of(order, headers={"etag": entity_tag(order.version)})


async def get_order(asked: Asked[Moment]) -> Response:
    """One order."""
    which = GetOrder(id=asked.path["id"], version=asked.input.version, at=asked.input.at)
    return _order(await asked.ask(Orders).get_order(which))


async def get_events(asked: Asked[Nothing]) -> Response:
    """An order's history."""
    return json_text(await asked.ask(Orders).get_events(GetEvents(id=asked.path["id"])))


async def list_orders(asked: Asked[ListOrders]) -> Response:
    """A page of the caller's own orders, for a buyer those of his company too, and for staff of all."""
    if asked.principal.may("orders:manage"):
        return json_text(await asked.ask(Admin).list_orders(asked.input))
    return json_text(await asked.ask(Orders).list_own_orders(asked.input))


async def approve_order(asked: Asked[Nothing]) -> Response:
    """An approver of the buyer's company says yes to an order over the buyer's limit."""
    return _order(await asked.ask(Orders).approve_order(ApproveOrder(id=asked.path["id"])))


async def refuse_order(asked: Asked[Reason]) -> Response:
    """An approver of the buyer's company says no to an order over the buyer's limit, which is turned back."""
    return _order(await asked.ask(Orders).refuse_order(RefuseOrder(id=asked.path["id"], reason=asked.input.reason)))


ROUTES = (
    Route(
        "POST",
        "/api/orders",
        Access.ANYONE,
        place_order,
        OrderRequest,
        "Place an order",
        output=Order,
        status=202,
        needs_idempotency_key=True,
        limit_instead="checkout",
    ),
    Route("GET", "/api/orders", "account:use", list_orders, ListOrders, "Orders, newest first", output=OrderPage),
    Route(
        "GET",
        "/api/orders/{id}",
        Access.OWNER,
        get_order,
        Moment,
        "One order, now or as it was",
        output=Order,
        has_etag=True,
    ),
    Route(
        "GET",
        "/api/orders/{id}/events",
        Access.OWNER,
        get_events,
        Nothing,
        "The history of an order",
        output=OrderEventList,
    ),
    Route(
        "POST",
        "/api/orders/{id}/approve",
        "company:use",
        approve_order,
        Nothing,
        "Approve an order over its buyer's limit",
        output=Order,
        refuses=(409,),
        has_etag=True,
        takes_instead="query",
    ),
    Route(
        "POST",
        "/api/orders/{id}/refuse",
        "company:use",
        refuse_order,
        Reason,
        "Refuse an order over its buyer's limit",
        output=Order,
        refuses=(409,),
        has_etag=True,
    ),
)
