"""The catalogue's adapters: products with their events, categories, and the list that readers page through."""

import json
from datetime import timedelta

from product.application.ports import Reader
from product.domain.errors import (
    CategoryInUse,
    CategoryNotFound,
    NameTaken,
    NoSuchCategory,
    ProductNotFound,
    SkuTaken,
    StaleVersion,
)
from product.domain.product import Product
from product.infrastructure.d1 import D1Categories, D1Products, D1Shelf
from shared_kernel.contracts.product import Category, ListProducts, MarketAvailability, NewProduct, ProductChanges
from shared_kernel.events import Event
from shared_kernel.ids import derived_id
from shared_kernel.money import LARGEST_AMOUNT_MINOR, Money
from shared_kernel.sql import Database
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.scratch import NOW, thing_made

FRUIT = Category(id=derived_id("cat", "fruit"), name="Fruit", version=1)
NO_CATEGORY = derived_id("cat", "none")
RETAIL = Reader("retail", is_staff=False)
WHOLESALE = Reader("wholesale", is_staff=False)
STAFF = Reader("retail", is_staff=True)


def product(sku: str, amount_minor: int = 1000, *, category_id: str | None = None, retail: bool = True) -> Product:
    new = NewProduct(
        sku=sku,
        name=f"Naïve {sku} \U0001f34e",
        category_id=category_id,
        availability=MarketAvailability(retail=retail, wholesale=True),
        retail_price=Money(amount=amount_minor, currency="IDR"),
        wholesale_price=Money(amount=max(amount_minor - 1, 1), currency="IDR"),
    )
    return Product.create(new, derived_id("prd", sku), NOW)


def renamed(before: Product, **changes: str) -> Product:
    return before.change(before.version, ProductChanges.model_validate(changes), NOW + timedelta(seconds=1))


def told(product: Product) -> Event:
    return thing_made(product.id)


async def filled(database: Database, *products: Product) -> D1Products:
    stored = D1Products(database)
    for one in products:
        await stored.add(one, told(one))
    return stored


async def events(database: Database) -> int:
    return len(await database.rows("SELECT position FROM outbox"))


async def test_a_product_is_read_as_it_was_written_and_told(product_db: Database) -> None:
    await D1Categories(product_db).add(FRUIT)
    apple = product("APPLE", LARGEST_AMOUNT_MINOR, category_id=FRUIT.id)
    pear = product("PEAR", 1, retail=False)
    stored = await filled(product_db, apple, pear)
    assert await stored.get(apple.id) == apple
    assert sorted(await stored.many([pear.id, apple.id, "none"]), key=lambda one: one.sku) == [apple, pear]
    assert (await stored.get("none"), await stored.many([])) == (None, [])
    rows = await product_db.rows("SELECT event FROM outbox ORDER BY position")
    assert [Event.model_validate_json(str(row["event"])) for row in rows] == [told(apple), told(pear)]


async def test_a_change_replaces_the_version_before(product_db: Database) -> None:
    before = product("APPLE")
    after = renamed(before, name="Apple", sku="APPLE-2")
    stored = await filled(product_db, before)
    await stored.replace(after, told(after))
    assert (await stored.get(before.id), await events(product_db)) == (after, 2)


async def test_a_change_of_an_older_version_is_stale_and_changes_nothing(product_db: Database) -> None:
    before = product("APPLE")
    stored = await filled(product_db, before)
    first, second = renamed(before, name="First"), renamed(before, name="Second")
    await stored.replace(first, told(first))
    with raises(StaleVersion) as refusals:
        await stored.replace(second, told(second))
    assert refusals[0].details == {"version": 2}
    assert (await stored.get(before.id), await events(product_db)) == (first, 2)


async def test_a_sku_belongs_to_one_product(product_db: Database) -> None:
    apple, pear = product("APPLE"), product("PEAR")
    stored = await filled(product_db, apple, pear)
    with raises(SkuTaken):
        await stored.add(product("APPLE").model_copy(update={"id": derived_id("prd", "other")}), told(apple))
    with raises(SkuTaken):
        await stored.replace(renamed(pear, sku="APPLE"), told(pear))
    assert (await stored.get(pear.id), await events(product_db)) == (pear, 2)


async def test_a_category_must_exist(product_db: Database) -> None:
    apple = product("APPLE")
    stored = await filled(product_db, apple)
    with raises(CategoryNotFound):
        await stored.add(product("PEAR", category_id=NO_CATEGORY), told(apple))
    with raises(CategoryNotFound):
        await stored.replace(renamed(apple, category_id=NO_CATEGORY), told(apple))
    with raises(CategoryNotFound):
        await D1Categories(product_db).add(FRUIT.model_copy(update={"parent_id": NO_CATEGORY}))
    assert await events(product_db) == 1


async def test_what_is_gone_can_neither_be_changed_nor_deleted(product_db: Database) -> None:
    apple = product("APPLE")
    stored = await filled(product_db, apple)
    await stored.remove(apple.id, told(apple))
    with raises(ProductNotFound):
        await stored.remove(apple.id, told(apple))
    with raises(ProductNotFound):
        await stored.replace(renamed(apple, name="Apple"), told(apple))
    assert (await stored.get(apple.id), await events(product_db)) == (None, 2)


async def test_siblings_have_different_names_whatever_their_case(product_db: Database) -> None:
    categories = D1Categories(product_db)
    await categories.add(FRUIT)
    same = FRUIT.model_copy(update={"id": derived_id("cat", "same"), "name": "fRUIT"})
    with raises(NameTaken):
        await categories.add(same)
    await categories.add(same.model_copy(update={"parent_id": FRUIT.id}))
    tree = json.loads(await D1Shelf(product_db).categories())
    assert [(item["name"], item.get("parent_id")) for item in tree] == [("Fruit", None), ("fRUIT", FRUIT.id)]


