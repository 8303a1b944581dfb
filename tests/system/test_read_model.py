"""The list of orders, which follows the orders' own events through the queue."""

import time
import uuid
from typing import NamedTuple

from pydantic import BaseModel

from shared_kernel.contracts.order import PlacedOrder
from shared_kernel.money import Money
from tests.system.shop import Shop, order_of, problem

_FOLLOWS_WITHIN_SECONDS = 90


class Row(BaseModel):
    """One order in the list."""

    id: str
    status: str
    email: str
    total: Money
    version: int
    placed_at: str


class Page(BaseModel):
    """A part of the list."""

    items: list[Row]
    next_cursor: str | None = None


class Customer(NamedTuple):
    """A customer of one test, told apart by his e-mail address."""

    email: str
    orders: list[PlacedOrder]


def list_orders(shop: Shop, query: str) -> Page:
    """A page of the list as staff see it."""
    response = shop.ask("GET", f"/api/orders?{query}", headers=shop.as_staff)
    assert response.status_code == 200, response.text
    return Page.model_validate_json(response.text)


def wait_until_listed(shop: Shop, orders: list[PlacedOrder]) -> None:
    """Wait until the list shows each of these orders at its last version; AssertionError when it does not follow."""
    ended = {order.id: (order.status, order.version) for order in orders}
    # Only these customers' orders: those of other tests would push them off the first page.
    emails = {order.email for order in orders}
    give_up = time.monotonic() + _FOLLOWS_WITHIN_SECONDS
    while True:
        rows = [row for email in emails for row in list_orders(shop, f"customer={email}&limit=100").items]
        shown = {row.id: (row.status, row.version) for row in rows if row.id in ended}
        if shown == ended:
            return
        assert time.monotonic() < give_up, f"the list does not follow: {shown} instead of {ended}"
        time.sleep(0.5)


def _customer(shop: Shop) -> Customer:
    email = f"{uuid.uuid4().hex}@example.com"
    product = shop.make_product(5)
    bodies = [order_of({product.id: 1}, token) | {"email": email} for token in ("tok_ok", "tok_declined", "tok_ok")]
    orders = [shop.wait_until_ended(shop.place_order(body)) for body in bodies]
    wait_until_listed(shop, orders)
    return Customer(email, orders)


def test_list_shows_each_order_as_it_ended_newest_first(shop: Shop) -> None:
    customer = _customer(shop)
    rows = list_orders(shop, f"customer={customer.email}").items
    expected = [
        Row(
            id=order.id,
            status=order.status,
            email=customer.email,
            total=order.total,
            version=order.version,
            placed_at=order.placed_at or "",
        )
        for order in reversed(customer.orders)
    ]
    assert rows == expected


def test_list_is_filtered_by_status(shop: Shop) -> None:
    customer = _customer(shop)
    rows = list_orders(shop, f"customer={customer.email}&status=rejected").items
    assert [row.id for row in rows] == [order.id for order in customer.orders if order.status == "rejected"]


def test_pages_hold_every_order_once(shop: Shop) -> None:
    customer = _customer(shop)
    query = f"customer={customer.email}&limit=2"
    first = list_orders(shop, query)
    assert len(first.items) == 2
    assert first.next_cursor is not None
    second = list_orders(shop, f"{query}&cursor={first.next_cursor}")
    assert second.next_cursor is None
    seen = [row.id for row in [*first.items, *second.items]]
    assert seen == [order.id for order in reversed(customer.orders)]


def test_cursor_of_another_list_is_refused(shop: Shop) -> None:
    shop.make_product()
    shop.make_product()
    cursor = shop.ask("GET", "/api/products?limit=1").json()["next_cursor"]
    response = shop.ask("GET", f"/api/orders?cursor={cursor}", headers=shop.as_staff)
    problem(response, 422, "invalid_cursor")
