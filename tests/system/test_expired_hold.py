"""Stock that is held too long goes back on sale, and nobody is charged for it after that.

It runs on a system of its own, where a hold lasts one second: less than the saga waits before it asks a
provider that has failed a second time.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from shared_kernel.contracts.order import PlacedOrder
from shared_kernel.contracts.product import Product
from tests.system.books import assert_books_agree
from tests.system.shop import Shop, order_of
from tests.system.wedged import assert_never_wedged
from wrangler import running

_HAPPENS_WITHIN_SECONDS = 60
_MOST_TRIES = 10


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop that holds stock for one second."""
    folder = tmp_path_factory.mktemp("hasty")
    options = ["--no-sample", "--set", "inventory.HOLD_SECONDS=1"]
    with (
        running.started(folder / "state", options, folder / "system.log") as system,
        Shop(system.connection.url, system.connection.staff_token) as shop,
    ):
        yield shop
    assert_never_wedged(folder / "state")


def test_nobody_is_charged_after_the_hold_has_ended_and_stock_is_as_before(hasty: Shop) -> None:
    product = hasty.make_product(5)
    order = hasty.wait_until_ended(hasty.place_order(order_of({product.id: 2}, "tok_error_once")))
    assert order.status == "rejected"
    assert order.rejection is not None
    assert order.rejection.code == "payment_expired"
    assert [charge for charge in hasty.charges(order) if charge.status == "charged"] == []
    assert_books_agree(hasty, product, 5, [order])


def test_expired_hold_returns_stock_for_the_next_customer(hasty: Shop) -> None:
    product = hasty.make_product(1)
    slow = hasty.place_order(order_of({product.id: 1}, "tok_error"))
    _wait(lambda: "InventoryReserved" in [event.type for event in hasty.events(slow.id)])
    _wait(lambda: hasty.available(product) == 1)
    tries = _bought(hasty, product)
    assert tries[-1].status == "confirmed"
    given_up = hasty.wait_until_ended(slow, timeout_seconds=150)
    assert given_up.status == "rejected"
    assert_books_agree(hasty, product, 1, [*tries, given_up])


def _bought(hasty: Shop, product: Product) -> list[PlacedOrder]:
    """The next customer's orders: he orders again where his own hold has ended before his card was charged."""
    tries: list[PlacedOrder] = []
    for _ in range(_MOST_TRIES):
        tries.append(hasty.wait_until_ended(hasty.place_order(order_of({product.id: 1}))))
        rejection = tries[-1].rejection
        if rejection is None or rejection.code != "payment_expired":
            break
    return tries


def _wait(has_happened: Callable[[], bool]) -> None:
    give_up = time.monotonic() + _HAPPENS_WITHIN_SECONDS
    while not has_happened():
        assert time.monotonic() < give_up, f"has not happened within {_HAPPENS_WITHIN_SECONDS} seconds"
        time.sleep(0.1)
