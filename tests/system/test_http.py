"""What every answer of the gateway has, and how it refuses what it cannot do."""

import uuid

import pytest

from tests.system.shop import JAKARTA, Body, Shop, order_of, problem

BODY_LIMIT_BYTES = 1_000_000
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
JSON = {"content-type": "application/json"}
NO_PRODUCT = "prd_00000000000000000000000000"
UNKNOWN_PATHS = ("/", "/api", "/api/nothing", "/api/products/not-an-id", "/api/orders/%00", "/API/products")
WRONG_METHODS = (("DELETE", "/api/orders"), ("POST", "/health"), ("PUT", "/api/products"), ("PATCH", "/api/orders"))


def _new_product() -> Body:
    price: Body = {"amount": 12_500_00, "currency": "IDR"}
    return {"sku": f"T-{uuid.uuid4().hex[:16]}", "name": "Gula uji", "retail_price": price, "wholesale_price": price}


def test_health_tells_of_every_service(shop: Shop) -> None:
    report = shop.ask("GET", "/health").json()
    assert (report["status"], report["service"], report["environment"]) == ("ok", "gateway", "local")
    assert set(report["services"]) >= {"product", "inventory", "payment", "order"}
    for service in report["services"].values():
        assert (service["status"], service["database"]) == ("ok", "ok")
        assert service["database_ms"] >= 0


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
def test_unknown_path_is_a_problem(shop: Shop, path: str) -> None:
    told = problem(shop.ask("GET", path), 404, "not_found")
    assert told.model_extra is not None
    assert told.model_extra["trace_id"]


def test_thing_that_does_not_exist_is_a_problem(shop: Shop) -> None:
    problem(shop.ask("GET", f"/api/products/{NO_PRODUCT}"), 404, "product_not_found")
    problem(shop.ask("GET", f"/api/products/{NO_PRODUCT}/availability"), 404, "product_not_found")


@pytest.mark.parametrize(("method", "path"), WRONG_METHODS)
def test_wrong_method_is_a_problem_that_names_the_right_ones(shop: Shop, method: str, path: str) -> None:
    response = shop.ask(method, path, {})
    problem(response, 405, "method_not_allowed")
    allowed = response.headers["allow"].split(", ")
    assert "GET" in allowed
    assert method not in allowed


def test_body_over_the_limit_is_refused(shop: Shop) -> None:
    body = b'{"email": "' + b"a" * BODY_LIMIT_BYTES + b'"}'
    headers = {**JSON, "idempotency-key": str(uuid.uuid4())}
    problem(shop.ask("POST", "/api/orders", content=body, headers=headers), 413, "content_too_large")


def test_body_of_another_kind_is_refused(shop: Shop) -> None:
    headers = {"content-type": "text/plain", "idempotency-key": str(uuid.uuid4())}
    problem(shop.ask("POST", "/api/orders", content=b"{}", headers=headers), 415, "unsupported_media_type")


@pytest.mark.parametrize("content", [b"", b"{", b"[1,]", b'{"items": NaN}', b"\xff\xfe", b"[" * 100_000])
def test_body_that_is_not_json_is_refused(shop: Shop, content: bytes) -> None:
    headers = {**JSON, "idempotency-key": str(uuid.uuid4())}
    problem(shop.ask("POST", "/api/orders", content=content, headers=headers), 400, "malformed_json")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("coupon", {"coupon": "HEMAT10"}),
        ("items", {"items": []}),
        ("email", {"email": "nobody"}),
        ("payment.token", {"payment": {"provider": "sandbox", "method": "card"}}),
        ("items.0.quantity", {"items": [{"product_id": NO_PRODUCT, "quantity": 0}]}),
        ("items.0.quantity", {"items": [{"product_id": NO_PRODUCT, "quantity": -1}]}),
        ("items.0.quantity", {"items": [{"product_id": NO_PRODUCT, "quantity": 1.5}]}),
        ("items.0.quantity", {"items": [{"product_id": NO_PRODUCT, "quantity": "1"}]}),
        ("items.0.product_id", {"items": [{"product_id": "1 OR 1=1", "quantity": 1}]}),
    ],
)
def test_order_with_an_unfit_field_is_refused_and_the_field_named(shop: Shop, field: str, change: Body) -> None:
    told = problem(shop.send_order(order_of({NO_PRODUCT: 1}) | change), 422, "invalid")
    assert told.model_extra is not None
    assert field in [error["field"] for error in told.model_extra["errors"]]


def test_page_of_another_origin_may_call(shop: Shop) -> None:
    headers = {
        "origin": "https://toko.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, idempotency-key",
    }
    preflight = shop.ask("OPTIONS", "/api/orders", headers=headers)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    allowed = preflight.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "idempotency-key"} <= set(allowed)
    for path in ("/api/products", "/api/nothing"):
        answer = shop.ask("GET", path, headers={"origin": "https://toko.example"})
        assert answer.headers["access-control-allow-origin"] == "*"