async def test_a_category_is_renamed_only_from_the_version_before(product_db: Database) -> None:
    categories = D1Categories(product_db)
    await categories.add(FRUIT)
    assert (await categories.get(FRUIT.id), await categories.get("none")) == (FRUIT, None)
    nuts = Category(id=derived_id("cat", "nuts"), name="Nuts", version=1)
    await categories.add(nuts)
    renamed_fruit = FRUIT.model_copy(update={"name": "Obst", "version": 2})
    await categories.replace(renamed_fruit)
    with raises(StaleVersion) as refusals:
        await categories.replace(FRUIT.model_copy(update={"name": "Buah", "version": 2}))
    assert refusals[0].details == {"version": 2}
    with raises(NameTaken):
        await categories.replace(FRUIT.model_copy(update={"name": "nUTS", "version": 3}))
    with raises(NoSuchCategory):
        await categories.replace(Category(id=NO_CATEGORY, name="None", version=2))
    assert (await categories.get(FRUIT.id), await categories.get(nuts.id)) == (renamed_fruit, nuts)


async def test_a_category_that_holds_something_cannot_be_deleted(product_db: Database) -> None:
    categories = D1Categories(product_db)
    await categories.add(FRUIT)
    citrus = Category(id=derived_id("cat", "citrus"), name="Citrus", parent_id=FRUIT.id, version=1)
    await categories.add(citrus)
    lemon = product("LEMON", category_id=citrus.id)
    stored = await filled(product_db, lemon)
    for held in (FRUIT, citrus):
        with raises(CategoryInUse):
            await categories.remove(held.id)
    await stored.remove(lemon.id, told(lemon))
    for empty in (citrus, FRUIT):
        await categories.remove(empty.id)
        with raises(NoSuchCategory):
            await categories.remove(empty.id)
    assert json.loads(await D1Shelf(product_db).categories()) == []


async def test_every_order_pages_through_all_products_once(product_db: Database) -> None:
    await filled(product_db, *(product(f"P{number}", 1 + number // 2) for number in range(5)))
    shelf = D1Shelf(product_db)
    for sort in ("name", "price", "-price", "newest"):
        wanted = ListProducts.model_validate({"sort": sort, "limit": 2})
        seen: list[str] = []
        page = await shelf.products(wanted, None, RETAIL)
        while page:
            seen += [json.loads(one.json)["sku"] for one in page[: wanted.limit]]
            page = await shelf.products(wanted, page[wanted.limit - 1].place, RETAIL) if len(page) > 2 else []
        assert sorted(seen) == ["P0", "P1", "P2", "P3", "P4"], sort


async def test_the_list_is_filtered_and_shows_what_its_reader_may_see(product_db: Database) -> None:
    await D1Categories(product_db).add(FRUIT)
    apple = product("APPLE", LARGEST_AMOUNT_MINOR, category_id=FRUIT.id)
    await filled(product_db, apple, product("PEAR", 5, retail=False), product("MELON", 7))
    shelf = D1Shelf(product_db)

    async def skus(reader: Reader = RETAIL, **wanted: str | int) -> list[str]:
        listed = await shelf.products(ListProducts.model_validate(wanted), None, reader)
        return [json.loads(one.json)["sku"] for one in listed]

    assert await skus(sort="price") == ["MELON", "APPLE"]
    assert await skus(STAFF, sort="price") == ["PEAR", "MELON", "APPLE"]
    assert await skus(category=FRUIT.id) == ["APPLE"]
    assert await skus(min_price=7, max_price=LARGEST_AMOUNT_MINOR - 1) == ["MELON"]
    assert await skus(min_price=LARGEST_AMOUNT_MINOR, currency="IDR") == ["APPLE"]
    assert await skus(currency="USD") == []
    (shown,) = await shelf.products(ListProducts(category=FRUIT.id), None, RETAIL)
    assert json.loads(shown.json)["price"] == {"amount": LARGEST_AMOUNT_MINOR, "currency": "IDR"}
    assert json.loads(shown.json)["availability"] == {"retail": True, "wholesale": True}
    assert "wholesale_price" not in json.loads(shown.json)


async def test_a_buyers_list_is_made_of_wholesale_prices(product_db: Database) -> None:
    await filled(product_db, *(product(f"P{number}", 10 + number, retail=number != 1) for number in range(3)))
    shelf, wanted = D1Shelf(product_db), ListProducts(sort="-price", min_price=9, max_price=10, limit=1)
    first, second = await shelf.products(wanted, None, WHOLESALE)
    assert [json.loads(one.json)["sku"] for one in (first, second)] == ["P1", "P0"]
    assert json.loads(first.json)["price"] == {"amount": 10, "currency": "IDR"}
    assert (first.place.order, first.place.key) == ("wholesale -price", 10)
    (rest,) = await shelf.products(wanted, first.place, WHOLESALE)
    assert rest == second


async def test_the_longest_search_that_the_contract_takes_is_one_that_the_database_takes(product_db: Database) -> None:
    longest = "\U0001f95d" * 100
    await filled(product_db, product("MELON").model_copy(update={"description": f"{longest}."}))
    shelf = D1Shelf(product_db)
    for found in (longest, "mEl", "."):
        assert len(await shelf.products(ListProducts(q=found), None, RETAIL)) == 1
    for missed in (longest[1:] + "x", "%", "_"):
        assert await shelf.products(ListProducts(q=missed), None, RETAIL) == []
