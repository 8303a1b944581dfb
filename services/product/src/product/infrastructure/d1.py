"""The catalogue in D1: where the schema refuses a change, the adapter asks why and says it in the domain's words.

SQLite writes the JSON; a product is read from it in one pass, a list is passed on as it is.
"""

import json
from collections.abc import Sequence

from pydantic import TypeAdapter

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
from shared_kernel.contracts.product import Category, ListProducts, Market
from shared_kernel.cursor import Cursor, Listed
from shared_kernel.errors import Unavailable
from shared_kernel.events import Event
from shared_kernel.sql import ConstraintViolated, Database, SqlValue, Statement

_PRODUCTS = TypeAdapter(list[Product])

_SEEN_BY_ALL = """'id', id, 'sku', sku, 'name', name, 'description', description, 'category_id', category_id,
  'availability', json_object('retail', json(iif(sold_retail, 'true', 'false')),
                              'wholesale', json(iif(sold_wholesale, 'true', 'false'))),
  'version', version, 'created_at', created_at, 'updated_at', updated_at"""
_BOTH_PRICES = """'retail_price', json_object('amount', retail_amount_minor, 'currency', currency),
  'wholesale_price', json_object('amount', wholesale_amount_minor, 'currency', currency)"""
_AMOUNT: dict[Market, str] = {"retail": "retail_amount_minor", "wholesale": "wholesale_amount_minor"}
_SOLD: dict[Market, str] = {"retail": "sold_retail = 1", "wholesale": "sold_wholesale = 1"}

_RECORD = f"json_object({_SEEN_BY_ALL}, {_BOTH_PRICES})"
# A merge patch onto nothing leaves out the members that are null, as the contract does.
_LISTED = """json_patch('{{}}', json_object({seen_by_all}, 'images', json_array(),
  'price', json_object('amount', {amount}, 'currency', currency){more}))"""
_FOR_MARKET = {
    market: _LISTED.format(seen_by_all=_SEEN_BY_ALL, amount=amount, more="") for market, amount in _AMOUNT.items()
}
_FOR_STAFF = _LISTED.format(seen_by_all=_SEEN_BY_ALL, amount=_AMOUNT["retail"], more=f", {_BOTH_PRICES}")


