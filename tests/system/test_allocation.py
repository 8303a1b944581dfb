"""Which warehouses an order takes its pieces from: the nearest first, as many as are needed."""

from shared_kernel.contracts.inventory import Warehouse
from shared_kernel.contracts.product import Product
from tests.system.books import assert_books_agree
from tests.system.shop import BANDUNG, JAKARTA, MEDAN, SURABAYA, Shop, order_of, problem

CITIES = {"Medan": MEDAN, "Surabaya": SURABAYA, "Jakarta": JAKARTA, "Bandung": BANDUNG}
STOCKED = {"Jakarta": 3, "Bandung": 4, "Surabaya": 50, "Medan": 50}


def _spread(shop: Shop) -> tuple[Product, dict[str, Warehouse]]:
    """A product that lies in new warehouses in four cities."""
    product = shop.make_product()
    warehouses = {city: shop.make_warehouse(place) for city, place in CITIES.items()}
    for city, on_hand in STOCKED.items():
        shop.set_stock(product, warehouses[city], on_hand)
    return product, warehouses


def test_order_is_split_over_the_nearest_warehouses_first(shop: Shop) -> None:
    product, warehouses = _spread(shop)
    order = shop.wait_until_ended(shop.place_order(order_of({product.id: 9}, to=JAKARTA)))
    assert order.status == "confirmed"
    taken = {part.warehouse_id: part.quantity for part in order.allocations or []}
    assert taken == {warehouses["Jakarta"].id: 3, warehouses["Bandung"].id: 4, warehouses["Surabaya"].id: 2}
    left = {level.warehouse_code: level.on_hand for level in shop.levels(product)}
    assert left == {
        warehouses["Jakarta"].code: 0,
        warehouses["Bandung"].code: 0,
        warehouses["Surabaya"].code: 48,
        warehouses["Medan"].code: 50,
    }
    assert_books_agree(shop, product, sum(STOCKED.values()), [order])


def test_another_address_takes_another_warehouse(shop: Shop) -> None:
    product, warehouses = _spread(shop)
    order = shop.wait_until_ended(shop.place_order(order_of({product.id: 9}, to=MEDAN)))
    assert [(part.warehouse_id, part.quantity) for part in order.allocations or []] == [(warehouses["Medan"].id, 9)]
    assert_books_agree(shop, product, sum(STOCKED.values()), [order])


def test_rejected_order_gives_back_to_every_warehouse_what_it_held_there(shop: Shop) -> None:
    product, warehouses = _spread(shop)
    order = shop.wait_until_ended(shop.place_order(order_of({product.id: 9}, "tok_declined")))
    assert order.status == "rejected"
    left = {level.warehouse_code: (level.on_hand, level.reserved) for level in shop.levels(product)}
    assert left == {warehouses[city].code: (on_hand, 0) for city, on_hand in STOCKED.items()}


def test_count_that_another_count_overtook_is_refused(shop: Shop) -> None:
    product = shop.make_product(5)
    path = f"/api/warehouses/{shop.warehouse.id}/stock/{product.id}"
    body = {"on_hand": 9, "expected_on_hand": 4}
    problem(shop.ask("PUT", path, body, headers=shop.as_staff), 409, "stock_changed")
    assert shop.available(product) == 5


def test_staff_find_what_has_become_scarce(shop: Shop) -> None:
    product = shop.make_product()
    path = f"/api/warehouses/{shop.warehouse.id}/stock/{product.id}"
    body = {"on_hand": 5, "low_stock_threshold": 3}
    assert shop.ask("PUT", path, body, headers=shop.as_staff).status_code == 200
    assert product.id not in _scarce(shop)
    shop.wait_until_ended(shop.place_order(order_of({product.id: 2})))
    assert product.id in _scarce(shop)


def _scarce(shop: Shop) -> set[str]:
    response = shop.ask("GET", "/api/inventory?low=true", headers=shop.as_staff)
    assert response.status_code == 200, response.text
    return {level["product_id"] for level in response.json()["items"]}
