"""Every route, asked as it should be."""

from typing import Any

import pytest

from gateway.routes import ROUTES
from gateway.routing import Router
from tests.unit.gateway.client import STAFF_TOKEN, Client, problem_of, told
from tests.unit.gateway.companies import NEW_COMPANY
from tests.unit.gateway.people import PASSWORD
from tests.unit.gateway.shop import (
    CATEGORY_ID,
    NEW_PRODUCT,
    ORDER_ID,
    ORDER_REQUEST,
    ORDER_TOKEN,
    PAYMENT_ID,
    PRODUCT_ID,
    REFUND_ID,
    WAREHOUSE_ID,
    WEBHOOK_ID,
    Shop,
)
from tests.unit.gateway.signing import COMPANY_ID, ROLES, USER_IDS, access_token

NEW_WAREHOUSE = {"code": "JKT", "name": "Jakarta", "latitude": -6, "longitude": 106.8}
SETTLED = {"reference": " bank transfer 123 ", "note": "in Bandung"}
REFUND = {"amount": {"amount": 100, "currency": "IDR"}, "reason": "broken"}
KEY = {"idempotency-key": "k-1"}
SIGNED = {"x-signature": "good"}
SEEN = {"if-match": '"3"'}
SIGN_IN = {"email": "siti@example.com", "password": PASSWORD}
NEW_PASSWORD = {"current_password": PASSWORD, "new_password": "sandi yang baru"}
NEW_MEMBER = {"email": "budi@example.com", "role": "buyer", "spending_limit": {"amount": 100, "currency": "IDR"}}
COMPANY = f"/api/companies/{COMPANY_ID}"
MEMBER = f"{COMPANY}/members/{USER_IDS['buyer']}"

Good = tuple[str, str, str, Any, dict[str, str], int]
GOOD: list[Good] = [
    ("guest", "GET", "/health", None, {}, 200),
    ("guest", "GET", "/openapi.json", None, {}, 200),
    ("guest", "GET", "/docs", None, {}, 200),
    ("guest", "GET", "/api/products?q=tea&sort=-price&limit=5&min_price=1", None, {}, 200),
    ("guest", "GET", f"/api/products/{PRODUCT_ID}", None, {}, 200),
    ("staff", "POST", "/api/products", NEW_PRODUCT, {}, 201),
    ("staff", "PATCH", f"/api/products/{PRODUCT_ID}", {"name": "Black tea"}, {"if-match": '"3"'}, 200),
    ("staff", "DELETE", f"/api/products/{PRODUCT_ID}", None, {}, 204),
    ("guest", "GET", "/api/categories", None, {}, 200),
    ("staff", "POST", "/api/categories", {"name": "Drinks"}, {}, 201),
    ("staff", "PATCH", f"/api/categories/{CATEGORY_ID}", {"name": "Teas"}, {"if-match": '"3"'}, 200),
    ("staff", "DELETE", f"/api/categories/{CATEGORY_ID}", None, {}, 204),
    ("guest", "GET", f"/api/products/{PRODUCT_ID}/availability", None, {}, 200),
    ("staff", "GET", "/api/warehouses", None, {}, 200),
    ("staff", "POST", "/api/warehouses", NEW_WAREHOUSE, {}, 201),
    ("staff", "PUT", f"/api/warehouses/{WAREHOUSE_ID}/stock/{PRODUCT_ID}", {"on_hand": 5}, {}, 200),
    ("staff", "GET", "/api/inventory?low=true", None, {}, 200),
    ("guest", "POST", "/api/orders", ORDER_REQUEST, KEY, 202),
    ("staff", "GET", "/api/orders?status=confirmed", None, {}, 200),
    ("owner", "GET", f"/api/orders/{ORDER_ID}", None, {}, 200),
    ("staff", "GET", f"/api/orders/{ORDER_ID}", None, {}, 200),
    ("owner", "GET", f"/api/orders/{ORDER_ID}/events", None, {}, 200),
    ("staff", "GET", f"/api/payments/{PAYMENT_ID}", None, {}, 200),
    ("owner", "GET", f"/api/payments/{PAYMENT_ID}", None, {}, 200),
    ("staff", "POST", f"/api/payments/{PAYMENT_ID}/refunds", REFUND, KEY, 201),
    ("staff", "GET", "/api/refunds?status=due&limit=5", None, {}, 200),
    ("staff", "POST", f"/api/refunds/{REFUND_ID}/settle", SETTLED, KEY, 200),
    ("staff", "GET", "/api/ledger", None, {}, 200),
    ("owner", "POST", f"/api/sandbox/payments/{PAYMENT_ID}/settle", None, {}, 200),
    ("staff", "POST", f"/api/sandbox/payments/{PAYMENT_ID}/fail", None, {}, 200),
    ("staff", "GET", "/api/sandbox/charges", None, {}, 200),
    ("staff", "GET", "/api/webhooks?status=failed&limit=5", None, {}, 200),
    ("staff", "POST", f"/api/webhooks/{WEBHOOK_ID}/run", None, {}, 200),
    ("guest", "POST", "/api/webhooks/xendit", {"id": "evt_1"}, SIGNED, 200),
    ("guest", "POST", "/api/webhooks/mpesa/a-secret-path", {"Body": {}}, SIGNED, 200),
    ("customer", "GET", "/api/orders?status=awaiting_approval", None, {}, 200),
    ("customer", "GET", f"/api/orders/{ORDER_ID}", None, {}, 200),
    ("buyer", "POST", f"/api/orders/{ORDER_ID}/approve", None, {}, 200),
    ("buyer", "POST", f"/api/orders/{ORDER_ID}/refuse", {"reason": "too dear"}, {}, 200),
    ("guest", "GET", "/.well-known/jwks.json", None, {}, 200),
    ("guest", "POST", "/api/auth/register", {**SIGN_IN, "name": "Siti"}, {}, 201),
    ("guest", "POST", "/api/auth/login", SIGN_IN, {}, 200),
    ("guest", "POST", "/api/auth/refresh", {"refresh_token": "refresh-1"}, {}, 200),
    ("guest", "POST", "/api/auth/logout", {"refresh_token": "refresh-1"}, {}, 204),
    ("customer", "POST", "/api/auth/logout", {"everywhere": True}, {}, 204),
    ("admin", "POST", "/api/signing-keys/rotate", None, {}, 200),
    ("customer", "GET", "/api/users/me", None, {}, 200),
    ("staff", "PATCH", "/api/users/me", {"name": "Siti Rahma"}, SEEN, 200),
    ("buyer", "POST", "/api/users/me/password", NEW_PASSWORD, {}, 204),
    ("admin", "GET", "/api/users?role=staff&email=siti@example.com", None, {}, 200),
    ("admin", "GET", f"/api/users/{USER_IDS['staff']}", None, {}, 200),
    ("admin", "PATCH", f"/api/users/{USER_IDS['staff']}", {"disabled": True}, SEEN, 200),
    ("admin", "GET", f"/api/audit?subject={USER_IDS['staff']}", None, {}, 200),
    ("customer", "POST", "/api/companies", NEW_COMPANY, {}, 201),
    ("staff", "GET", "/api/companies?status=pending", None, {}, 200),
    ("buyer", "GET", COMPANY, None, {}, 200),
    ("staff", "POST", f"{COMPANY}/approve", None, {}, 200),
    ("admin", "POST", f"{COMPANY}/reject", {"reason": "unknown tax id"}, {}, 200),
    ("buyer", "POST", f"{COMPANY}/members", NEW_MEMBER, {}, 201),
    ("buyer", "PATCH", MEMBER, {"role": "approver"}, SEEN, 200),
    ("buyer", "DELETE", MEMBER, None, {}, 204),
]
TOKENS: dict[str, str | None] = {
    "guest": None,
    "owner": ORDER_TOKEN,
    **{role: access_token(role) for role in ROLES},
    "staff": STAFF_TOKEN,
}


