"""The routes of orders: placing one, and reading it as it is and as it was."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.answers import OrderEventList, OrderPage
from gateway.http import Response, json_of, json_text
from gateway.preconditions import entity_tag
from gateway.routing import Access, Asked, Route
from shared_kernel.contracts.model import Nothing
from shared_kernel.contracts.order import (
    Admin,
    GetEvents,
    GetOrder,
    Instant,
    ListOrders,
    Order,
    OrderRequest,
    Orders,
    PlaceOrder,
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


async def get_order(asked: Asked[Moment]) -> Response:
    """One order."""
    which = GetOrder(id=asked.path["id"], version=asked.input.version, at=asked.input.at)
    order = await asked.ask(Orders).get_order(which)
    return json_of(order, headers={"etag": entity_tag(order.version)})


async def get_events(asked: Asked[Nothing]) -> Response:
    """An order's history."""
    return json_text(await asked.ask(Orders).get_events(GetEvents(id=asked.path["id"])))


async def list_orders(asked: Asked[ListOrders]) -> Response:
    """All orders."""
    return json_text(await asked.ask(Admin).list_orders(asked.input))


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
    ),
    Route("GET", "/api/orders", Access.STAFF, list_orders, ListOrders, "All orders, newest first", output=OrderPage),
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
)
