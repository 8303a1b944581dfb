"""The same request is one order, however often and however fast it comes."""

import uuid

from shared_kernel.contracts.order import PlacedOrder
from tests.system.books import assert_books_agree
from tests.system.shop import Shop, at_once, order_of, problem

TRIES = 20


def _fresh_key() -> str:
    return str(uuid.uuid4())


def test_same_key_twice_is_one_order_and_the_same_answer(shop: Shop) -> None:
    product = shop.make_product(10)
    key = _fresh_key()
    body = order_of({product.id: 2})
    first = shop.send_order(body, key)
    order = shop.wait_until_ended(PlacedOrder.model_validate_json(first.text))
    second = shop.send_order(body, key)
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert_books_agree(shop, product, 10, [order])


def test_same_key_with_another_body_is_refused_and_changes_nothing(shop: Shop) -> None:
    product = shop.make_product(10)
    key = _fresh_key()
    order = shop.wait_until_ended(shop.place_order(order_of({product.id: 2}), key))
    problem(shop.send_order(order_of({product.id: 3}), key), 422, "idempotency_key_reused")
    problem(shop.send_order(order_of({product.id: 2}, "tok_declined"), key), 422, "idempotency_key_reused")
    assert_books_agree(shop, product, 10, [order])


def test_order_without_a_key_is_refused(shop: Shop) -> None:
    product = shop.make_product(10)
    problem(shop.ask("POST", "/api/orders", order_of({product.id: 1})), 400, "idempotency_key_missing")
    assert shop.available(product) == 10


def test_twenty_at_once_with_one_key_are_one_order(shop: Shop) -> None:
    product = shop.make_product(100)
    body = order_of({product.id: 2})
    answers = at_once([_fresh_key()] * TRIES, lambda key: shop.send_order(body, key))
    placed = [PlacedOrder.model_validate_json(answer.text) for answer in answers]
    assert {answer.status_code for answer in answers} == {202}
    assert len({order.id for order in placed}) == 1
    assert len({order.access_token for order in placed}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert_books_agree(shop, product, 100, [shop.wait_until_ended(placed[0])])
