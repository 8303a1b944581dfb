"""The product's own rules: how it is made, changed, seen and announced."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from product.domain.errors import InvalidPrice, StaleVersion
from product.domain.product import Product
from shared_kernel.contracts.product import ChangeProduct, Market, MarketAvailability, NewProduct, ProductChanges
from shared_kernel.money import CurrencyMismatch, Money
from tests.unit.product.catalogue_world import NO_CATEGORY, NO_PRODUCT, idr, shirt, usd

MADE = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
LATER = MADE + timedelta(hours=1)


def _product() -> Product:
    return Product.create(shirt(wholesale=idr(90_000), category_id=NO_CATEGORY), NO_PRODUCT, MADE)


def test_a_new_product_is_at_version_one() -> None:
    product = _product()
    assert product.version == 1
    assert product.created_at == product.updated_at == "2026-11-21T08:30:00.000Z"


def test_a_change_makes_the_next_version_and_touches_nothing_else() -> None:
    before = _product()
    after = before.change(1, ProductChanges(name="Blouse"), LATER)
    assert after == before.model_copy(update={"name": "Blouse", "version": 2, "updated_at": "2026-11-21T09:30:00.000Z"})


def test_a_change_that_changes_nothing_makes_no_version() -> None:
    product = _product()
    assert product.change(1, ProductChanges(name="Shirt"), LATER) is product
    assert product.change(1, ProductChanges(), LATER) is product


@pytest.mark.parametrize("expected_version", [0, 2, -1])
def test_a_change_for_another_version_is_refused_even_when_it_changes_nothing(expected_version: int) -> None:
    with pytest.raises(StaleVersion) as refusal:
        _product().change(expected_version, ProductChanges(), LATER)
    assert (refusal.value.code, refusal.value.details) == ("stale_version", {"version": 1})


def test_an_explicit_null_takes_the_category_away_and_silence_keeps_it() -> None:
    assert _product().change(1, ProductChanges(category_id=None), LATER).category_id is None
    assert _product().change(1, ProductChanges(name="Blouse"), LATER).category_id == NO_CATEGORY


@pytest.mark.parametrize("given", [{}, {"category_id": None}, {"name": "Blouse"}])
def test_changes_cross_as_they_were_given(given: dict[str, Any]) -> None:
    sent = ChangeProduct(id=NO_PRODUCT, expected_version=1, changes=ProductChanges(**given))
    arrived = ChangeProduct.model_validate_json(sent.model_dump_json())
    assert arrived.changes.model_fields_set == given.keys()


@pytest.mark.parametrize("field", ["sku", "name", "description", "availability", "retail_price", "wholesale_price"])
def test_nothing_but_the_category_can_be_taken_away(field: str) -> None:
    given: dict[str, Any] = {field: None}
    with pytest.raises(ValidationError, match=f"{field} cannot be null"):
        ProductChanges(**given)


def test_one_price_cannot_change_its_currency_alone() -> None:
    with pytest.raises(CurrencyMismatch):
        _product().change(1, ProductChanges(retail_price=usd(999)), LATER)
    assert _product().change(1, ProductChanges(retail_price=usd(999), wholesale_price=usd(500)), LATER).version == 2


@pytest.mark.parametrize("amount_minor", [0, -1])
def test_a_price_stays_more_than_zero(amount_minor: int) -> None:
    with pytest.raises(InvalidPrice):
        _product().change(1, ProductChanges(wholesale_price=idr(amount_minor)), LATER)


@pytest.mark.parametrize(("retail", "wholesale"), [(idr(0), idr(1)), (idr(1), idr(-1)), (idr(100), usd(100))], ids=str)
def test_a_product_is_not_made_with_impossible_prices(retail: Any, wholesale: Any) -> None:
    with pytest.raises(ValidationError, match="price"):
        NewProduct(sku="A", name="A", retail_price=retail, wholesale_price=wholesale)


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "  "), ("name", "a\x00b"), ("name", "x" * 201), ("description", "a\x00b"), ("sku", ""), ("sku", "-a")],
)
def test_unreadable_texts_are_refused(field: str, value: str) -> None:
    with pytest.raises(ValidationError):
        NewProduct.model_validate(shirt().model_dump() | {field: value})


@pytest.mark.parametrize(("market", "price"), [("retail", idr(150_000)), ("wholesale", idr(90_000))])
def test_everybody_sees_the_price_of_his_market_alone(market: Market, price: Money) -> None:
    seen = _product().for_market(market)
    assert seen.price == price
    assert (seen.retail_price, seen.wholesale_price) == (None, None)


def test_guests_see_their_price_and_staff_see_both() -> None:
    product = _product()
    assert product.for_market("retail").model_dump(exclude_none=True).keys() == {
        *("id", "sku", "name", "description", "category_id", "images", "availability", "price", "version"),
        *("created_at", "updated_at"),
    }
    assert product.for_staff().price == idr(150_000)
    assert (product.for_staff().retail_price, product.for_staff().wholesale_price) == (idr(150_000), idr(90_000))


def test_each_market_has_its_price_and_its_switch() -> None:
    product = _product().change(1, ProductChanges(availability=MarketAvailability(retail=False, wholesale=True)), LATER)
    assert (product.price_in("retail"), product.price_in("wholesale")) == (idr(150_000), idr(90_000))
    assert (product.is_sold_in("retail"), product.is_sold_in("wholesale")) == (False, True)


def test_an_announcement_leaves_the_description_out() -> None:
    announced = _product().announcement()
    assert "description" not in announced
    assert announced["wholesale_price"] == {"amount": 90_000, "currency": "IDR"}
