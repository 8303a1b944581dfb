"""ETags, `If-Match` and `Idempotency-Key`."""

import pytest

from tests.unit.gateway.client import Client, problem_of
from tests.unit.gateway.shop import CATEGORY_ID, ORDER_ID, ORDER_REQUEST, PAYMENT_ID, PRODUCT_ID

PRODUCT = f"/api/products/{PRODUCT_ID}"
CATEGORY = f"/api/categories/{CATEGORY_ID}"
ORDER = f"/api/orders/{ORDER_ID}"


@pytest.mark.parametrize("held", ['"2"', 'W/"2"', '"1", "2"', '"1",W/"2"', "*"])
def test_version_that_the_client_holds_is_304_without_a_body(held: str) -> None:
    response = Client().as_staff("GET", ORDER, headers={"if-none-match": held})
    assert (response.status, response.text, response.headers["etag"]) == (304, None, '"2"')


@pytest.mark.parametrize("held", ['"3"', "2", '"22"', "", '"2'])
def test_other_version_is_sent_in_full(held: str) -> None:
    response = Client().as_staff("GET", ORDER, headers={"if-none-match": held})
    assert (response.status, response.headers["etag"]) == (200, '"2"')


def test_product_that_the_client_holds_is_304() -> None:
    client = Client()
    tag = client.ask("GET", PRODUCT).headers["etag"]
    assert tag.startswith('"3-')
    assert client.ask("GET", PRODUCT, headers={"if-none-match": tag}).status == 304


def test_version_that_was_shown_otherwise_is_sent_in_full() -> None:
    client = Client()
    as_guest = client.ask("GET", PRODUCT).headers["etag"]
    shown = client.as_staff("GET", PRODUCT, headers={"if-none-match": as_guest})
    assert (shown.status, shown.headers["etag"] == as_guest) == (200, False)


def test_if_none_match_does_not_change_a_refusal() -> None:
    unknown = f"/api/products/{PRODUCT_ID[:-1]}1"
    assert Client().ask("GET", unknown, headers={"if-none-match": "*"}).status == 404


@pytest.mark.parametrize("path", [PRODUCT, CATEGORY])
def test_change_without_if_match_is_428(path: str) -> None:
    client = Client()
    problem_of(client.as_staff("PATCH", path, json_body={"name": "x"}), 428, "precondition_required")
    assert client.shop.asked == []


@pytest.mark.parametrize("tag", ["3", "*", '"3", "4"', '"3', ""])
def test_if_match_that_names_no_one_version_is_400(tag: str) -> None:
    client = Client()
    response = client.as_staff("PATCH", PRODUCT, json_body={"name": "x"}, headers={"if-match": tag})
    problem_of(response, 400, "malformed_if_match")
    assert client.shop.asked == []


@pytest.mark.parametrize("path", [PRODUCT, CATEGORY])
@pytest.mark.parametrize(
    "tag", ['"2"', 'W/"2"', '"03"', '"abc"', '"3-"', '"3-ABCDEF0123456789"', '"99999999999999999999"']
)
def test_stale_if_match_is_412(tag: str, path: str) -> None:
    response = Client().as_staff("PATCH", path, json_body={"name": "x"}, headers={"if-match": tag})
    problem_of(response, 412, "precondition_failed")


@pytest.mark.parametrize("tag", ['"3"', '"3-0123456789abcdef"', 'W/"3"', 'W/"3-0123456789abcdef"'])
def test_change_is_made_to_the_version_however_it_was_shown(tag: str) -> None:
    response = Client().as_staff("PATCH", PRODUCT, json_body={"name": "x"}, headers={"if-match": tag})
    assert (response.status, response.headers["etag"][:3]) == (200, '"4-')


def test_order_without_a_key_is_400() -> None:
    client = Client()
    problem_of(client.ask("POST", "/api/orders", json_body=ORDER_REQUEST), 400, "idempotency_key_missing")
    assert client.shop.asked == []


def test_refund_without_a_key_is_400() -> None:
    refund = {"amount": {"amount": 1, "currency": "IDR"}, "reason": "broken"}
    response = Client().as_staff("POST", f"/api/payments/{PAYMENT_ID}/refunds", json_body=refund)
    problem_of(response, 400, "idempotency_key_missing")


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "k\u00e9", "k\t"])
def test_strange_key_is_400(key: str) -> None:
    response = Client().ask("POST", "/api/orders", json_body=ORDER_REQUEST, headers={"idempotency-key": key})
    problem_of(response, 400, "idempotency_key_malformed")


def test_key_of_another_request_is_422() -> None:
    client = Client()
    key = {"idempotency-key": "k"}
    client.ask("POST", "/api/orders", json_body=ORDER_REQUEST, headers=key)
    other = ORDER_REQUEST | {"email": "budi@example.com"}
    response = client.ask("POST", "/api/orders", json_body=other, headers=key)
    problem_of(response, 422, "idempotency_key_reused")
