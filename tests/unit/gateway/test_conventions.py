"""What every response carries, HEAD and OPTIONS, and which pages may call."""

import dataclasses
import re

import pytest

from gateway.http import split_url
from shared_kernel.clock import from_milliseconds
from shared_kernel.rpc import CircuitBreaker
from tests.unit.gateway.client import SETTINGS, Client
from tests.unit.gateway.shop import PRODUCT_ID

PRODUCT = f"/api/products/{PRODUCT_ID}"
ORIGIN = "https://shop.example"


@pytest.mark.parametrize("target", [PRODUCT, "/nowhere", "/api/warehouses", "/api/products?limit=0", "/docs"])
def test_every_response_carries_its_id_its_trace_and_its_times(target: str) -> None:
    headers = Client().ask("GET", target).headers
    assert re.fullmatch(r"req_[0-9A-Z]{26}", headers["x-request-id"])
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", headers["traceparent"])
    assert re.search(r"total;dur=\d+$", headers["server-timing"])
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_server_timing_names_each_call() -> None:
    timing = Client().ask("GET", f"{PRODUCT}/availability").headers["server-timing"]
    assert re.fullmatch(r"product;dur=7, inventory;dur=7, total;dur=\d+", timing)
    assert Client().as_staff("GET", "/api/warehouses").headers["server-timing"].startswith("inventory-admin;dur=7,")


def test_circuit_that_is_not_closed_is_told_with_its_time() -> None:
    breaker, clock = CircuitBreaker(), from_milliseconds(0)
    for _ in range(3):
        breaker.failed(0)
    client = Client(breakers={"PRODUCT": breaker, "INVENTORY": CircuitBreaker()}, clock=lambda: clock)
    timing = client.ask("GET", f"{PRODUCT}/availability").headers["server-timing"]
    assert timing == 'product;dur=7;desc="open", inventory;dur=7, total;dur=0'
    clock = from_milliseconds(60_000)
    assert 'product;dur=7;desc="half-open"' in client.ask("GET", PRODUCT).headers["server-timing"]


def test_browsers_are_held_to_https_everywhere_but_on_a_laptop() -> None:
    assert "strict-transport-security" not in Client().ask("GET", PRODUCT).headers
    for environment in ("staging", "production"):
        client = Client(settings=dataclasses.replace(SETTINGS, environment=environment))
        assert client.ask("GET", "/nowhere").headers["strict-transport-security"].startswith("max-age=63072000")


@pytest.mark.parametrize("sent", ["abc", "a" * 128, "01J-req.5:x/y=@z~_+"])
def test_sane_request_id_is_kept(sent: str) -> None:
    assert Client().ask("GET", "/nowhere", headers={"x-request-id": sent}).headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", ["", "a" * 129, "a b", "a\r\nset-cookie: b", "\u00e9", "<script>"])
def test_strange_request_id_is_replaced(sent: str) -> None:
    assert Client().ask("GET", "/nowhere", headers={"x-request-id": sent}).headers["x-request-id"].startswith("req_")


def test_trace_goes_on_under_a_new_parent() -> None:
    sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answered = Client().ask("GET", "/nowhere", headers={"traceparent": sent}).headers["traceparent"]
    assert answered.split("-")[1] == sent.split("-")[1]
    assert answered.split("-")[2] != sent.split("-")[2]


@pytest.mark.parametrize("target", [PRODUCT, "/api/products", "/nowhere", "/api/warehouses"])
def test_head_is_get_without_a_body(target: str) -> None:
    head, get = Client().ask("HEAD", target), Client().ask("GET", target)
    assert head.text is None
    assert get.text
    assert head.status == get.status
    assert set(head.headers) == set(get.headers)


def test_what_is_told_to_one_caller_is_not_kept_for_another() -> None:
    assert Client().ask("GET", PRODUCT).headers["cache-control"] == "private, no-cache"
    assert Client().ask("GET", PRODUCT).headers["vary"] == "Authorization"
    assert Client().as_staff("GET", "/api/warehouses").headers["cache-control"] == "no-store"


def test_options_tells_the_methods_of_a_path() -> None:
    response = Client().ask("OPTIONS", PRODUCT)
    assert (response.status, response.text) == (204, None)
    assert response.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH"


def test_any_page_may_call_where_the_setting_is_a_star() -> None:
    headers = Client().ask("GET", PRODUCT, headers={"origin": ORIGIN}).headers
    assert headers["access-control-allow-origin"] == "*"
    assert {"etag", "location", "idempotent-replayed", "x-request-id", "ratelimit", "ratelimit-policy", "age"} <= set(
        headers["access-control-expose-headers"].split(", ")
    )


def test_only_listed_pages_may_call_where_the_setting_is_a_list() -> None:
    client = Client(settings=dataclasses.replace(SETTINGS, cors_origins=f"https://a.example, {ORIGIN}"))
    listed = client.ask("GET", PRODUCT, headers={"origin": ORIGIN}).headers
    assert listed["access-control-allow-origin"] == ORIGIN
    assert listed["vary"] == "Authorization, Origin"
    for origin in ("https://evil.example", f"{ORIGIN}.evil.example", "null", ""):
        other = client.ask("GET", PRODUCT, headers={"origin": origin}).headers
        assert "access-control-allow-origin" not in other
        assert other["vary"] == "Authorization, Origin"


def test_no_page_may_call_where_the_setting_is_empty() -> None:
    client = Client(settings=dataclasses.replace(SETTINGS, cors_origins=""))
    for origin in (ORIGIN, ""):
        headers = client.ask("GET", PRODUCT, headers={"origin": origin}).headers
        assert "access-control-allow-origin" not in headers


def test_preflight_is_answered_before_any_token_is_asked_for() -> None:
    asked = {"origin": ORIGIN, "access-control-request-method": "POST"}
    headers = Client().ask("OPTIONS", "/api/warehouses", headers=asked).headers
    assert headers["access-control-allow-origin"] == "*"
    assert "POST" in headers["access-control-allow-methods"]
    assert {"authorization", "idempotency-key", "if-match"} <= set(headers["access-control-allow-headers"].split(", "))


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://localhost:8787/", ("http://localhost:8787", "/", "")),
        ("https://shop.example/api/products?q=a?b/c", ("https://shop.example", "/api/products", "q=a?b/c")),
        ("https://shop.example//double", ("https://shop.example", "//double", "")),
        ("https://shop.example/?", ("https://shop.example", "/", "")),
    ],
)
def test_url_is_split_into_origin_path_and_query(url: str, parts: tuple[str, str, str]) -> None:
    assert split_url(url) == parts
