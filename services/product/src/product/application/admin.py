"""The care of the catalogue, which only staff may take."""

from collections.abc import Callable
from datetime import datetime

from pydantic import JsonValue

from product.application.ports import Categories, Products
from product.domain.category import changed as category_changed
from product.domain.errors import NoSuchCategory, ProductNotFound
from product.domain.product import Product
from shared_kernel.clock import Clock
from shared_kernel.contracts import product as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.events import Event, event
from shared_kernel.ids import new_id
from shared_kernel.rpc import Call

SOURCE = "/services/product"


class Admin:
    """Implements contracts.product.Admin for one call; `publish` is asked to send what was just written."""

    def __init__(
        self, products: Products, categories: Categories, call: Call, clock: Clock, publish: Callable[[], None]
    ) -> None:
        self._products = products
        self._categories = categories
        self._call = call
        self._clock = clock
        self._publish = publish

    async def create_product(self, request: contract.NewProduct) -> contract.Product:
        """Put a new product into the catalogue; SkuTaken, CategoryNotFound."""
        self._call.principal.require("catalogue:manage")
        now = self._clock()
        product = Product.create(request, new_id("prd", now), now)
        await self._products.add(product, self._event("product.created", product.id, product.announcement(), now))
        self._publish()
        return product.for_staff()

    async def change_product(self, request: contract.ChangeProduct) -> contract.Product:
        """Change a product whose version the author has seen; a change of nothing makes no new version."""
        self._call.principal.require("catalogue:manage")
        now = self._clock()
        product = await self._products.get(request.id)
        if product is None:
            raise ProductNotFound
        changed = product.change(request.expected_version, request.changes, now)
        if changed is not product:
            told = self._event("product.changed", changed.id, changed.announcement(), now)
            await self._products.replace(changed, told)
            self._publish()
        return changed.for_staff()

    async def delete_product(self, request: contract.DeleteProduct) -> Nothing:
        """Take a product out for good, which frees its SKU; ProductNotFound."""
        self._call.principal.require("catalogue:manage")
        told = self._event("product.deleted", request.id, {"id": request.id}, self._clock())
        await self._products.remove(request.id, told)
        self._publish()
        return Nothing()

    async def create_category(self, request: contract.NewCategory) -> contract.Category:
        """Add a category to the tree; CategoryNotFound, NameTaken."""
        self._call.principal.require("catalogue:manage")
        category = contract.Category(
            id=new_id("cat", self._clock()), name=request.name, parent_id=request.parent_id, version=1
        )
        await self._categories.add(category)
        return category

    async def change_category(self, request: contract.ChangeCategory) -> contract.Category:
        """Rename a category whose version the author has seen; a change of nothing makes no new version."""
        self._call.principal.require("catalogue:manage")
        category = await self._categories.get(request.id)
        if category is None:
            raise NoSuchCategory
        changed = category_changed(category, request.expected_version, request.changes)
        if changed is not category:
            await self._categories.replace(changed)
        return changed

    async def delete_category(self, request: contract.DeleteCategory) -> Nothing:
        """Take an empty category out of the tree; NoSuchCategory, CategoryInUse."""
        self._call.principal.require("catalogue:manage")
        await self._categories.remove(request.id)
        return Nothing()

    def _event(self, kind: str, product_id: str, data: dict[str, JsonValue], now: datetime) -> Event:
        return event(
            kind,
            product_id,
            data,
            id=new_id("evt", now),
            at=now,
            source=SOURCE,
            traceparent=self._call.traceparent,
        )
