"""What the internet sends: malformed and hostile requests get a clear 4xx and change nothing."""

import json
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.routes import ROUTES
from gateway.routing import Route
from tests.system.people import PASSWORD, People, Person
from tests.system.shop import Body, Shop, order_of
from tests.system.test_access import path_of

pytestmark = pytest.mark.untouched

NO_PRODUCT = "prd_00000000000000000000000000"
HOSTILE: tuple[object, ...] = (
    "'; DROP TABLE users; --",
    "1 OR 1=1",
    "a\r\nset-cookie: x=1",
    "a\x00b",
    "%00%0d%0a",
    "../../../../etc/passwd",
    "<script>alert(1)</script>",
    "${jndi:ldap://127.0.0.1/a}",
    "\u202e\ufeff\U0001f600" * 50,
    "a" * 100_000,
    10**400,
    -(2**63),
    2**53,
    1e308,
    True,
    None,
    [],
    {},
    [[[[[]]]]],
)
LARGEST_TAKEN = 4096
LISTED_WITHIN_SECONDS = 60
LISTS = ("products", "warehouses", "categories", "inventory", "orders", "users", "companies", "refunds", "ledger")


@pytest.fixture(scope="module")
def lists(shop: Shop, people: People) -> dict[str, Any]:
    """What an admin can list of a shop that has some of everything, and in which nothing goes on any more."""
    shop.make_category("Kopi uji")
    people.found_company(people.customer())
    order = shop.wait_until_ended(shop.place_order(order_of({shop.make_product(on_hand=1).id: 1})))
    shop.refund(str(order.payment.id), order.total, str(uuid.uuid4()))
    shop.wait_until(order, lambda order: order.payment.status == "refunded")
    give_up = time.monotonic() + LISTED_WITHIN_SECONDS
    while True:
        told = listed(shop, people)
        if any(one["status"] == order.status for one in told["orders"]["items"]):
            break
        assert time.monotonic() < give_up, told["orders"]
        time.sleep(0.5)
    assert all(told[name]["items"] for name in LISTS), told
    return told


def listed(shop: Shop, people: People) -> dict[str, Any]:
    """Everything that an admin can list."""
    answers = {name: shop.ask("GET", f"/api/{name}", headers=people.admin.headers) for name in LISTS}
    assert {answer.status_code for answer in answers.values()} == {200}
    return {name: answer.json() for name, answer in answers.items()}


def bodied() -> list[Route[Any]]:
    """Every route that takes JSON."""
    return [route for route in ROUTES if route.takes == "json"]


def headers_for(person: Person, route: Route[Any]) -> dict[str, str]:
    """An admin's request that lacks nothing but a sensible body."""
    return {
        **person.headers,
        "content-type": "application/json",
        "idempotency-key": str(uuid.uuid4()),
        "if-match": '"1"',
    }


def variants(route: Route[Any]) -> Iterator[bytes]:
    """Bodies with each hostile value in each field that the route knows, and in one that it does not."""
    fields = [*route.input.model_fields, "x-unknown"]
    for value in HOSTILE:
        yield json.dumps(dict.fromkeys(fields, value)).encode()
    yield from (b"", b"null", b"[]", b'"text"', b"{", b'{"a": 1, "a": 2}', b"\xff\xfe\x00", b'{"name": "\\ud800"}')
    yield b"[" * 50_000
    yield b'{"a":' * 500 + b"1" + b"}" * 500


@pytest.mark.parametrize("route", bodied(), ids=lambda route: f"{route.method} {route.path}")
def test_hostile_body_is_refused_clearly_and_changes_nothing(
    shop: Shop, people: People, lists: dict[str, Any], route: Route[Any]
) -> None:
    for content in variants(route):
        answer = shop.ask(route.method, path_of(route), content=content, headers=headers_for(people.admin, route))
        assert 400 <= answer.status_code < 500, f"{content[:100]!r}: {answer.status_code} {answer.text[:300]}"
        assert answer.headers["content-type"] == "application/problem+json"
        assert "set-cookie" not in answer.headers
    assert listed(shop, people) == lists


ADDRESS: Body = {"line1": "Jalan Gudang 1", "city": "Surabaya", "postal_code": "60111", "country": "ID"}
ADMIN: Body = {"email": "siapa@example.com", "password": PASSWORD, "name": "Siapa"}
MONEY: Body = {"amount": 1_000, "currency": "IDR"}
SENSIBLE: dict[str, Body] = {
    "/api/orders": {**order_of({NO_PRODUCT: 1})},
    "/api/auth/register": {**ADMIN},
    "/api/auth/login": {"email": "siapa@example.com", "password": "salah sama sekali"},
    "/api/companies": {"name": "PT Uji", "tax_id": "NPWP-1", "address": {**ADDRESS}},
    "/api/products": {"sku": "U-1", "name": "Uji", "retail_price": {**MONEY}, "wholesale_price": {**MONEY}},
    "/api/categories": {"name": "Uji"},
    "/api/warehouses": {"code": "UJI", "name": "Uji", "latitude": 0.5, "longitude": 0.5},
}
BREAKING: tuple[object, ...] = ("a\r\nset-cookie: x=1", "a\x00b", "a\x1bb", 10**400, True, [], {}, None)


