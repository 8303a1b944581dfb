"""What the use cases need of the place where the catalogue is kept."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from product.domain.product import Product
from shared_kernel.contracts.product import Category, ListProducts, Market
from shared_kernel.cursor import Cursor, Listed
from shared_kernel.events import Event


class Products(Protocol):
    """The products, each written together with the event that tells of it: both, or neither."""

    async def get(self, product_id: str) -> Product | None:
        """The product, or None."""
        ...

    async def many(self, product_ids: Sequence[str]) -> list[Product]:
        """Those of the products that exist, in any order."""
        ...

    async def add(self, product: Product, event: Event) -> None:
        """Write a new product; SkuTaken, CategoryNotFound."""
        ...

    async def replace(self, product: Product, event: Event) -> None:
        """Write the version after the one that is kept.

        StaleVersion when that is no longer the one before, ProductNotFound, SkuTaken, CategoryNotFound.
        """
        ...

    async def remove(self, product_id: str, event: Event) -> None:
        """Forget the product; ProductNotFound when it is not there, so that one deletion is told once."""
        ...


class Categories(Protocol):
    """The tree of categories."""

    async def add(self, category: Category) -> None:
        """Write a new category; CategoryNotFound for its parent, NameTaken among its siblings."""
        ...

    async def get(self, category_id: str) -> Category | None:
        """The category, or None."""
        ...

    async def replace(self, category: Category) -> None:
        """Write the version after the one that is kept.

        StaleVersion when that is no longer the one before, NoSuchCategory, NameTaken among its siblings.
        """
        ...

    async def remove(self, category_id: str) -> None:
        """Forget the category; NoSuchCategory, CategoryInUse."""
        ...


class Reader(NamedTuple):
    """For whom a list is: the market whose prices he pays, and whether he cares for the catalogue."""

    market: Market
    is_staff: bool

    def order(self, sort: str) -> str:
        """What a list's order is called for him: another market's prices put it into another one, whose cursors are
        no good here."""
        return sort if self.market == "retail" else f"{self.market} {sort}"


class Shelf(Protocol):
    """The catalogue as it is looked at: JSON text, made where the data is."""

    async def products(self, wanted: ListProducts, after: Cursor | None, reader: Reader) -> list[Listed]:
        """At most `limit` + 1 products: the one too many tells that there are more.

        Everybody but staff sees only what is sold in his market, at its price alone.
        """
        ...

    async def categories(self) -> str:
        """A JSON array of Category, parents before children."""
        ...

    async def check(self) -> None:
        """Raises when the catalogue cannot be read."""
        ...
