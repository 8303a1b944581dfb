"""Many customers at once: the last pieces are sold once, and nothing breaks (no 5xx: see tests.system.shop)."""

from tests.system.books import assert_books_agree
from tests.system.shop import Shop, at_once, order_of

CUSTOMERS = 50
LAST_PIECES = 10
READERS = 40


def test_fifty_customers_for_the_last_ten_pieces_buy_exactly_ten(shop: Shop) -> None:
    product = shop.make_product(LAST_PIECES)
    placed = at_once([order_of({product.id: 1})] * CUSTOMERS, shop.place_order)
    orders = [shop.wait_until_ended(order, timeout_seconds=120) for order in placed]
    assert len({order.id for order in orders}) == CUSTOMERS
    outcomes = [order.rejection.code if order.rejection is not None else order.status for order in orders]
    assert sorted(outcomes) == ["confirmed"] * LAST_PIECES + ["insufficient_inventory"] * (CUSTOMERS - LAST_PIECES)
    assert_books_agree(shop, product, LAST_PIECES, orders)
    (level,) = shop.levels(product)
    assert (level.on_hand, level.reserved, level.available) == (0, 0, 0)
    assert sum(len(shop.charges(order)) for order in orders) == LAST_PIECES


def test_reading_by_many_at_once_wedges_nothing(shop: Shop) -> None:
    product = shop.make_product(5)
    order = shop.wait_until_ended(shop.place_order(order_of({product.id: 1})))
    paths = [
        "/health",
        "/api/products?limit=50",
        f"/api/products/{product.id}",
        f"/api/products/{product.id}/availability",
        f"/api/orders/{order.id}",
        f"/api/orders/{order.id}/events",
        f"/api/payments/{order.payment.id}",
        "/api/orders?limit=20",
    ]
    answers = at_once(paths * READERS, lambda path: shop.ask("GET", path, headers=shop.as_staff).status_code)
    assert answers == [200] * len(paths) * READERS