def leaves(body: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of all values of a body that hold no further ones."""
    if isinstance(body, dict | list):
        for key, value in body.items() if isinstance(body, dict) else enumerate(body):
            yield from leaves(value, (*path, key))
    else:
        yield path


def replaced(body: Body, path: tuple[str | int, ...], value: object) -> Body:
    """The body with another value in this place."""
    copy: Body = json.loads(json.dumps(body))
    within: Any = copy
    for key in path[:-1]:
        within = within[key]
    within[path[-1]] = value
    return copy


@pytest.mark.parametrize("path", SENSIBLE)
def test_no_field_takes_what_breaks_a_line_or_is_of_another_kind(shop: Shop, people: People, path: str) -> None:
    who = people.customer() if path == "/api/companies" else people.admin
    for place in leaves(SENSIBLE[path]):
        # A password is whatever its owner wants, and never shown.
        for value in [one for one in BREAKING if "password" not in place or not isinstance(one, str)]:
            headers = {**who.headers, "idempotency-key": str(uuid.uuid4())}
            answer = shop.ask("POST", path, replaced(SENSIBLE[path], place, value), headers=headers)
            assert answer.status_code in (400, 422), f"{place} {value!r:.40}: {answer.status_code}"


@pytest.mark.parametrize(
    "name", ["'; DROP TABLE orders; --", "1 OR 1=1", "<script>alert(1)</script>", "${jndi:x}", "%s"]
)
def test_text_that_means_something_elsewhere_is_kept_as_it_is(shop: Shop, name: str) -> None:
    body = order_of({shop.make_product(on_hand=1).id: 1})
    order = shop.wait_until_ended(shop.place_order(replaced(body, ("shipping_address", "name"), name)))
    assert (order.status, order.shipping_address.name) == ("confirmed", name)


@pytest.mark.parametrize("value", ["'", "%00", "%0d%0aset-cookie:%20x=1", "..%2f..%2f", "%f0%9f%98%80", "a" * 5_000])
def test_hostile_id_leads_nowhere(shop: Shop, people: People, value: str) -> None:
    for route in ROUTES:
        if not route.parameters:
            continue
        path = route.path
        for parameter in route.parameters:
            path = path.replace(f"{{{parameter}}}", value)
        headers = headers_for(people.admin, route)
        answer = shop.ask(route.method, path, content=b"{}", headers=headers)
        assert 400 <= answer.status_code < 500, f"{route.method} {path[:100]}: {answer.status_code}"
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("value", ["'", "%00", "%0d%0ax:%20y", "-1", "1e9", "99999999999999999999", "%ff", "a" * 3_000])
def test_hostile_query_is_refused_or_finds_nothing(shop: Shop, people: People, value: str) -> None:
    for route in ROUTES:
        if route.method != "GET" or route.takes != "query" or route.parameters:
            continue
        for field in [*route.input.model_fields, "unknown"]:
            answer = shop.ask("GET", f"{route.path}?{field}={value}", headers=people.admin.headers)
            assert answer.status_code < 500
            if field == "unknown":
                assert answer.status_code in (400, 422)


def test_body_of_ten_megabytes_is_refused(shop: Shop) -> None:
    headers = {"content-type": "application/json", "idempotency-key": str(uuid.uuid4())}
    answer = shop.ask("POST", "/api/orders", content=b" " * 10_000_000, headers=headers)
    assert answer.status_code == 413


def test_ten_thousand_headers_do_no_harm(shop: Shop) -> None:
    address = urlsplit(shop.url)
    lines = [f"GET /api/products HTTP/1.1\r\nhost: {address.netloc}\r\n"]
    lines += [f"x-{number}: {number}\r\n" for number in range(10_000)]
    with socket.create_connection((str(address.hostname), int(address.port or 80)), timeout=30) as wire:
        wire.sendall("".join([*lines, "connection: close\r\n\r\n"]).encode())
        status = wire.recv(LARGEST_TAKEN).split(b" ")[1:2]
    assert status in ([], [b"400"], [b"413"], [b"431"], [b"200"])
    assert shop.ask("GET", "/api/products").status_code == 200


def test_header_that_breaks_its_line_is_no_second_header(shop: Shop) -> None:
    for name in ("x-request-id", "traceparent", "idempotency-key", "if-match"):
        for value in ("a b", "a;b", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "a" * 8_000):
            sent = [(name.encode(), value.encode("latin-1"))]
            answer = httpx.get(f"{shop.url}/api/products", headers=httpx.Headers(sent), timeout=60)
            assert answer.status_code in (200, 400, 431)
            assert value not in answer.headers.get("x-request-id", "")


def test_unpaired_surrogate_is_not_stored(shop: Shop) -> None:
    body: Body = order_of({NO_PRODUCT: 1})
    text = json.dumps(body).replace("Budi Santoso", "\\ud800")
    headers = {"content-type": "application/json", "idempotency-key": str(uuid.uuid4())}
    answer = shop.ask("POST", "/api/orders", content=text.encode(), headers=headers)
    assert answer.status_code in (400, 422)
