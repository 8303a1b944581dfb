"""A product service on a database in memory, with a clock that a test can turn and callers of each kind."""

import asyncio
import json
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from product.application.admin import Admin
from product.application.catalogue import Catalogue
from product.application.pricing import Pricing
from product.infrastructure.d1 import D1Categories, D1Products, D1Shelf
from shared_kernel.contracts import product as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.money import Money
from shared_kernel.permissions import Kind
from shared_kernel.rpc import Call, Principal
from tests.unit.sqlite_database import SqliteDatabase, migrations

Value = TypeVar("Value")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NO_PRODUCT = "prd_" + "0" * 26
NO_CATEGORY = "cat_" + "0" * 26


def run(work: Coroutine[Any, Any, Value]) -> Value:
    return asyncio.run(work)


def idr(amount_minor: int) -> Money:
    return Money(amount=amount_minor, currency="IDR")


def usd(amount_minor: int) -> Money:
    return Money(amount=amount_minor, currency="USD")


def shirt(
    sku: str = "SHIRT-1",
    name: str = "Shirt",
    *,
    price: Money | None = None,
    wholesale: Money | None = None,
    description: str = "",
    category_id: str | None = None,
    retail: bool = True,
    wholesale_too: bool = True,
) -> contract.NewProduct:
    price = price or idr(150_000)
    return contract.NewProduct(
        sku=sku,
        name=name,
        description=description,
        category_id=category_id,
        availability=contract.MarketAvailability(retail=retail, wholesale=wholesale_too),
        retail_price=price,
        wholesale_price=wholesale or price,
    )


class World:
    """The service; `published` counts how often it asked for its events to be sent."""

    def __init__(self) -> None:
        self.database = SqliteDatabase(migrations("product"))
        self.now = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
        self.published = 0

    def admin(self, kind: Literal["guest", "staff", "service"] = "staff") -> Admin:
        call = Call(principal=Principal(kind=kind, id=kind), traceparent=TRACEPARENT, deadline_ms=0)
        return Admin(
            D1Products(self.database), D1Categories(self.database), call, lambda: self.now, self._count_publishing
        )

    def catalogue(self, kind: Kind = "guest") -> Catalogue:
        return Catalogue(D1Products(self.database), D1Shelf(self.database), Principal(kind=kind, id=kind))

    def pricing(self) -> Pricing:
        return Pricing(D1Products(self.database))

    def add(self, *new: contract.NewProduct) -> list[contract.Product]:
        """Create the products, a millisecond apart, so that their ids are in that order."""
        return [self._add(each) for each in new]

    def add_category(self, name: str, parent_id: str | None = None) -> contract.Category:
        return run(self.admin().create_category(contract.NewCategory(name=name, parent_id=parent_id)))

    def rename_category(self, category_id: str, expected_version: int, name: str) -> contract.Category:
        return run(self.admin().change_category(rename(category_id, expected_version, name)))

    def delete_category(self, category_id: str) -> None:
        run(self.admin().delete_category(contract.DeleteCategory(id=category_id)))

    def category_names(self) -> list[str]:
        tree = json.loads(run(self.catalogue().list_categories(Nothing())))
        return [item["name"] for item in tree["items"]]

    def change(self, product_id: str, expected_version: int, **changes: Any) -> contract.Product:
        return run(self.admin().change_product(change(product_id, expected_version, **changes)))

    def page(self, kind: Kind = "guest", **wanted: Any) -> dict[str, Any]:
        page: dict[str, Any] = json.loads(run(self.catalogue(kind).list_products(contract.ListProducts(**wanted))))
        return page

    def skus(self, kind: Kind = "guest", **wanted: Any) -> list[str]:
        return [item["sku"] for item in self.page(kind, **wanted)["items"]]

    def events(self) -> list[dict[str, Any]]:
        rows = run(self.database.rows("SELECT event FROM outbox ORDER BY position"))
        return [json.loads(str(row["event"])) for row in rows]

    def _add(self, new: contract.NewProduct) -> contract.Product:
        self.now += timedelta(milliseconds=1)
        return run(self.admin().create_product(new))

    def _count_publishing(self) -> None:
        self.published += 1


def rename(category_id: str, expected_version: int, name: str) -> contract.ChangeCategory:
    changes = contract.CategoryChanges(name=name)
    return contract.ChangeCategory(id=category_id, expected_version=expected_version, changes=changes)


def change(product_id: str, expected_version: int, **changes: Any) -> contract.ChangeProduct:
    return contract.ChangeProduct(
        id=product_id, expected_version=expected_version, changes=contract.ProductChanges(**changes)
    )
