"""Whole catalogues in the shop: the project's own in rupiah, a foreign one in dollars, and never both in an order."""

import json
import uuid
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from shared_kernel.contracts.inventory import Warehouse
from shared_kernel.contracts.product import Category, Product
from tests.system.books import assert_books_agree
from tests.system.shop import Shop, order_of, problem
from wrangler import running, sample

ESHOP_FILE = running.ROOT.parent / "shared" / "data" / "eshop-catalogue.json"


@dataclass(frozen=True)
class Listed:
    """A product of the foreign catalogue beside what the shop made of it."""

    name: str
    description: str
    price_cents: int
    product: Product


def _pages(shop: Shop, query: str) -> list[Product]:
    found: list[Product] = []
    after = ""
    for _ in range(100):
        page = shop.ask("GET", f"/api/products?limit=40&{query}{after}").json()
        found += [Product.model_validate(item) for item in page["items"]]
        if page["next_cursor"] is None:
            return found
        after = f"&cursor={page['next_cursor']}"
    raise AssertionError("the list of products does not end")


def _read_eshop(path: Path) -> list[dict[str, str | int | Decimal]]:
    if not path.exists():
        pytest.skip(f"the foreign catalogue is not here: {path}")
    products: list[dict[str, str | int | Decimal]] = json.loads(path.read_text(), parse_float=Decimal)
    return products


@pytest.fixture(scope="module")
def eshop(shop: Shop) -> list[Listed]:
    """The foreign catalogue, its types as categories under one of its own, loaded by staff."""
    foreign = _read_eshop(ESHOP_FILE)
    run = uuid.uuid4().hex[:8]
    root = shop.make_category(f"eShop {run}")
    categories = {kind: shop.make_category(kind, root.id) for kind in sorted({str(each["Type"]) for each in foreign})}
    return [
        Listed(
            name=str(each["Name"]),
            description=str(each["Description"]),
            price_cents=int(Decimal(each["Price"]) * 100),
            product=shop.make_product(
                price=int(Decimal(each["Price"]) * 100),
                currency="USD",
                sku=f"eshop-{run}-{each['Id']}",
                name=str(each["Name"]),
                description=str(each["Description"]),
                category_id=categories[str(each["Type"])].id,
            ),
        )
        for each in foreign
    ]


def test_sample_catalogue_is_loaded_whole(shop: Shop, filled: sample.Sample) -> None:
    assert len(filled.products) >= 60
    there = {product.sku: product for product in _pages(shop, "currency=IDR")}
    for wanted in filled.products:
        product = there[wanted.sku]
        assert (product.name, product.description) == (wanted.name, wanted.description)
        assert product.price.model_dump() == {"amount": wanted.retail_price, "currency": "IDR"}
        levels = {level.warehouse_code: level.on_hand for level in shop.levels(product)}
        assert set(levels) == set(wanted.stock)


def test_sample_categories_are_a_tree_and_its_warehouses_are_six(shop: Shop, filled: sample.Sample) -> None:
    categories = [Category.model_validate(item) for item in shop.ask("GET", "/api/categories").json()["items"]]
    by_id = {category.id: category for category in categories}
    parents = {each.name: by_id[each.parent_id].name if each.parent_id else None for each in categories}
    names = {category.key: category.name for category in filled.categories}
    for category in filled.categories:
        assert parents[category.name] == (names[category.parent] if category.parent is not None else None)
    response = shop.ask("GET", "/api/warehouses", headers=shop.as_staff)
    warehouses = [Warehouse.model_validate(item) for item in response.json()["items"]]
    places = {each.code: (each.latitude, each.longitude) for each in warehouses}
    assert len(filled.warehouses) == 6
    for wanted in filled.warehouses:
        assert places[wanted.code] == (wanted.latitude, wanted.longitude)


def test_loading_the_sample_again_changes_nothing(shop: Shop, filled: sample.Sample) -> None:
    with httpx.Client(base_url=shop.url, headers=shop.as_staff, timeout=60) as client:
        assert sample.fill(client, filled) == sample.Loaded()


