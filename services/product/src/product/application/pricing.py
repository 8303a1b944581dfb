"""Prices for an order; whoever holds the binding may ask, for any market."""

from product.application.ports import Products
from product.domain.pricing import price
from shared_kernel.contracts.product import PricedLines, PriceLines


class Pricing:
    """Implements contracts.product.Pricing."""

    def __init__(self, products: Products) -> None:
        self._products = products

    async def price_lines(self, request: PriceLines) -> PricedLines:
        """All lines priced, or the reason why they cannot be, with one look at the catalogue."""
        wanted_ids = sorted({line.product_id for line in request.lines})
        return price(request.market, request.lines, await self._products.many(wanted_ids))
