"""What an order's lines cost."""

from typing import Literal

import pytest

from shared_kernel.contracts.product import NewProduct, PricedLines, PriceLines, WantedLine
from shared_kernel.errors import Invalid
from shared_kernel.money import LARGEST_AMOUNT_MINOR
from tests.unit.product.catalogue_world import NO_PRODUCT, World, idr, run, shirt, usd


def _price(world: World, market: Literal["retail", "wholesale"], *wanted: tuple[str, int]) -> PricedLines:
    lines = [WantedLine(product_id=product_id, quantity=quantity) for product_id, quantity in wanted]
    return run(world.pricing().price_lines(PriceLines(market=market, lines=lines)))


def _refusal(world: World, *wanted: tuple[str, int]) -> Invalid:
    with pytest.raises(Invalid) as refusal:
        _price(world, "retail", *wanted)
    return refusal.value


def test_lines_are_priced_in_the_order_they_were_asked_and_add_up() -> None:
    world = World()
    first, second = world.add(shirt("A", price=idr(300)), shirt("B", price=idr(50)))
    priced = _price(world, "retail", (second.id, 4), (first.id, 1), (second.id, 2))
    assert [(line.sku, line.quantity, line.total.amount) for line in priced.lines] == [
        ("B", 4, 200),
        ("A", 1, 300),
        ("B", 2, 100),
    ]
    assert priced.total == idr(600)


@pytest.mark.parametrize(("market", "amount_minor"), [("retail", 100), ("wholesale", 70)])
def test_each_market_pays_its_price(market: Literal["retail", "wholesale"], amount_minor: int) -> None:
    world = World()
    (product,) = world.add(shirt(price=idr(100), wholesale=idr(70)))
    (line,) = _price(world, market, (product.id, 1)).lines
    assert (line.unit_price, line.price_source) == (idr(amount_minor), market)


def test_all_unknown_products_are_named() -> None:
    world = World()
    (product,) = world.add(shirt())
    refusal = _refusal(world, (NO_PRODUCT, 1), (product.id, 1), (NO_PRODUCT, 2))
    assert (refusal.code, refusal.details) == ("product_not_found", {"product_ids": [NO_PRODUCT]})


def test_a_product_of_the_other_market_is_refused() -> None:
    world = World()
    sold, unsold = world.add(shirt("A"), shirt("B", retail=False))
    refusal = _refusal(world, (sold.id, 1), (unsold.id, 1))
    assert (refusal.code, refusal.details) == ("not_sold_in_market", {"product_ids": [unsold.id]})
    assert _price(world, "wholesale", (unsold.id, 1)).lines[0].sku == "B"


def test_currencies_do_not_mix() -> None:
    world = World()
    rupiah, dollars = world.add(shirt("A"), shirt("B", price=usd(999)))
    refusal = _refusal(world, (rupiah.id, 1), (dollars.id, 1))
    assert (refusal.code, refusal.details) == ("currency_mismatch", {"product_ids": [dollars.id]})


def test_a_line_that_cannot_be_held_exactly_is_refused() -> None:
    world = World()
    (product,) = world.add(shirt(price=idr(LARGEST_AMOUNT_MINOR)))
    assert _price(world, "retail", (product.id, 1)).total == idr(LARGEST_AMOUNT_MINOR)
    assert _refusal(world, (product.id, 2)).code == "amount_out_of_range"


def test_a_sum_that_cannot_be_held_exactly_is_refused() -> None:
    world = World()
    new: list[NewProduct] = [shirt("A", price=idr(LARGEST_AMOUNT_MINOR)), shirt("B", price=idr(1))]
    first, second = world.add(*new)
    assert _refusal(world, (first.id, 1), (second.id, 1)).code == "amount_out_of_range"