def test_every_answer_carries_its_request_and_trace(shop: Shop) -> None:
    for path in ("/api/products", "/api/nothing"):
        headers = {"x-request-id": "check-1", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        answer = shop.ask("GET", path, headers=headers)
        assert answer.headers["x-request-id"] == "check-1"
        assert answer.headers["traceparent"].split("-")[1] == TRACE
        assert "dur=" in answer.headers["server-timing"]
    first, second = (shop.ask("GET", "/api/products").headers["x-request-id"] for _ in range(2))
    assert first != second


def test_product_is_changed_only_by_who_has_seen_its_latest_version(shop: Shop) -> None:
    made = shop.ask("POST", "/api/products", _new_product(), headers=shop.as_staff)
    path = made.headers["location"]
    tag = made.headers["etag"]
    renamed = {"name": "Gula uji baru"}
    problem(shop.ask("PATCH", path, renamed, headers=shop.as_staff), 428, "precondition_required")
    changed = shop.ask("PATCH", path, renamed, headers={**shop.as_staff, "if-match": tag})
    assert (changed.status_code, changed.json()["name"]) == (200, "Gula uji baru")
    assert changed.headers["etag"] != tag
    problem(shop.ask("PATCH", path, renamed, headers={**shop.as_staff, "if-match": tag}), 412, "stale_version")
    unchanged = shop.ask("GET", path, headers={**shop.as_staff, "if-none-match": changed.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_category_is_renamed_by_who_has_seen_it_and_deleted_when_it_is_empty(shop: Shop) -> None:
    named = {"name": f"Teh {uuid.uuid4().hex[:8]}"}
    made = shop.ask("POST", "/api/categories", named, headers=shop.as_staff)
    path, held = f"/api/categories/{made.json()['id']}", {**shop.as_staff, "if-match": made.headers["etag"]}
    renamed = {"name": f"Kopi {uuid.uuid4().hex[:8]}"}
    problem(shop.ask("PATCH", path, renamed, headers=shop.as_staff), 428, "precondition_required")
    changed = shop.ask("PATCH", path, renamed, headers=held)
    assert (changed.status_code, changed.json()["name"], changed.headers["etag"]) == (200, renamed["name"], '"2"')
    problem(shop.ask("PATCH", path, named, headers=held), 412, "stale_version")
    body = _new_product() | {"category_id": made.json()["id"]}
    product = shop.ask("POST", "/api/products", body, headers=shop.as_staff).headers["location"]
    problem(shop.ask("DELETE", path, headers=shop.as_staff), 409, "category_in_use")
    assert shop.ask("DELETE", product, headers=shop.as_staff).status_code == 204
    assert shop.ask("DELETE", path, headers=shop.as_staff).status_code == 204
    problem(shop.ask("DELETE", path, headers=shop.as_staff), 404, "category_not_found")


def test_second_product_with_a_sku_is_refused(shop: Shop) -> None:
    body = _new_product()
    assert shop.ask("POST", "/api/products", body, headers=shop.as_staff).status_code == 201
    problem(shop.ask("POST", "/api/products", body, headers=shop.as_staff), 409, "sku_taken")


def test_guest_sees_one_price_and_staff_see_both(shop: Shop) -> None:
    product = shop.make_product()
    guest = shop.ask("GET", f"/api/products/{product.id}").json()
    staff = shop.ask("GET", f"/api/products/{product.id}", headers=shop.as_staff).json()
    assert guest["price"] == staff["retail_price"] == product.price.model_dump()
    assert {"retail_price", "wholesale_price"}.isdisjoint(guest)
    assert staff["wholesale_price"]["amount"] < staff["retail_price"]["amount"]


@pytest.mark.parametrize("token", ["wrong", "Bearer", "a b", "'"])
def test_wrong_staff_token_is_refused_and_changes_nothing(shop: Shop, token: str) -> None:
    latitude, longitude = JAKARTA
    code = f"T-{uuid.uuid4().hex[:12].upper()}"
    body = {"code": code, "name": "Palsu", "latitude": latitude, "longitude": longitude}
    answer = shop.ask("POST", "/api/warehouses", body, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    listed = shop.ask("GET", "/api/warehouses", headers=shop.as_staff).json()["items"]
    assert code not in [warehouse["code"] for warehouse in listed]


def test_api_describes_itself(shop: Shop) -> None:
    described = shop.ask("GET", "/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert {"get", "post"} <= set(described["paths"]["/api/orders"])
    pages = shop.ask("GET", "/docs")
    assert pages.status_code == 200
    assert pages.headers["content-type"].startswith("text/html")
