"""What each reader's market makes of the catalogue: its prices, what is sold there, and its own cursors."""

import pytest

from product.domain.errors import ProductNotFound
from shared_kernel.contracts.product import GetProduct, market_of
from shared_kernel.cursor import InvalidCursor
from shared_kernel.permissions import PERMISSIONS, Kind
from tests.unit.product.catalogue_world import World, idr, run, shirt

READERS: tuple[Kind, ...] = ("guest", "customer", "buyer")


def stocked() -> World:
    """Three products that each market prices in another order, one of them not for retail, one not for wholesale."""
    world = World()
    world.add(
        shirt("A", "a", price=idr(100), wholesale=idr(90)),
        shirt("B", "b", price=idr(200), wholesale=idr(20)),
        shirt("C", "c", price=idr(300), wholesale=idr(50)),
        shirt("R", "r", price=idr(400), wholesale=idr(10), wholesale_too=False),
        shirt("W", "w", price=idr(5), wholesale=idr(4), retail=False),
    )
    return world


def test_only_buyers_buy_wholesale() -> None:
    assert {kind for kind in PERMISSIONS if market_of(kind) == "wholesale"} == {"buyer"}


@pytest.mark.parametrize(("kind", "amount_minor"), [("guest", 100), ("customer", 100), ("buyer", 90), ("staff", 100)])
def test_the_price_is_the_one_that_the_reader_pays(kind: Kind, amount_minor: int) -> None:
    world = stocked()
    product_id = world.page(kind, q="A", sort="name")["items"][0]["id"]
    assert run(world.catalogue(kind).get_product(GetProduct(id=product_id))).price == idr(amount_minor)
    (listed,) = [item for item in world.page(kind)["items"] if item["id"] == product_id]
    assert listed["price"] == {"amount": amount_minor, "currency": "IDR"}
    assert ("wholesale_price" in listed, "retail_price" in listed) == (kind == "staff", kind == "staff")


@pytest.mark.parametrize(
    ("kind", "skus"),
    [("guest", ["A", "B", "C", "R"]), ("customer", ["A", "B", "C", "R"]), ("buyer", ["A", "B", "C", "W"])],
)
def test_a_reader_finds_what_is_sold_in_his_market_alone(kind: Kind, skus: list[str]) -> None:
    world = stocked()
    assert world.skus(kind) == skus
    for item in world.page("staff")["items"]:
        asked = world.catalogue(kind).get_product(GetProduct(id=item["id"]))
        if item["sku"] in skus:
            assert run(asked).sku == item["sku"]
        else:
            with pytest.raises(ProductNotFound):
                run(asked)


@pytest.mark.parametrize(
    ("kind", "by_price", "cheap"),
    [("guest", ["A", "B", "C", "R"], ["A"]), ("buyer", ["W", "B", "C", "A"], ["B", "C"])],
)
def test_a_reader_sorts_and_filters_by_what_he_pays(kind: Kind, by_price: list[str], cheap: list[str]) -> None:
    world = stocked()
    assert world.skus(kind, sort="price") == by_price
    assert world.skus(kind, sort="-price") == by_price[::-1]
    assert world.skus(kind, min_price=20, max_price=50 if kind == "buyer" else 100) == cheap


@pytest.mark.parametrize("sort", ["name", "price", "-price", "newest"])
@pytest.mark.parametrize("kind", READERS)
def test_every_market_pages_through_its_products_once(kind: Kind, sort: str) -> None:
    world, found, cursor = stocked(), list[str](), None
    for _ in range(2):
        page = world.page(kind, sort=sort, limit=2, cursor=cursor)
        found += [item["sku"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert found == world.skus(kind, sort=sort)


@pytest.mark.parametrize("sort", ["name", "price", "-price", "newest"])
@pytest.mark.parametrize(("of", "used_by"), [("guest", "buyer"), ("buyer", "customer"), ("staff", "buyer")])
def test_a_cursor_of_one_market_is_refused_in_the_other(of: Kind, used_by: Kind, sort: str) -> None:
    world = stocked()
    cursor = world.page(of, sort=sort, limit=1)["next_cursor"]
    with pytest.raises(InvalidCursor):
        world.page(used_by, sort=sort, cursor=cursor)


def test_a_customer_goes_on_where_he_was_as_a_guest() -> None:
    world = stocked()
    cursor = world.page("guest", sort="price", limit=2)["next_cursor"]
    assert world.skus("customer", sort="price", cursor=cursor) == ["C", "R"]