@pytest.mark.parametrize("good", GOOD, ids=lambda good: " ".join(good[:3]))
def test_good_request_is_answered(good: Good) -> None:
    who, method, target, body, headers, status = good
    response = Client().ask(method, target, json_body=body, headers=headers, token=TOKENS[who])
    assert response.status == status, response.text


def test_every_route_has_a_good_request() -> None:
    router = Router(ROUTES)
    asked = {router.find(method, target.partition("?")[0])[0] for _, method, target, *_ in GOOD}
    assert asked == set(ROUTES)


@pytest.mark.parametrize("path", ["/openapiXjson", "/Xwell-known/jwks.json", "/.well-known/jwks-json", "/health\n"])
def test_path_that_differs_in_a_character_leads_nowhere(path: str) -> None:
    client = Client()
    problem_of(client.ask("GET", path), 404, "not_found")
    assert client.shop.asked == []


def test_list_is_passed_on_as_the_service_wrote_it() -> None:
    response = Client().ask("GET", "/api/products")
    assert told(response)["items"][0]["id"] == PRODUCT_ID
    assert told(response)["next_cursor"] is None
    assert response.headers["content-type"] == "application/json"


def test_fields_that_hold_nothing_are_left_out() -> None:
    assert "retail_price" not in told(Client().ask("GET", f"/api/products/{PRODUCT_ID}"))


def test_new_product_says_where_it_is_and_its_version() -> None:
    response = Client().as_staff("POST", "/api/products", json_body=NEW_PRODUCT)
    assert response.headers["location"] == f"/api/products/{PRODUCT_ID}"
    assert response.headers["etag"].startswith('"1-')


def test_deleted_product_is_answered_without_a_body() -> None:
    assert Client().as_staff("DELETE", f"/api/products/{PRODUCT_ID}").text is None


def test_category_is_answered_with_its_version_and_asked_for_by_the_id_of_the_path() -> None:
    client = Client()
    made = client.as_staff("POST", "/api/categories", json_body={"name": "Drinks"})
    assert made.headers["etag"] == '"1"'
    path, held = f"/api/categories/{CATEGORY_ID}", {"if-match": '"3"'}
    renamed = client.as_staff("PATCH", path, json_body={"name": "Teas"}, headers=held)
    assert (told(renamed)["name"], renamed.headers["etag"]) == ("Teas", '"4"')
    assert client.as_staff("DELETE", path).text is None
    assert [method for method, _ in client.shop.asked][1:] == [
        f"change_category {CATEGORY_ID}",
        f"delete_category {CATEGORY_ID}",
    ]


