"""What an order's lines cost: every line in its market's price, all of them in one currency."""

from collections.abc import Iterable, Sequence

from product.domain.product import Product
from shared_kernel.contracts.product import Market, PricedLine, PricedLines, WantedLine
from shared_kernel.errors import Invalid
from shared_kernel.money import CurrencyMismatch, total


def price(market: Market, wanted: Sequence[WantedLine], products: Iterable[Product]) -> PricedLines:
    """The lines in the order they were asked, with their sum.

    Invalid `product_not_found`, `not_sold_in_market` or `currency_mismatch` (against the first line's
    currency), each naming all product ids at fault; AmountOutOfRange when a sum cannot be held.
    """
    by_id = {product.id: product for product in products}
    ids = list(dict.fromkeys(line.product_id for line in wanted))
    missing = [product_id for product_id in ids if product_id not in by_id]
    if missing:
        raise Invalid("there is no such product", code="product_not_found", details={"product_ids": [*missing]})
    unsold = [product_id for product_id in ids if not by_id[product_id].is_sold_in(market)]
    if unsold:
        raise Invalid(
            f"a product is not sold in the {market} market",
            code="not_sold_in_market",
            details={"product_ids": [*unsold]},
        )
    currency = by_id[ids[0]].retail_price.currency
    foreign = [product_id for product_id in ids if by_id[product_id].retail_price.currency != currency]
    if foreign:
        raise CurrencyMismatch(
            f"an order has one currency, and its first line is in {currency}", details={"product_ids": [*foreign]}
        )
    lines = [_line(market, line.quantity, by_id[line.product_id]) for line in wanted]
    return PricedLines(lines=lines, total=total(line.total for line in lines))


def _line(market: Market, quantity: int, product: Product) -> PricedLine:
    unit_price = product.price_in(market)
    return PricedLine(
        product_id=product.id,
        sku=product.sku,
        name=product.name,
        quantity=quantity,
        unit_price=unit_price,
        price_source=market,
        total=unit_price.times(quantity),
    )