class D1Products:
    """The products and their outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, product_id: str) -> Product | None:
        """The product, or None."""
        text = await self._database.text(f"SELECT {_RECORD} FROM products WHERE id = ?", product_id)
        return None if text is None else Product.model_validate_json(text)

    async def many(self, product_ids: Sequence[str]) -> list[Product]:
        """Those that exist, in one query."""
        text = await self._database.text(
            f"SELECT json_group_array({_RECORD}) FROM products WHERE id IN (SELECT value FROM json_each(?))",
            json.dumps(product_ids),
        )
        return _PRODUCTS.validate_json(text or "[]")

    async def add(self, product: Product, event: Event) -> None:
        """Insert the product; SkuTaken, CategoryNotFound."""
        insert = Statement(
            "INSERT INTO products (sku, name, description, category_id, sold_retail, sold_wholesale, currency,"
            " retail_amount_minor, wholesale_amount_minor, version, updated_at, id, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*_columns(product), product.id, product.created_at),
        )
        await self._save(product, insert, event)

    async def replace(self, product: Product, event: Event) -> None:
        """Update the version before; StaleVersion, ProductNotFound, SkuTaken, CategoryNotFound."""
        update = Statement(
            "UPDATE products SET sku = ?, name = ?, description = ?, category_id = ?, sold_retail = ?,"
            " sold_wholesale = ?, currency = ?, retail_amount_minor = ?, wholesale_amount_minor = ?, version = ?,"
            " updated_at = ? WHERE id = ? AND version = ?",
            (*_columns(product), product.id, product.version - 1),
        )
        await self._save(product, update, event)

    async def remove(self, product_id: str, event: Event) -> None:
        """Delete the row; ProductNotFound."""
        delete = Statement("DELETE FROM products WHERE id = ?", (product_id,))
        try:
            await self._database.batch([delete, _append_if_changed(event)])
        except ConstraintViolated as refusal:
            raise ProductNotFound from refusal

    async def _save(self, product: Product, change: Statement, event: Event) -> None:
        try:
            await self._database.batch([change, _append_if_changed(event)])
        except ConstraintViolated as refusal:
            await self._explain(product)
            raise Unavailable("the catalogue was changed at the same moment: try again") from refusal

    async def _explain(self, product: Product) -> None:
        (facts,) = await self._database.rows(
            "SELECT (SELECT version FROM products WHERE id = ?) AS version,"
            " EXISTS (SELECT 1 FROM products WHERE sku = ? AND id <> ?) AS sku_taken,"
            " EXISTS (SELECT 1 FROM categories WHERE id = ?) AS category_exists",
            product.id,
            product.sku,
            product.id,
            product.category_id,
        )
        if product.version > 1 and facts["version"] is None:
            raise ProductNotFound
        if product.version > 1 and facts["version"] != product.version - 1:
            raise StaleVersion(
                f"the product is at version {facts['version']} by now", details={"version": facts["version"]}
            )
        if facts["sku_taken"]:
            raise SkuTaken(f"another product has the SKU {product.sku}")
        if product.category_id is not None and not facts["category_exists"]:
            raise CategoryNotFound("there is no such category")


class D1Categories:
    """The tree of categories."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, category: Category) -> None:
        """Insert the category; CategoryNotFound, NameTaken."""
        insert = Statement(
            "INSERT INTO categories (id, name, parent_id, version) VALUES (?, ?, ?, ?)",
            (category.id, category.name, category.parent_id, category.version),
        )
        try:
            await self._database.batch([insert])
        except ConstraintViolated as refusal:
            if category.parent_id is not None and not await self._exists(category.parent_id):
                raise CategoryNotFound("there is no such category") from refusal
            raise _name_taken(category) from refusal

    async def get(self, category_id: str) -> Category | None:
        """The category, or None."""
        text = await self._database.text(
            "SELECT json_object('id', id, 'name', name, 'parent_id', parent_id, 'version', version)"
            " FROM categories WHERE id = ?",
            category_id,
        )
        return None if text is None else Category.model_validate_json(text)

    async def replace(self, category: Category) -> None:
        """Update the version before; StaleVersion, NoSuchCategory, NameTaken."""
        update = Statement(
            "UPDATE categories SET name = ?, version = ? WHERE id = ? AND version = ?",
            (category.name, category.version, category.id, category.version - 1),
        )
        try:
            (outcome,) = await self._database.batch([update])
        except ConstraintViolated as refusal:
            raise _name_taken(category) from refusal
        if outcome.changes == 1:
            return
        kept = await self.get(category.id)
        if kept is None:
            raise NoSuchCategory
        raise StaleVersion(f"the category is at version {kept.version} by now", details={"version": kept.version})

    async def remove(self, category_id: str) -> None:
        """Delete the row, which what refers to it forbids; NoSuchCategory, CategoryInUse."""
        try:
            (outcome,) = await self._database.batch([Statement("DELETE FROM categories WHERE id = ?", (category_id,))])
        except ConstraintViolated as refusal:
            raise CategoryInUse from refusal
        if outcome.changes != 1:
            raise NoSuchCategory

    async def _exists(self, category_id: str) -> bool:
        return await self._database.text("SELECT id FROM categories WHERE id = ?", category_id) is not None


