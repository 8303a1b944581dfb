"""A power cut while orders are in their saga: everything that was promised is kept.

It runs on a system of its own, which is killed twice: while the orders are being placed, and again as soon
as it is back and every customer has sent his request once more. (The local queues are lost each time.)
"""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from shared_kernel.contracts.order import PlacedOrder
from shared_kernel.contracts.product import Product
from tests.system.books import assert_books_agree
from tests.system.shop import ServerFault, Shop, order_of
from tests.system.test_read_model import wait_until_listed
from tests.system.wedged import assert_never_wedged
from wrangler import running

TOKENS = ("tok_ok", "tok_declined", "tok_error_once", "tok_lost", "tok_error")
ORDERS_OF_EACH = 4
STOCKED = 10
LAST_PIECES = 2
ENDED_WITHIN_SECONDS = 120


@dataclass(frozen=True)
class Wish:
    """A request that its customer repeats under the same key until it is answered."""

    key: str
    product: Product
    token: str
    quantity: int

    def send(self, shop: Shop) -> PlacedOrder | None:
        """The placed order; None when the power went."""
        try:
            return self.insist(shop)
        except (httpx.TransportError, ServerFault):
            return None

    def insist(self, shop: Shop) -> PlacedOrder:
        """The placed order."""
        return shop.place_order(order_of({self.product.id: self.quantity}, self.token), self.key)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[running.LocalSystem]:
    """A system to be killed."""
    with running.started(tmp_path / "state", ["--no-sample"], tmp_path / "system.log") as started:
        yield started
    assert_never_wedged(tmp_path / "state")


def _open(system: running.LocalSystem) -> Shop:
    return Shop(system.connection.url, system.connection.staff_token)


def _wishes(products: dict[str, Product], scarce: Product) -> list[Wish]:
    cards = [Wish(str(uuid.uuid4()), products[token], token, 1) for _ in range(ORDERS_OF_EACH) for token in TOKENS]
    return cards + [Wish(str(uuid.uuid4()), scarce, "tok_ok", 1) for _ in range(ORDERS_OF_EACH)]


def _send_until_the_power_goes(
    system: running.LocalSystem, shop: Shop, wishes: list[Wish], after: int
) -> list[PlacedOrder]:
    """Send all at once and kill the system when so many are answered; the orders that were."""
    with ThreadPoolExecutor(len(wishes)) as pool:
        pending: set[Future[PlacedOrder | None]] = {pool.submit(wish.send, shop) for wish in wishes}
        answered: list[PlacedOrder] = []
        while pending and len(answered) < after:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            answered += [order for future in done if (order := future.result()) is not None]
        system.kill()
        return answered + [order for future in pending if (order := future.result()) is not None]


def _assert_ended_as_they_must(shop: Shop, wishes: list[Wish], stocked: dict[str, int]) -> None:
    """Every order within two minutes, and then all books."""
    give_up = time.monotonic() + ENDED_WITHIN_SECONDS
    placed = {wish.key: wish.insist(shop) for wish in wishes}
    ended = {key: shop.wait_until_ended(order, give_up - time.monotonic()) for key, order in placed.items()}
    for product in {wish.product.id: wish.product for wish in wishes}.values():
        orders = [ended[wish.key] for wish in wishes if wish.product == product]
        assert_books_agree(shop, product, stocked[product.id], orders)
    wait_until_listed(shop, list(ended.values()))
    confirmed = [wish.token for wish in wishes if ended[wish.key].status == "confirmed"]
    assert confirmed.count("tok_error_once") == ORDERS_OF_EACH
    assert confirmed.count("tok_ok") == ORDERS_OF_EACH + LAST_PIECES
    assert not {"tok_declined", "tok_error"} & set(confirmed)


def test_every_order_ends_and_all_books_agree_after_two_power_cuts(system: running.LocalSystem, tmp_path: Path) -> None:
    with _open(system) as shop:
        products = {token: shop.make_product(STOCKED) for token in TOKENS}
        scarce = shop.make_product(LAST_PIECES)
        wishes = _wishes(products, scarce)
        before = _send_until_the_power_goes(system, shop, wishes, after=len(wishes) // 2)

    assert_never_wedged(tmp_path / "state")
    system.start()
    with _open(system) as shop:
        again = _send_until_the_power_goes(system, shop, wishes, after=len(wishes))
    assert len({order.id for order in again}) == len(wishes)
    assert {order.id for order in before} <= {order.id for order in again}

    assert_never_wedged(tmp_path / "state")
    system.start()
    with _open(system) as shop:
        stocked = {product.id: STOCKED for product in products.values()} | {scarce.id: LAST_PIECES}
        _assert_ended_as_they_must(shop, wishes, stocked)
