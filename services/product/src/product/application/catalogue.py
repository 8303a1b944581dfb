"""The catalogue for its readers: each sees the products and prices that are meant for him."""

import logging

from product.application.ports import Products, Reader, Shelf
from product.domain.errors import ProductNotFound
from shared_kernel.clock import system_clock, to_milliseconds
from shared_kernel.contracts import product as contract
from shared_kernel.contracts.model import Health, Nothing
from shared_kernel.cursor import page_of, place_of
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
        seen = place_of(request.cursor, self._reader.order(request.sort), key)
        return page_of(await self._shelf.products(request, seen, self._reader), request.limit)

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
