"""Bodies and queries that are not taken: each gets a clear problem, and no service is asked."""

import json
from typing import Any

import pytest

from gateway.app import DEADLINE_MS, MOST_HEADERS
from gateway.input import DEEPEST_NESTING, LARGEST_JSON_BYTES
from shared_kernel.clock import from_milliseconds
from tests.unit.gateway.client import Chunks, Client, problem_of
from tests.unit.gateway.shop import NEW_PRODUCT, ORDER_ID, ORDER_REQUEST, PRODUCT_ID, WAREHOUSE_ID


def refused(body: bytes | Chunks, status: int, code: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The problem that this body of a new product meets."""
    client = Client()
    problem = problem_of(client.as_staff("POST", "/api/products", body=body, headers=headers or {}), status, code)
    assert client.shop.asked == []
    return problem


def new_product(**changes: Any) -> bytes:
    """The body of a new product with other values."""
    return json.dumps(NEW_PRODUCT | changes).encode()


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"{",
        b"{'sku': 1}",
        b'{"sku": NaN}',
        b'{"sku": Infinity}',
        b'{"sku": -Infinity}',
        b'{"sku": "a\x00b"}',
        b'{"sku": "\\ud800"}',
        b'{"sku": "\\udc00\\ud800"}',
        b'{"sku": "\xff"}',
        b"\xef\xbb\xbf{}",
        '{"sku": "A"}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b"{} {}",
        b'{"sku": 1e999999999999}x',
    ],
)
def test_what_is_not_json_is_400(body: bytes) -> None:
    refused(body, 400, "malformed_json")


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_body_that_is_nested_too_deep_is_400(opening: str, closing: str) -> None:
    times = DEEPEST_NESTING // (opening.count("[") + opening.count("{"))
    refused((opening * times + "1" + closing * times).encode(), 422, "invalid")
    refused((opening * (times + 1) + "1" + closing * (times + 1)).encode(), 400, "json_too_deep")


def test_body_where_none_came_is_400() -> None:
    refused(b"", 400, "malformed_json", {"content-type": "application/json"})


def test_body_that_breaks_off_is_400() -> None:
    refused(Chunks([b'{"sku":'], breaks_off=True), 400, "incomplete_body")


@pytest.mark.parametrize(
    "body",
    [
        new_product()[:-1] + b', "sku": "TEA-3"}',
        new_product().replace(b'"amount": 100', b'"amount": 100, "amount": 1'),
        new_product()[:-1] + b', "\\u0073ku": "TEA-3"}',
    ],
)
def test_member_named_twice_is_400(body: bytes) -> None:
    refused(body, 400, "duplicate_member")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_other_content_type_is_415(content_type: str) -> None:
    refused(new_product(), 415, "unsupported_media_type", {"content-type": content_type})


def test_encoded_body_is_415() -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    refused(new_product(), 415, "unsupported_media_type", headers)


def test_content_type_may_have_parameters() -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert Client().as_staff("POST", "/api/products", body=new_product(), headers=headers).status == 201


def test_body_of_the_largest_size_is_taken_and_one_byte_more_is_413() -> None:
    body = new_product().ljust(LARGEST_JSON_BYTES)
    assert Client().as_staff("POST", "/api/products", body=body).status == 201
    refused(body + b" ", 413, "content_too_large")


def test_longest_description_is_taken_with_every_character_escaped() -> None:
    body = new_product(description="\U0001f375" * 5_000)
    assert len(body) > LARGEST_JSON_BYTES // 3
    assert Client().as_staff("POST", "/api/products", body=body).status == 201


@pytest.mark.parametrize("claimed", [None, "10", "-1", "nonsense"])
def test_size_is_counted_and_never_believed(claimed: str | None) -> None:
    body = Chunks([b" " * 400_000] * 10)
    headers = {"content-type": "application/json"} | ({"content-length": claimed} if claimed else {})
    refused(body, 413, "content_too_large", headers)
    assert body.kept <= LARGEST_JSON_BYTES


def test_time_for_the_services_begins_when_the_body_has_come() -> None:
    body = Chunks([new_product()])
    client = Client(clock=lambda: from_milliseconds(60_000 if body.chunks else 90_000))
    assert client.as_staff("POST", "/api/products", body=body).status == 201
    assert client.shop.calls[0].deadline_ms == 90_000 + DEADLINE_MS


def test_unread_body_is_taken_in_but_not_for_ever() -> None:
    small, endless = Chunks([b" " * 1000] * 10), Chunks([b" " * 1_000_000] * 100)
    Client().ask("POST", "/nowhere", body=small)
    Client().ask("POST", "/nowhere", body=endless)
    assert small.taken == 10_000
    assert endless.taken == 17_000_000


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"sku": "not a sku"}, "sku", "string_pattern_mismatch"),
        ({"sku": 5}, "sku", "string_type"),
        ({"sku": None}, "sku", "string_type"),
        ({"name": ""}, "name", "string_too_short"),
        ({"name": "x" * 201}, "name", "string_too_long"),
        ({"price": 1}, "price", "extra_forbidden"),
        ({"retail_price": {"amount": "100", "currency": "IDR"}}, "retail_price.amount", "int_type"),
        ({"retail_price": {"amount": 1.5, "currency": "IDR"}}, "retail_price.amount", "int_type"),
        ({"retail_price": {"amount": True, "currency": "IDR"}}, "retail_price.amount", "int_type"),
        ({"retail_price": {"amount": 2**53, "currency": "IDR"}}, "retail_price.amount", "less_than_equal"),
        ({"retail_price": {"amount": 10**400, "currency": "IDR"}}, "retail_price.amount", "less_than_equal"),
        ({"retail_price": {"amount": 1, "currency": "XXX"}}, "retail_price.currency", "value_error"),
        ({"availability": {"retail": "yes"}}, "availability.retail", "bool_type"),
    ],
)
def test_unfit_field_is_422_and_named(changes: dict[str, Any], field: str, code: str) -> None:
    problem = refused(new_product(**changes), 422, "invalid")
    assert {(error["field"], error["code"]) for error in problem["errors"]} == {(field, code)}


def test_nul_character_is_422_and_named() -> None:
    client = Client()
    response = client.ask("POST", "/api/auth/login", json_body={"email": "ana@example.com", "password": "sand\0i"})
    errors = problem_of(response, 422, "invalid")["errors"]
    assert [(error["field"], error["code"]) for error in errors] == [("password", "nul_character")]
    assert client.shop.asked == []


@pytest.mark.parametrize("target", ["/api/categories", "/nowhere", "/api/webhooks/xendit"])
def test_more_headers_than_any_client_sends_are_431(target: str) -> None:
    client = Client()
    headers = {f"x-{number}": "1" for number in range(MOST_HEADERS)}
    assert client.ask("GET", "/api/categories", headers=headers).status == 200
    asked = len(client.shop.asked)
    problem_of(client.ask("GET", target, headers=headers | {"x-more": "1"}), 431, "too_many_headers")
    assert len(client.shop.asked) == asked


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"5"])
def test_body_that_is_no_object_is_422(body: bytes) -> None:
    refused(body, 422, "invalid")


def test_flood_of_unknown_fields_is_told_in_few_words() -> None:
    many = json.dumps({f"f{number}": 1 for number in range(5000)}).encode()
    assert [error["code"] for error in refused(many, 422, "invalid")["errors"]] == ["too_many_errors"]
    long_name = json.dumps(NEW_PRODUCT | {"x" * 100_000: 1}).encode()
    assert len(refused(long_name, 422, "invalid")["errors"][0]["field"]) == 200


def test_nested_field_is_named_by_its_path() -> None:
    body = ORDER_REQUEST | {"items": [{"product_id": PRODUCT_ID, "quantity": 0}]}
    client = Client()
    response = client.ask("POST", "/api/orders", json_body=body, headers={"idempotency-key": "k"})
    assert problem_of(response, 422, "invalid")["errors"][0]["field"] == "items.0.quantity"
    assert client.shop.asked == []


@pytest.mark.parametrize(
    ("target", "field", "code"),
    [
        ("/api/products?colour=red", "colour", "extra_forbidden"),
        ("/api/products?limit=0", "limit", "greater_than_equal"),
        ("/api/products?limit=101", "limit", "less_than_equal"),
        ("/api/products?limit=ten", "limit", "int_parsing"),
        ("/api/products?limit=", "limit", "int_parsing"),
        ("/api/products?limit=1&limit=1", "limit", "repeated"),
        ("/api/products?sort=colour", "sort", "literal_error"),
        ("/api/products?q=a%00b", "q", "nul_character"),
        (f"/api/products/{PRODUCT_ID}?q=tea", "q", "extra_forbidden"),
        ("/health?x=1", "x", "extra_forbidden"),
    ],
)
def test_unfit_query_is_422_and_named(target: str, field: str, code: str) -> None:
    client = Client()
    problem = problem_of(client.ask("GET", target), 422, "invalid")
    assert [(error["field"], error["code"]) for error in problem["errors"]] == [(field, code)]
    assert client.shop.asked == []


def test_query_of_a_route_with_a_body_is_refused() -> None:
    response = Client().as_staff("POST", "/api/products?draft=true", json_body=NEW_PRODUCT)
    problem_of(response, 422, "invalid")


@pytest.mark.parametrize("query", ["q=%ff", "q=%ed%a0%80", "&".join(["a=1"] * 51)])
def test_query_that_cannot_be_read_is_400(query: str) -> None:
    problem_of(Client().ask("GET", f"/api/products?{query}"), 400, "malformed_query")


@pytest.mark.parametrize(
    "query", ["version=3&at=2026-11-21T08:30:00Z", "version=0", "version=x", "at=yesterday", "at=2026-11-21T08:30:00"]
)
def test_impossible_moment_of_an_order_is_422(query: str) -> None:
    client = Client()
    problem_of(client.as_staff("GET", f"/api/orders/{ORDER_ID}?{query}"), 422, "invalid")
    assert client.shop.asked == []


def test_stock_of_an_unknown_product_is_404_and_changes_nothing() -> None:
    client = Client()
    unknown = PRODUCT_ID[:-1] + "1"
    response = client.as_staff("PUT", f"/api/warehouses/{WAREHOUSE_ID}/stock/{unknown}", json_body={"on_hand": 5})
    problem_of(response, 404, "product_not_found")
    assert client.shop.stock == []


def test_availability_of_an_unknown_product_is_404() -> None:
    problem_of(Client().ask("GET", f"/api/products/{PRODUCT_ID[:-1]}1/availability"), 404, "product_not_found")
