"""The catalogue for its readers: each sees the products and prices that are meant for him."""

import json
import logging

from product.application.ports import Products, Reader, Shelf
from product.domain.errors import ProductNotFound
from shared_kernel.clock import system_clock, to_milliseconds
from shared_kernel.contracts import product as contract
from shared_kernel.contracts.model import Health, Nothing
from shared_kernel.cursor import Cursor
from shared_kernel.rpc import Json, Principal

_log = logging.getLogger(__name__)


class Catalogue:
    """Implements contracts.product.Catalogue for one call."""

    def __init__(self, products: Products, shelf: Shelf, principal: Principal) -> None:
        self._products = products
        self._shelf = shelf
        self._reader = Reader(contract.market_of(principal.kind), principal.may("catalogue:manage"))

    async def get_product(self, request: contract.GetProduct) -> contract.Product:
        """The product; ProductNotFound also where it is not sold to this reader."""
        product = await self._products.get(request.id)
        market, is_staff = self._reader
        if product is None or not (is_staff or product.is_sold_in(market)):
            raise ProductNotFound
        return product.for_staff() if is_staff else product.for_market(market)

    async def list_products(self, request: contract.ListProducts) -> Json:
        """One page of products; InvalidCursor for a cursor that another order gave out."""
        key = int if request.sort in ("price", "-price") else str
        after = None if request.cursor is None else Cursor.decode(request.cursor, self._reader.order(request.sort), key)
        listed = await self._shelf.products(request, after, self._reader)
        page = listed[: request.limit]
        following = page[-1].place.encode() if len(listed) > request.limit else None
        items = ",".join(product.json for product in page)
        return Json(f'{{"items":[{items}],"next_cursor":{json.dumps(following)}}}')

    async def list_categories(self, request: Nothing) -> Json:
        """The whole tree."""
        return Json(f'{{"items":{await self._shelf.categories()}}}')

    async def health(self, request: Nothing) -> Health:
        """Whether the catalogue can be read."""
        started_ms = to_milliseconds(system_clock())
        try:
            await self._shelf.check()
        except Exception:
            _log.exception("the catalogue cannot be read")
            return Health(status="degraded", database="unavailable")
        return Health(status="ok", database="ok", database_ms=to_milliseconds(system_clock()) - started_ms)