def test_stock_count_reaches_inventory_with_the_ids_of_the_path() -> None:
    client = Client()
    count = {"on_hand": 9, "low_stock_threshold": 2, "expected_on_hand": 5}
    response = client.as_staff("PUT", f"/api/warehouses/{WAREHOUSE_ID}/stock/{PRODUCT_ID}", json_body=count)
    assert told(response)["on_hand"] == 9
    (recorded,) = client.shop.stock
    assert (recorded.warehouse_id, recorded.product_id) == (WAREHOUSE_ID, PRODUCT_ID)
    assert (recorded.on_hand, recorded.low_stock_threshold, recorded.expected_on_hand) == (9, 2, 5)


def test_low_stock_filter_reaches_inventory() -> None:
    client = Client()
    client.as_staff("GET", "/api/inventory?low=true")
    client.as_staff("GET", "/api/inventory")
    assert [method for method, _ in client.shop.asked] == ["list_stock low=True", "list_stock low=False"]


def test_placed_order_says_where_it_is_and_gives_its_access_token() -> None:
    response = Client().ask("POST", "/api/orders", json_body=ORDER_REQUEST, headers=KEY)
    assert response.headers["location"] == f"/api/orders/{ORDER_ID}"
    assert told(response)["access_token"] == ORDER_TOKEN
    assert "idempotent-replayed" not in response.headers


def test_repeated_order_is_answered_the_same_and_says_so() -> None:
    client = Client()
    first = client.ask("POST", "/api/orders", json_body=ORDER_REQUEST, headers=KEY)
    second = client.ask("POST", "/api/orders", json_body=ORDER_REQUEST, headers=KEY)
    assert second.headers["idempotent-replayed"] == "true"
    assert (second.status, second.text) == (first.status, first.text)


def test_order_is_asked_for_at_a_version_or_a_time() -> None:
    client = Client()
    client.as_staff("GET", f"/api/orders/{ORDER_ID}?version=3")
    client.as_staff("GET", f"/api/orders/{ORDER_ID}?at=2026-11-21T08:30:00%2B07:00")
    assert [method for method, _ in client.shop.asked] == [
        "get_order version=3 at=None",
        "get_order version=None at=2026-11-21 01:30:00+00:00",
    ]


def test_refund_reaches_payment_with_its_key() -> None:
    client = Client()
    response = client.as_staff("POST", f"/api/payments/{PAYMENT_ID}/refunds", json_body=REFUND, headers=KEY)
    assert told(response)["payment"]["id"] == PAYMENT_ID
    assert client.shop.asked[0][0] == "refund k-1"


def test_repeated_refund_is_answered_the_same_and_says_so_in_a_header() -> None:
    client = Client()
    path = f"/api/payments/{PAYMENT_ID}/refunds"
    first = client.as_staff("POST", path, json_body=REFUND, headers=KEY)
    second = client.as_staff("POST", path, json_body=REFUND, headers=KEY)
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert (second.status, second.text) == (first.status, first.text)
    assert set(told(first)) == {"id", "amount", "reason", "kind", "status", "payment"}


def test_settlement_reaches_payment_and_its_repetition_says_so() -> None:
    client = Client()
    path = f"/api/refunds/{REFUND_ID}/settle"
    first, second = (client.as_staff("POST", path, json_body=SETTLED, headers=KEY) for _ in range(2))
    assert client.shop.asked[0][0] == f"settle {REFUND_ID} k-1 bank transfer 123 in Bandung"
    assert (first.status, second.status, first.text) == (200, 200, second.text)
    assert ("idempotent-replayed" in first.headers, second.headers["idempotent-replayed"]) == (False, "true")
    assert told(first)["paid_by_hand"] == "bank transfer 123"


@pytest.mark.parametrize(
    "body", [{}, {"reference": ""}, {"reference": " "}, {"reference": "x" * 201}, {"reference": "1", "note": ""},
             {"reference": "1", "amount": 5}],
)  # fmt: skip
def test_settlement_without_a_reference_or_with_more_than_is_known_is_422(body: dict[str, Any]) -> None:
    client = Client()
    path = f"/api/refunds/{REFUND_ID}/settle"
    assert client.as_staff("POST", path, json_body=body, headers=KEY).status == 422
    assert client.as_staff("POST", path, json_body=SETTLED).status == 400
    assert client.as_staff("GET", "/api/refunds?status=lost").status == 422
    assert client.shop.asked == []


def test_every_call_carries_who_asks_the_trace_and_a_deadline() -> None:
    client = Client(Shop())
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    client.as_staff("GET", "/api/warehouses", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    (call,) = client.shop.calls
    assert call.principal.kind == "staff"
    assert call.traceparent.split("-")[1] == trace
    assert call.deadline_ms > 10_000
