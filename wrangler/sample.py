"""The sample catalogue: what a new shop is filled with, and when a shop is left as it is.

It is loaded through the public API with the staff token, as any client would. Each thing is made only where
it is missing, so that a load that broke off is completed by the next one. The last warehouse is stocked last:
a shop where all its stock levels stand has had the whole sample, and is left alone from then on, whatever
its staff have changed since.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict

from shared_kernel.contracts.inventory import NewWarehouse, SetStock, StockLevel, Warehouse
from shared_kernel.contracts.product import Category, NewCategory, NewProduct, Product
from shared_kernel.money import Currency, Money

SAMPLE_FILE = Path(__file__).with_name("sample_catalogue.json")
_REQUEST_SECONDS = 30
_PAGE_ITEMS = 100
_MOST_PAGES = 1000

Item = TypeVar("Item", bound=BaseModel)


class SampleRefused(Exception):
    """The shop did not take a part of the sample; the message says which and why."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SampleCategory(_Record):
    """A category by a key of the file's own; its parent stands before it."""

    key: str
    name: str
    parent: str | None


class SampleProduct(_Record):
    """A product with its prices in minor units and its pieces by warehouse code."""

    sku: str
    category: str
    name: str
    description: str
    retail_price: int
    wholesale_price: int
    low_stock_threshold: int
    stock: dict[str, int]


class Sample(_Record):
    """The whole file."""

    currency: Currency
    warehouses: list[NewWarehouse]
    categories: list[SampleCategory]
    products: list[SampleProduct]


@dataclass(frozen=True)
class Loaded:
    """How many of each were made now; all zero where nothing was missing."""

    categories: int = 0
    products: int = 0
    warehouses: int = 0
    stock_levels: int = 0


class _Page(BaseModel, Generic[Item]):
    items: list[Item]
    next_cursor: str | None = None


def read_sample() -> Sample:
    """The sample as it is written beside this module."""
    return Sample.model_validate_json(SAMPLE_FILE.read_bytes())


def load(url: str, staff_token: str) -> Loaded:
    """Fill an empty shop, or complete a load that broke off; any other shop is left as it is.

    Raises SampleRefused when the shop refuses something, httpx.HTTPError when it does not answer.
    """
    headers = {"authorization": f"Bearer {staff_token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=_REQUEST_SECONDS) as client:
        sample = read_sample()
        return fill(client, sample) if _is_wanted(client, sample) else Loaded()


def fill(client: httpx.Client, sample: Sample) -> Loaded:
    """Make whatever of the sample the shop lacks; what it has is not changed.

    Raises SampleRefused when the shop refuses something, httpx.HTTPError when it does not answer.
    """
    categories, new_categories = _fill_categories(client, sample)
    products, new_products = _fill_products(client, sample, categories)
    warehouses, new_warehouses = _fill_warehouses(client, sample)
    return Loaded(
        categories=new_categories,
        products=new_products,
        warehouses=new_warehouses,
        stock_levels=_fill_stock(client, sample, products, warehouses),
    )


def _is_wanted(client: httpx.Client, sample: Sample) -> bool:
    last = sample.warehouses[-1].code
    stocked = sum(level.warehouse_code == last for level in _stock(client))
    if stocked >= sum(last in product.stock for product in sample.products):
        return False
    skus = {product.sku for product in _products(client)}
    return not skus or not skus.isdisjoint(product.sku for product in sample.products)


def _fill_categories(client: httpx.Client, sample: Sample) -> tuple[dict[str, str], int]:
    """The id of each category by its key, and how many were made."""
    there = {(item.name, item.parent_id): item.id for item in _read(client, "/api/categories", _Page[Category]).items}
    ids: dict[str, str] = {}
    made = 0
    for category in sample.categories:
        parent_id = ids[category.parent] if category.parent is not None else None
        found = there.get((category.name, parent_id))
        if found is None:
            found = _make(client, "/api/categories", NewCategory(name=category.name, parent_id=parent_id), Category).id
            made += 1
        ids[category.key] = found
    return ids, made


def _fill_products(client: httpx.Client, sample: Sample, categories: dict[str, str]) -> tuple[dict[str, str], int]:
    """The id of each product by its SKU, and how many were made."""
    ids = {product.sku: product.id for product in _products(client)}
    missing = [product for product in sample.products if product.sku not in ids]
    for product in missing:
        new = NewProduct(
            sku=product.sku,
            name=product.name,
            description=product.description,
            category_id=categories[product.category],
            retail_price=Money(amount=product.retail_price, currency=sample.currency),
            wholesale_price=Money(amount=product.wholesale_price, currency=sample.currency),
        )
        ids[product.sku] = _make(client, "/api/products", new, Product).id
    return ids, len(missing)


def _fill_warehouses(client: httpx.Client, sample: Sample) -> tuple[dict[str, str], int]:
    """The id of each warehouse by its code, and how many were made."""
    ids = {warehouse.code: warehouse.id for warehouse in _read(client, "/api/warehouses", _Page[Warehouse]).items}
    missing = [warehouse for warehouse in sample.warehouses if warehouse.code not in ids]
    for warehouse in missing:
        ids[warehouse.code] = _make(client, "/api/warehouses", warehouse, Warehouse).id
    return ids, len(missing)


def _fill_stock(client: httpx.Client, sample: Sample, products: dict[str, str], warehouses: dict[str, str]) -> int:
    """How many stock levels were set: those that stand are counts of the shop's own by now."""
    there = {(level.warehouse_id, level.product_id) for level in _stock(client)}
    made = 0
    for warehouse in sample.warehouses:
        for product in sample.products:
            place = (warehouses[warehouse.code], products[product.sku])
            if warehouse.code not in product.stock or place in there:
                continue
            level = SetStock(
                warehouse_id=place[0],
                product_id=place[1],
                on_hand=product.stock[warehouse.code],
                low_stock_threshold=product.low_stock_threshold,
            )
            body = level.model_dump(mode="json", include={"on_hand", "low_stock_threshold"})
            _ask(client, "PUT", f"/api/warehouses/{place[0]}/stock/{place[1]}", body)
            made += 1
    return made


def _products(client: httpx.Client) -> Iterator[Product]:
    query = {"limit": str(_PAGE_ITEMS)}
    for _ in range(_MOST_PAGES):
        page = _read(client, f"/api/products?{httpx.QueryParams(query)}", _Page[Product])
        yield from page.items
        if page.next_cursor is None:
            return
        query["cursor"] = page.next_cursor
    raise SampleRefused(f"the list of products does not end after {_MOST_PAGES} pages")


def _stock(client: httpx.Client) -> list[StockLevel]:
    return _read(client, "/api/inventory", _Page[StockLevel]).items


def _read(client: httpx.Client, path: str, page: type[_Page[Item]]) -> _Page[Item]:
    return page.model_validate_json(_ask(client, "GET", path))


def _make(client: httpx.Client, path: str, new: BaseModel, kind: type[Item]) -> Item:
    return kind.model_validate_json(_ask(client, "POST", path, new.model_dump(mode="json", exclude_none=True)))


def _ask(client: httpx.Client, method: str, path: str, body: object = None) -> str:
    response = client.request(method, path, json=body)
    if not response.is_success:
        raise SampleRefused(f"{method} {path} was answered {response.status_code}: {response.text[:500]}")
    return response.text