def test_sample_product_is_found_by_category_name_and_price(shop: Shop, filled: sample.Sample) -> None:
    coffees = {product.name: product for product in filled.products if product.category == "kopi"}
    categories = shop.ask("GET", "/api/categories").json()["items"]
    category_id = next(category["id"] for category in categories if category["name"] == "Kopi")
    by_price = _pages(shop, f"category={category_id}&sort=-price")
    assert [product.name for product in by_price] == sorted(coffees, key=lambda name: -coffees[name].retail_price)
    assert {product.name for product in _pages(shop, f"category={category_id}&q=gayo")} == {"Kopi Arabika Gayo 250 g"}
    cheap = _pages(shop, f"category={category_id}&currency=IDR&max_price=5000000")
    assert {product.name for product in cheap} == {"Kopi Robusta Lampung Bubuk 250 g"}


def test_foreign_catalogue_in_dollars_is_loaded_whole(shop: Shop, eshop: list[Listed]) -> None:
    assert len(eshop) == 101
    there = {product.id: product for product in _pages(shop, "currency=USD")}
    for listed in eshop:
        product = there[listed.product.id]
        assert (product.name, product.description) == (listed.name, listed.description)
        assert product.price.model_dump() == {"amount": listed.price_cents, "currency": "USD"}


def test_product_of_the_foreign_catalogue_is_ordered_in_dollars(shop: Shop, eshop: list[Listed]) -> None:
    boots = eshop[0]
    shop.set_stock(boots.product, shop.warehouse, 4)
    order = shop.wait_until_ended(shop.place_order(order_of({boots.product.id: 3})))
    assert order.status == "confirmed"
    assert order.total.model_dump() == {"amount": 3 * boots.price_cents, "currency": "USD"}
    assert_books_agree(shop, boots.product, 4, [order])


def test_two_currencies_in_one_order_are_refused(shop: Shop) -> None:
    rupiah, dollars = shop.make_product(5), shop.make_product(5, price=10_99, currency="USD")
    response = shop.send_order(order_of({rupiah.id: 1, dollars.id: 1}))
    problem(response, 422, "currency_mismatch")
    assert (shop.available(rupiah), shop.available(dollars)) == (5, 5)


def test_product_with_two_currencies_is_refused(shop: Shop) -> None:
    body = {
        "sku": f"T-{uuid.uuid4().hex[:16]}",
        "name": "Teh uji",
        "retail_price": {"amount": 10_000_00, "currency": "IDR"},
        "wholesale_price": {"amount": 1_00, "currency": "USD"},
    }
    problem(shop.ask("POST", "/api/products", body, headers=shop.as_staff), 422, "invalid")


def test_what_is_not_in_the_catalogue_cannot_be_ordered(shop: Shop) -> None:
    gone = shop.make_product(5)
    assert shop.ask("DELETE", f"/api/products/{gone.id}", headers=shop.as_staff).status_code == 204
    told = problem(shop.send_order(order_of({gone.id: 1})), 422, "product_not_found")
    assert told.model_extra is not None
    assert told.model_extra["product_ids"] == [gone.id]


def test_order_keeps_its_price_when_the_product_becomes_dearer(shop: Shop) -> None:
    product = shop.make_product(5, price=10_000_00)
    placed = shop.place_order(order_of({product.id: 1}))
    dearer = {"retail_price": {"amount": 20_000_00, "currency": "IDR"}}
    headers = {**shop.as_staff, "if-match": f'"{product.version}"'}
    assert shop.ask("PATCH", f"/api/products/{product.id}", dearer, headers=headers).status_code == 200
    order = shop.wait_until_ended(placed)
    assert (order.status, order.total.amount) == ("confirmed", 10_000_00)
    assert [charge.held.amount for charge in shop.charges(order)] == [10_000_00]