class D1Shelf:
    """The catalogue as readers look at it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def products(self, wanted: ListProducts, after: Cursor | None, reader: Reader) -> list[Listed]:
        """One product more than the page holds, where there are more."""
        amount = _AMOUNT[reader.market]
        # Ids are made in the order of time.
        key = {"name": "name", "price": amount, "-price": amount, "newest": "id"}[wanted.sort]
        beyond, direction = ("<", "DESC") if wanted.sort in ("-price", "newest") else (">", "ASC")
        conditions = _filters(wanted, amount)
        if not reader.is_staff:
            conditions.append(Statement(_SOLD[reader.market]))
        if after is not None:
            conditions.append(Statement(f"({key}, id) {beyond} (?, ?)", (after.key, after.id)))
        rows = await self._database.rows(
            f"SELECT {_FOR_STAFF if reader.is_staff else _FOR_MARKET[reader.market]} AS json,"
            f" {key} AS sort_key, id FROM products"
            f" WHERE {' AND '.join(condition.sql for condition in conditions) or 'true'}"
            f" ORDER BY {key} {direction}, id {direction} LIMIT ?",
            *(value for condition in conditions for value in condition.parameters),
            wanted.limit + 1,
        )
        order = reader.order(wanted.sort)
        return [
            Listed(str(row["json"]), Cursor.model_validate({"order": order, "key": row["sort_key"], "id": row["id"]}))
            for row in rows
        ]

    async def categories(self) -> str:
        """The tree, level by level."""
        text = await self._database.text(
            "WITH RECURSIVE tree (id, name, parent_id, version, depth) AS ("
            " SELECT id, name, parent_id, version, 0 FROM categories WHERE parent_id IS NULL"
            " UNION ALL SELECT child.id, child.name, child.parent_id, child.version, depth + 1"
            " FROM categories AS child JOIN tree ON child.parent_id = tree.id)"
            " SELECT json_group_array(json(item)) FROM (SELECT json_patch('{}', json_object("
            " 'id', id, 'name', name, 'parent_id', parent_id, 'version', version)) AS item"
            " FROM tree ORDER BY depth, name, id)"
        )
        return text or "[]"

    async def check(self) -> None:
        """Read something; raises when that is not possible."""
        await self._database.rows("SELECT id FROM products LIMIT 1")


def _name_taken(category: Category) -> NameTaken:
    return NameTaken(f"there is a category {category.name} below the same parent")


def _columns(product: Product) -> tuple[SqlValue, ...]:
    return (
        product.sku,
        product.name,
        product.description,
        product.category_id,
        int(product.availability.retail),
        int(product.availability.wholesale),
        product.retail_price.currency,
        product.retail_price.amount,
        product.wholesale_price.amount,
        product.version,
        product.updated_at,
    )


def _append_if_changed(event: Event) -> Statement:
    """The event, if the statement before it in the batch changed a row; if not, its NOT NULL fails the batch."""
    return Statement("INSERT INTO outbox (event) VALUES (iif(changes() = 1, ?, NULL))", (event.model_dump_json(),))


def _filters(wanted: ListProducts, amount: str) -> list[Statement]:
    conditions = []
    if wanted.q is not None and wanted.q.strip():
        # As LIKE it takes A for a; but D1 takes no LIKE pattern of more than 50 bytes (D1, limits).
        words = wanted.q.strip()
        holds = (f"instr(lower({column}), lower(?)) > 0" for column in ("name", "sku", "description"))
        conditions.append(Statement(f"({' OR '.join(holds)})", (words, words, words)))
    if wanted.category is not None:
        subtree = (
            "category_id IN (WITH RECURSIVE subtree (id) AS (SELECT ? UNION"
            " SELECT child.id FROM categories AS child JOIN subtree ON child.parent_id = subtree.id)"
            " SELECT id FROM subtree)"
        )
        conditions.append(Statement(subtree, (wanted.category,)))
    if wanted.currency is not None:
        conditions.append(Statement("currency = ?", (wanted.currency,)))
    if wanted.min_price is not None:
        conditions.append(Statement(f"{amount} >= ?", (wanted.min_price,)))
    if wanted.max_price is not None:
        conditions.append(Statement(f"{amount} <= ?", (wanted.max_price,)))
    return conditions
