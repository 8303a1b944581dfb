"""Money adds up exactly, whatever is done with it."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared_kernel.errors import Invalid
from shared_kernel.money import (
    EXPONENTS,
    LARGEST_AMOUNT_MINOR,
    AmountOutOfRange,
    CurrencyMismatch,
    Money,
    total,
)

amounts = st.integers(-LARGEST_AMOUNT_MINOR, LARGEST_AMOUNT_MINOR)
small_amounts = st.integers(-(10**12), 10**12)
currencies = st.sampled_from(sorted(EXPONENTS))
weights = st.lists(st.integers(0, 10**9), min_size=1, max_size=30).filter(any)


def _usd(amount_minor: int) -> Money:
    return Money(amount=amount_minor, currency="USD")


@given(amounts, currencies, weights)
def test_allocated_shares_add_up_to_the_whole(amount_minor: int, currency: str, shared: list[int]) -> None:
    whole = Money(amount=amount_minor, currency=currency)
    shares = whole.allocate(shared)
    assert len(shares) == len(shared)
    assert sum(share.amount for share in shares) == amount_minor
    assert {share.currency for share in shares} == {currency}


@given(amounts, weights)
def test_each_allocated_share_is_within_one_minor_unit_of_its_due(amount_minor: int, shared: list[int]) -> None:
    for share, weight in zip(_usd(amount_minor).allocate(shared), shared, strict=True):
        assert abs(share.amount - Fraction(amount_minor * weight, sum(shared))) < 1


@given(st.integers(0, LARGEST_AMOUNT_MINOR), weights)
def test_a_heavier_weight_never_gets_less(amount_minor: int, shared: list[int]) -> None:
    shares = _usd(amount_minor).allocate(shared)
    by_weight = sorted(zip(shared, (share.amount for share in shares), strict=True))
    for (lighter, less), (heavier, more) in itertools.pairwise(by_weight):
        assert less <= more or lighter == heavier


def test_what_is_left_goes_to_the_largest_remainders_first() -> None:
    assert [share.amount for share in _usd(100).allocate([1, 1, 1])] == [34, 33, 33]
    assert [share.amount for share in _usd(5).allocate([3, 7])] == [2, 3]
    assert [share.amount for share in _usd(10).allocate([0, 1, 5])] == [0, 2, 8]
    assert [share.amount for share in _usd(-100).allocate([1, 1, 1])] == [-33, -33, -34]


@pytest.mark.parametrize("wrong", [[], [0], [0, 0], [-1, 2], [1, -1]])
def test_impossible_weights_are_refused(wrong: list[int]) -> None:
    with pytest.raises(Invalid) as refusal:
        _usd(100).allocate(wrong)
    assert refusal.value.code == "invalid_weights"


@given(small_amounts, small_amounts, currencies)
def test_sums_and_differences_are_exact(one: int, other: int, currency: str) -> None:
    first, second = Money(amount=one, currency=currency), Money(amount=other, currency=currency)
    assert (first + second).amount == one + other
    assert (first + second) - second == first


@given(small_amounts, st.integers(0, 9_000))
def test_so_many_pieces_cost_the_sum_of_their_prices(amount_minor: int, quantity: int) -> None:
    price = _usd(amount_minor)
    assert price.times(quantity).amount == amount_minor * quantity
    assert price.times(quantity + 1) == price.times(quantity) + price


@given(st.lists(small_amounts, min_size=1, max_size=100))
def test_a_total_is_the_sum_of_all(listed: list[int]) -> None:
    assert total(_usd(amount_minor) for amount_minor in listed) == _usd(sum(listed))


def test_the_total_of_nothing_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        total([])
    assert refusal.value.code == "nothing_to_add"


def test_currencies_never_mix() -> None:
    rupiah = Money(amount=1, currency="IDR")
    with pytest.raises(CurrencyMismatch):
        _usd(1) + rupiah
    with pytest.raises(CurrencyMismatch):
        _usd(1) - rupiah
    with pytest.raises(CurrencyMismatch):
        total([_usd(1), rupiah])


@pytest.mark.parametrize("sign", [1, -1])
def test_what_cannot_be_held_exactly_is_refused(sign: int) -> None:
    largest = _usd(sign * LARGEST_AMOUNT_MINOR)
    with pytest.raises(AmountOutOfRange):
        largest + _usd(sign)
    with pytest.raises(AmountOutOfRange):
        largest - _usd(-sign)
    with pytest.raises(AmountOutOfRange):
        largest.times(2)
    with pytest.raises(ValidationError):
        _usd(sign * (LARGEST_AMOUNT_MINOR + 1))


@pytest.mark.parametrize(
    "text",
    [
        '{"amount": 1.0, "currency": "USD"}',
        '{"amount": "1", "currency": "USD"}',
        '{"amount": true, "currency": "USD"}',
        '{"amount": null, "currency": "USD"}',
        '{"amount": 1, "currency": "usd"}',
        '{"amount": 1, "currency": "XXX"}',
        '{"amount": 1}',
        '{"amount": 1, "currency": "USD", "more": 1}',
    ],
)
def test_what_is_not_money_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate_json(text)


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (125_000, "IDR", "IDR 1,250.00"),
        (5, "USD", "USD 0.05"),
        (-5, "USD", "USD -0.05"),
        (0, "EUR", "EUR 0.00"),
        (1_234_567, "JPY", "JPY 1,234,567"),
        (1_234_567, "KWD", "KWD 1,234.567"),
        (LARGEST_AMOUNT_MINOR, "USD", "USD 90,071,992,547,409.91"),
    ],
)
def test_money_reads_in_its_currencys_decimals(amount_minor: int, currency: str, text: str) -> None:
    assert str(Money(amount=amount_minor, currency=currency)) == text


@given(amounts, currencies)
def test_no_digit_is_lost_in_writing(amount_minor: int, currency: str) -> None:
    money = Money(amount=amount_minor, currency=currency)
    digits = str(money).removeprefix(f"{currency} ").replace(",", "").replace(".", "")
    assert int(digits) == amount_minor
    assert Money.model_validate_json(money.model_dump_json()) == money
