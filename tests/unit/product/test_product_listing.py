"""What readers find in the catalogue, and in which order."""

import base64
import json
from typing import Any

import pytest

from product.domain.errors import ProductNotFound
from shared_kernel.contracts.model import Health, Nothing
from shared_kernel.contracts.product import GetProduct, Product
from shared_kernel.cursor import InvalidCursor
from tests.unit.product.catalogue_world import NO_PRODUCT, World, idr, run, shirt, usd


def _walk(world: World, **wanted: Any) -> list[str]:
    """The SKUs of all pages of one product each; at most twenty pages."""
    found: list[str] = []
    cursor: str | None = None
    for _ in range(20):
        page = world.page("staff", limit=1, cursor=cursor, **wanted)
        found += [item["sku"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found
    raise AssertionError("the pages do not end")


def _forged(**cursor: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode().rstrip("=")


@pytest.mark.parametrize("kind", ["guest", "customer", "buyer", "staff", "admin"])
@pytest.mark.parametrize("in_category", [True, False])
def test_a_product_reads_the_same_alone_and_in_a_list(kind: Any, in_category: bool) -> None:
    world = World()
    category_id = world.add_category("Clothes").id if in_category else None
    (product,) = world.add(shirt(name='"Shirt" \\ é', description="two\nlines", category_id=category_id))
    alone = run(world.catalogue(kind).get_product(GetProduct(id=product.id)))
    (listed,) = world.page(kind)["items"]
    assert listed == alone.model_dump(exclude_none=True)
    assert Product.model_validate(listed) == alone


def test_guests_do_not_find_what_is_not_sold_in_retail() -> None:
    world = World()
    product, _ = world.add(shirt("HIDDEN", retail=False), shirt("SHOWN"))
    with pytest.raises(ProductNotFound):
        run(world.catalogue("guest").get_product(GetProduct(id=product.id)))
    assert run(world.catalogue("staff").get_product(GetProduct(id=product.id))) == product
    assert (world.skus("guest"), world.skus("staff")) == (["SHOWN"], ["HIDDEN", "SHOWN"])


@pytest.mark.parametrize("product_id", [NO_PRODUCT, "", "'; DROP TABLE products"])
def test_an_unknown_product_is_not_found(product_id: str) -> None:
    with pytest.raises(ProductNotFound):
        run(World().catalogue().get_product(GetProduct(id=product_id)))


@pytest.mark.parametrize(
    ("sort", "skus"),
    [
        ("name", ["C", "A", "B", "D"]),
        ("price", ["A", "B", "C", "D"]),
        ("-price", ["D", "C", "B", "A"]),
        ("newest", ["D", "C", "B", "A"]),
    ],
)
def test_every_order_pages_through_all_products_once(sort: str, skus: list[str]) -> None:
    world = World()
    world.add(
        shirt("A", "berry", price=idr(1)),
        shirt("B", "Berry", price=idr(2)),
        shirt("C", "apple", price=idr(2)),
        shirt("D", "Cherry", price=idr(3)),
    )
    assert _walk(world, sort=sort) == skus


def test_a_page_without_followers_has_no_cursor() -> None:
    world = World()
    assert world.page() == {"items": [], "next_cursor": None}
    world.add(shirt("A"), shirt("B"))
    assert world.page(limit=2)["next_cursor"] is None
    assert world.page(limit=1)["next_cursor"] is not None


def test_paging_goes_on_after_the_product_of_the_cursor_is_gone() -> None:
    world = World()
    world.add(shirt("A", "a"), shirt("B", "b"), shirt("C", "c"))
    page = world.page(limit=2)
    run(world.database.rows("DELETE FROM products WHERE sku = 'B'"))
    assert world.skus(cursor=page["next_cursor"]) == ["C"]


def test_the_longest_name_fits_into_a_cursor() -> None:
    world = World()
    world.add(shirt("A", "\U0001f455" * 200), shirt("B", "\U0001f456" * 200))
    assert _walk(world) == ["A", "B"]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "é",
        _forged(),
        _forged(order="price", key=1, id=NO_PRODUCT),
        _forged(order="name", key=1, id=NO_PRODUCT),
        _forged(order="name", key=None, id=NO_PRODUCT),
        _forged(order="name", key="a", id="nobody"),
        _forged(order="name", key="a", id=NO_PRODUCT, more=1),
    ],
)
def test_a_cursor_that_this_list_did_not_give_out_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        World().page(cursor=cursor)


@pytest.mark.parametrize(
    ("q", "skus"),
    [
        ("SHIRT", ["TEE"]),
        ("tee", ["TEE"]),
        ("soft cotton", ["TEE"]),
        ("100%", ["SALE"]),
        ("%", ["SALE"]),
        ("_", ["SALE"]),
        ("\\", ["SALE"]),
        ("  ", ["SALE", "TEE"]),
        ("' OR 1", []),
    ],
)
def test_search_finds_the_words_as_they_are_written(q: str, skus: list[str]) -> None:
    world = World()
    world.add(shirt("TEE", "Shirt", description="Very soft cotton"), shirt("SALE", "100% _off_ \\o/"))
    assert world.skus(q=q) == skus


def test_a_category_holds_what_is_below_it() -> None:
    world = World()
    clothes = world.add_category("Clothes").id
    shirts = world.add_category("Shirts", clothes).id
    other = world.add_category("Other").id
    world.add(shirt("A", category_id=clothes), shirt("B", category_id=shirts), shirt("C", category_id=other))
    assert (world.skus(category=clothes), world.skus(category=shirts)) == (["A", "B"], ["B"])
    assert world.skus(category="unknown") == []


def test_price_bounds_are_inclusive_and_currencies_can_be_told_apart() -> None:
    world = World()
    prices = {"A": idr(100), "B": idr(200), "C": idr(300), "D": usd(200)}
    world.add(*(shirt(sku, price=price) for sku, price in prices.items()))
    assert world.skus(min_price=100, max_price=200, currency="IDR") == ["A", "B"]
    assert world.skus(min_price=200, max_price=200) == ["B", "D"]
    assert world.skus(min_price=301) == []


def test_the_tree_lists_parents_before_children() -> None:
    world = World()
    clothes = world.add_category("Clothes")
    shirts = world.add_category("A shirt", clothes.id)
    books = world.add_category("Books")
    listed = json.loads(run(world.catalogue().list_categories(Nothing())))
    assert listed == {"items": [each.model_dump(exclude_none=True) for each in (books, clothes, shirts)]}


def test_an_empty_tree_is_an_empty_list() -> None:
    assert run(World().catalogue().list_categories(Nothing())) == '{"items":[]}'


def test_health_tells_whether_the_database_answers() -> None:
    world = World()
    well = run(world.catalogue().health(Nothing()))
    assert (well.status, well.database) == ("ok", "ok")
    assert well.database_ms is not None
    world.database.close()
    assert run(world.catalogue().health(Nothing())) == Health(status="degraded", database="unavailable")
