"""Money that goes back: whole or in parts, once for each key, never more than was taken, and due where no way is."""

import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from shared_kernel.contracts.payment import Payment
from shared_kernel.money import Money
from tests.system.payment_ways import (
    QUANTITY,
    STOCKED,
    WAYS,
    Placed,
    Way,
    assert_agree,
    assert_stock,
    paid,
    refunded_of,
)
from tests.system.providers import Providers
from tests.system.shop import Shop, at_once, problem

_DONE_WITHIN_SECONDS = 30
AT_ONCE = 20

refundable = pytest.mark.parametrize("way", [way for way in WAYS if way.refunds != "nothing"], ids=str)
in_parts = pytest.mark.parametrize("way", [way for way in WAYS if way.refunds == "parts"], ids=str)


@pytest.fixture(autouse=True)
def balanced(shop: Shop) -> Iterator[None]:
    """The ledger balances after every test."""
    yield
    assert shop.ledger().balanced


@refundable
def test_whole_refund_returns_all_and_leaves_the_order_confirmed(shop: Shop, providers: Providers, way: Way) -> None:
    placed = paid(shop, providers, way)
    held = shop.ledger().balance(f"provider:{way.provider}", way.currency)
    refund = shop.refund(placed.payment_id, placed.order.total, _key())
    assert refund.status in ("pending", "succeeded")
    _wait(shop, placed, lambda payment: payment.status == "refunded")
    _assert_returned(shop, providers, placed, placed.order.total)
    assert shop.ledger().balance(f"provider:{way.provider}", way.currency) == held - placed.order.total.amount
    assert shop.order(placed.order.id).status == "confirmed"
    assert_stock(shop, placed, STOCKED - QUANTITY)


@in_parts
def test_two_equal_parts_are_two_refunds_and_one_key_is_one(shop: Shop, providers: Providers, way: Way) -> None:
    placed = paid(shop, providers, way)
    part = Money(amount=placed.order.total.amount // 4, currency=way.currency)
    key = _key()
    again = [shop.refund(placed.payment_id, part, key) for _ in range(2)]
    assert again[0].id == again[1].id
    assert shop.refund(placed.payment_id, part, _key()).id != again[0].id
    _wait(shop, placed, lambda payment: payment.refunded == part.times(2))
    assert shop.payment(placed.payment_id).status == "partially_refunded"
    _assert_returned(shop, providers, placed, part.times(2))


@in_parts
def test_more_than_is_left_is_not_given_back(shop: Shop, providers: Providers, way: Way) -> None:
    placed = paid(shop, providers, way)
    part = Money(amount=placed.order.total.amount // 4, currency=way.currency)
    shop.refund(placed.payment_id, part, _key())
    problem(shop.send_refund(placed.payment_id, placed.order.total, _key()), 409, "refund_exceeds_captured")
    _wait(shop, placed, lambda payment: payment.refunded == part)
    _assert_returned(shop, providers, placed, part)


@refundable
def test_refund_whose_answer_is_lost_is_given_back_once(shop: Shop, providers: Providers, way: Way) -> None:
    placed = paid(shop, providers, way)
    providers.next(way.provider, "timeout_after_effect", kind="refund")
    key = _key()
    # The shop's own client raises on a 5xx, and here a 503 with a way to go on is the right answer.
    response = shop.ask_anything("POST", *_refund_request(placed, key, shop))
    assert response.status_code in (201, 503), response.text
    # Who was not answered asks again with the same key.
    shop.ask_anything("POST", *_refund_request(placed, key, shop))
    _wait(shop, placed, lambda payment: payment.status == "refunded")
    _assert_returned(shop, providers, placed, placed.order.total)


@refundable
def test_whole_refund_that_is_asked_for_twenty_times_at_once_is_made_once(
    shop: Shop, providers: Providers, way: Way
) -> None:
    placed = paid(shop, providers, way)
    _ask_at_once(shop, placed, placed.order.total)
    _wait(shop, placed, lambda payment: payment.status == "refunded")
    _assert_returned(shop, providers, placed, placed.order.total)


@in_parts
def test_part_that_is_asked_for_twenty_times_at_once_is_given_back_once(
    shop: Shop, providers: Providers, way: Way
) -> None:
    placed = paid(shop, providers, way)
    part = Money(amount=placed.order.total.amount // 4, currency=way.currency)
    _ask_at_once(shop, placed, part)
    _wait(shop, placed, lambda payment: payment.refunded == part)
    _assert_returned(shop, providers, placed, part)


@refundable
def test_of_two_whole_refunds_at_once_one_is_refused(shop: Shop, providers: Providers, way: Way) -> None:
    placed = paid(shop, providers, way)
    answers = at_once(
        [_key(), _key()], lambda key: shop.send_refund(placed.payment_id, placed.order.total, key).status_code
    )
    assert sorted(answers) == [201, 409]
    _wait(shop, placed, lambda payment: payment.status == "refunded")
    _assert_returned(shop, providers, placed, placed.order.total)


@pytest.mark.parametrize("way", [way for way in WAYS if way.refunds != "parts"], ids=str)
def test_refund_that_the_provider_cannot_make_is_due(shop: Shop, providers: Providers, way: Way) -> None:
    placed = paid(shop, providers, way)
    due = shop.ledger().balance("refunds_due", way.currency)
    part = Money(amount=placed.order.total.amount // 4, currency=way.currency)
    assert shop.refund(placed.payment_id, part, _key()).status == "due"
    payment = shop.payment(placed.payment_id)
    assert (payment.status, payment.refunded.amount) == ("refund_due", 0)
    assert [row.refunded_minor for row in providers.rows(way.provider, placed.payment_id)] == [0]
    assert shop.ledger().balance("refunds_due", way.currency) == due - part.amount


def _key() -> str:
    return str(uuid.uuid4())


def _ask_at_once(shop: Shop, placed: Placed, amount: Money) -> None:
    """One request of staff twenty times at the same time, which are one refund."""
    key = _key()
    answers = at_once(range(AT_ONCE), lambda _: shop.refund(placed.payment_id, amount, key))
    assert {(answer.id, answer.amount.amount) for answer in answers} == {(answers[0].id, amount.amount)}
    assert {answer.status for answer in answers} <= {"pending", "succeeded"}


def _refund_request(placed: Placed, key: str, shop: Shop) -> tuple[str, dict[str, object], dict[str, str]]:
    body: dict[str, object] = {"amount": placed.order.total.model_dump(), "reason": "dented tin"}
    return f"/api/payments/{placed.payment_id}/refunds", body, {**shop.as_staff, "idempotency-key": key}


def _wait(shop: Shop, placed: Placed, is_so: Callable[[Payment], bool]) -> None:
    give_up = time.monotonic() + _DONE_WITHIN_SECONDS
    while not is_so(payment := shop.payment(placed.payment_id)):
        assert time.monotonic() < give_up, payment
        time.sleep(0.1)


def _assert_returned(shop: Shop, providers: Providers, placed: Placed, amount: Money) -> None:
    """So much has gone back, by the payment's word and the provider's books; the order hears of it."""
    payment = shop.payment(placed.payment_id)
    assert (payment.captured, payment.refunded) == (placed.order.total, amount)
    rows = providers.rows(placed.way.provider, placed.payment_id)
    give_up = time.monotonic() + _DONE_WITHIN_SECONDS
    while refunded_of(events := shop.events(placed.order.id)) != amount.amount:
        assert time.monotonic() < give_up, events
        time.sleep(0.1)
    assert_agree(payment, rows, events)
