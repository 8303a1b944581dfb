"""The demonstration: what a customer does in a running shop, and how each of his orders must end.

It needs no token but the ones that the shop gives to each guest with his order. Without `--url` it takes the
system that runs on the state directory, and where none runs it starts one on a state of its own and stops it.
"""

import argparse
import contextlib
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
from pydantic import BaseModel

from shared_kernel.contracts.inventory import Availability
from shared_kernel.contracts.order import Order, OrderRequest, PaymentChoice, ShippingAddress
from shared_kernel.contracts.product import Category, Product, WantedLine
from wrangler import running

_REQUEST_SECONDS = 30
_ENDED_WITHIN_SECONDS = 60
_POLL_SECONDS = 0.2
_MOST_PIECES = 999_999
_SHOWN_PRODUCTS = 5
_INTERRUPTED = 130

_ADDRESS = ShippingAddress(
    name="Sari Wulandari",
    line1="Jalan Kemang Raya 24",
    city="Jakarta",
    postal_code="12730",
    country="ID",
    latitude=-6.2607,
    longitude=106.8136,
)


class DemoFailed(Exception):
    """Something did not end as it must; the message says what."""


class _Categories(BaseModel):
    items: list[Category]


class _Products(BaseModel):
    items: list[Product]
    next_cursor: str | None = None


class _Event(BaseModel):
    sequence: int
    type: str
    occurred_at: datetime
    actor: str


class _Events(BaseModel):
    items: list[_Event]


@dataclass(frozen=True)
class _Wish:
    """What is ordered, how it is paid, and how that must end."""

    product: Product
    quantity: int
    token: str
    status: str
    rejection: str | None
    pieces_gone: int


