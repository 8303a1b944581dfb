"""Loading the sample: whole, once, and to its end after it broke off anywhere; and the sample itself."""

from collections.abc import Iterator
from math import dist

import pytest

from tests.unit.wrangler.fake_shop import STAFF_TOKEN, FakeShop
from wrangler import sample

WHOLE = sample.read_sample()
LEVELS = sum(len(product.stock) for product in WHOLE.products)
EVERYTHING = sample.Loaded(
    categories=len(WHOLE.categories),
    products=len(WHOLE.products),
    warehouses=len(WHOLE.warehouses),
    stock_levels=LEVELS,
)


@pytest.fixture
def shop() -> FakeShop:
    """An empty shop."""
    return FakeShop()


@pytest.fixture
def url(shop: FakeShop) -> Iterator[str]:
    """Where it answers."""
    with shop.open() as address:
        yield address


@pytest.fixture(scope="module")
def untroubled() -> FakeShop:
    """A shop that was filled in one go."""
    other = FakeShop()
    with other.open() as address:
        sample.load(address, STAFF_TOKEN)
    return other


def _contents(shop: FakeShop) -> tuple[object, ...]:
    return (
        [category["name"] for category in shop.categories],
        [product["sku"] for product in shop.products],
        [warehouse["code"] for warehouse in shop.warehouses],
        sorted((level["warehouse_code"], level["product_id"], level["on_hand"]) for level in shop.levels),
    )


def test_empty_shop_is_filled(shop: FakeShop, url: str) -> None:
    assert sample.load(url, STAFF_TOKEN) == EVERYTHING
    assert [product["sku"] for product in shop.products] == [product.sku for product in WHOLE.products]
    parents = {category["id"]: category["name"] for category in shop.categories}
    names = {category.key: category.name for category in WHOLE.categories}
    for made, wanted in zip(shop.categories, WHOLE.categories, strict=True):
        parent = made.get("parent_id")
        assert (parents[parent] if parent else None) == (names[wanted.parent] if wanted.parent else None)


def test_shop_that_has_had_the_sample_is_left_as_it_is(shop: FakeShop, url: str) -> None:
    sample.load(url, STAFF_TOKEN)
    del shop.products[3], shop.categories[-1]
    shop.levels[0]["on_hand"] = 0
    before = shop.writes
    assert sample.load(url, STAFF_TOKEN) == sample.Loaded()
    assert shop.writes == before


def test_shop_with_a_catalogue_of_its_own_is_left_as_it_is(shop: FakeShop, url: str) -> None:
    price = {"amount": 1, "currency": "IDR"}
    shop.products.append(
        {
            "id": "products_0",
            "sku": "OWN-1",
            "name": "Own",
            "description": "",
            "availability": {},
            "price": price,
            "version": 1,
            "created_at": "",
            "updated_at": "",
        }
    )
    assert sample.load(url, STAFF_TOKEN) == sample.Loaded()
    assert shop.writes == 0


@pytest.mark.parametrize("requests_before", [0, 3, 30, 105, 111, 250])
def test_load_that_broke_off_is_completed_by_the_next(
    shop: FakeShop, url: str, untroubled: FakeShop, requests_before: int
) -> None:
    shop.requests_left = requests_before
    with pytest.raises(sample.SampleRefused):
        sample.load(url, STAFF_TOKEN)
    shop.requests_left = None
    sample.load(url, STAFF_TOKEN)
    assert _contents(shop) == _contents(untroubled)
    assert shop.writes == untroubled.writes


def test_refusal_says_what_was_refused(url: str) -> None:
    with pytest.raises(sample.SampleRefused, match=r"401.*unauthenticated"):
        sample.load(url, "not the token")


def test_sample_is_large_enough_and_has_no_two_of_one_name() -> None:
    assert len(WHOLE.products) >= 60
    assert len(WHOLE.warehouses) == 6
    assert (
        len({product.sku for product in WHOLE.products}) == len({p.name for p in WHOLE.products}) == len(WHOLE.products)
    )
    assert len({warehouse.code for warehouse in WHOLE.warehouses}) == 6


def test_every_sample_product_is_described_priced_in_whole_rupiah_and_stocked() -> None:
    codes = {warehouse.code for warehouse in WHOLE.warehouses}
    keys = {category.key for category in WHOLE.categories}
    for product in WHOLE.products:
        assert product.description
        assert product.category in keys
        assert 0 < product.wholesale_price < product.retail_price
        assert product.retail_price % 100 == product.wholesale_price % 100 == 0
        assert product.stock
        assert set(product.stock) <= codes
        assert min(product.stock.values()) > 0


def test_every_sample_category_follows_its_parent() -> None:
    seen: set[str | None] = {None}
    for category in WHOLE.categories:
        assert category.parent in seen
        seen.add(category.key)


def test_sample_warehouses_stand_near_their_cities() -> None:
    cities = {
        "Jakarta": (-6.21, 106.85),
        "Bandung": (-6.92, 107.61),
        "Surabaya": (-7.26, 112.75),
        "Medan": (3.60, 98.67),
        "Makassar": (-5.15, 119.43),
        "Denpasar": (-8.67, 115.21),
    }
    for warehouse in WHOLE.warehouses:
        city = next(city for city in cities if city in warehouse.name)
        assert dist((warehouse.latitude, warehouse.longitude), cities[city]) < 0.3