class _Shop:
    """The public API as a guest uses it."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def categories(self) -> list[Category]:
        return _Categories.model_validate_json(self._ask("GET", "/api/categories")).items

    def products(self) -> list[Product]:
        return _Products.model_validate_json(self._ask("GET", "/api/products?sort=price&limit=100")).items

    def available(self, product: Product) -> int:
        text = self._ask("GET", f"/api/products/{product.id}/availability")
        return Availability.model_validate_json(text).available

    def place(self, wish: _Wish) -> Order:
        request = OrderRequest(
            items=[WantedLine(product_id=wish.product.id, quantity=wish.quantity)],
            email="sari@example.com",
            shipping_address=_ADDRESS,
            payment=PaymentChoice(provider="sandbox", method="card", token=wish.token),
        )
        headers = {"idempotency-key": str(uuid.uuid4()), "content-type": "application/json"}
        body = request.model_dump_json(exclude_none=True)
        return Order.model_validate_json(self._ask("POST", "/api/orders", headers, body))

    def ended(self, placed: Order) -> Order:
        """The order as soon as it has ended; DemoFailed when that takes too long."""
        give_up = time.monotonic() + _ENDED_WITHIN_SECONDS
        while time.monotonic() < give_up:
            order = Order.model_validate_json(self._ask("GET", f"/api/orders/{placed.id}", _owner(placed)))
            if order.status in ("confirmed", "rejected"):
                return order
            time.sleep(_POLL_SECONDS)
        raise DemoFailed(f"order {placed.id} has not ended after {_ENDED_WITHIN_SECONDS} seconds")

    def events(self, placed: Order) -> list[_Event]:
        return _Events.model_validate_json(self._ask("GET", f"/api/orders/{placed.id}/events", _owner(placed))).items

    def _ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: str | None = None) -> str:
        response = self._client.request(method, path, headers=headers, content=body)
        if not response.is_success:
            raise DemoFailed(f"{method} {path} was answered {response.status_code}: {response.text[:500]}")
        return response.text


def _owner(placed: Order) -> dict[str, str]:
    return {"authorization": f"Bearer {placed.access_token}"}


def demonstrate(url: str, say: Callable[[str], None]) -> None:
    """Browse, then place three orders and watch each end; DemoFailed when one does not end as it must."""
    with httpx.Client(base_url=url, timeout=_REQUEST_SECONDS) as client:
        shop = _Shop(client)
        say(f"Pasar at {url}")
        product, available = _browse(shop, say)
        say("\nAn order that is confirmed")
        _order(shop, _Wish(product, 2, "tok_ok", "confirmed", None, pieces_gone=2), say)
        say("\nAn order whose payment is declined: its stock comes back")
        _order(shop, _Wish(product, 1, "tok_declined", "rejected", "payment_declined", pieces_gone=0), say)
        say("\nAn order for more than there is")
        too_many = available - 2 + 1
        _order(shop, _Wish(product, too_many, "tok_ok", "rejected", "insufficient_inventory", pieces_gone=0), say)
        say("\nEach order ended as it must.")


def _browse(shop: _Shop, say: Callable[[str], None]) -> tuple[Product, int]:
    """Show a little of the catalogue; a product that can be ordered, and how many there are."""
    products = shop.products()
    say(f"\nThe catalogue: {len(shop.categories())} categories; some of the cheapest products:")
    chosen: tuple[Product, int] | None = None
    shown = 0
    for product in products:
        available = shop.available(product)
        if shown < _SHOWN_PRODUCTS:
            say(f"  {product.sku:<12}  {product.name:<44}  {product.price!s:>16}  {available:>6} available")
            shown += 1
        if chosen is None and product.availability.retail and 2 <= available <= _MOST_PIECES:
            chosen = (product, available)
        if chosen is not None and shown == min(_SHOWN_PRODUCTS, len(products)):
            return chosen
    raise DemoFailed("the shop has nothing in stock that could be ordered; was it started with --no-sample?")


def _order(shop: _Shop, wish: _Wish, say: Callable[[str], None]) -> None:
    before = shop.available(wish.product)
    placed = shop.place(wish)
    say(f"  {placed.id}: {wish.quantity} x {wish.product.name}, {placed.total}, card {wish.token}")
    order = shop.ended(placed)
    _show(shop.events(placed), say)
    after = shop.available(wish.product)
    say(f"  {order.status}{_reason(order)}; available before {before}, after {after}")
    rejection = order.rejection.code if order.rejection is not None else None
    if (order.status, rejection) != (wish.status, wish.rejection):
        raise DemoFailed(f"order {order.id} must be {wish.status} ({wish.rejection}), not {order.status} ({rejection})")
    if before - after != wish.pieces_gone:
        raise DemoFailed(f"{wish.pieces_gone} pieces must be gone, not {before - after}: does anyone else buy here?")


def _reason(order: Order) -> str:
    if order.rejection is None:
        return ""
    missing = "".join(
        f" (asked {line['requested']}, available {line['available']})" for line in order.rejection.missing or []
    )
    return f": {order.rejection.code}{missing}"


def _show(events: list[_Event], say: Callable[[str], None]) -> None:
    """The events with their times, and how long after the first each came."""
    say("   no  time (UTC)        after  event              by")
    for event in events:
        after_ms = round((event.occurred_at - events[0].occurred_at).total_seconds() * 1000)
        clock = f"{event.occurred_at:%H:%M:%S}.{event.occurred_at.microsecond // 1000:03d}"
        say(f"  {event.sequence:>3}  {clock}  {after_ms:>7} ms  {event.type:<17}  {event.actor}")


@contextlib.contextmanager
def _shop_url(options: argparse.Namespace) -> Iterator[str]:
    """The address that was given, that of the running system, or that of one made for the demonstration."""
    if options.url is not None:
        yield options.url
        return
    found = running.find(options.state)
    if found is not None:
        yield found.url
        return
    with tempfile.TemporaryDirectory(prefix="pasar-demo-") as folder:
        print("No system is running: starting one for the demonstration.", flush=True)
        with running.started(Path(folder) / "state", log=Path(folder) / "run.log") as system:
            yield system.connection.url


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration; 0 only when everything ended as it must."""
    parser = argparse.ArgumentParser(prog="scripts/demo.sh", description="Place orders in a running shop.")
    parser.add_argument("--url", help="the shop's address")
    parser.add_argument(
        "--state", type=Path, default=running.DEFAULT_STATE, help="the state directory of a system that may be running"
    )
    options = parser.parse_args(arguments)
    try:
        with _shop_url(options) as url:
            demonstrate(url, print)
    except (DemoFailed, running.NotStarted) as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1
    except httpx.HTTPError as failure:
        print(f"demo: the shop does not answer: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
