"""The edge of a running shop: limits, the cache that stands in for the catalogue, the log, the pages.

It runs on a system of its own, because its limits are small, its log is read as a whole, and its catalogue's database
is broken for a while.
"""

import json
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import JsonValue

from tests.system.people import PASSWORD, People
from tests.system.shop import Shop, at_once, order_of, problem
from tests.system.wedged import assert_never_wedged
from wrangler import running
from wrangler.state import LOG

_HAPPENS_WITHIN_SECONDS = 30
_SIGN_INS = 5
_LARGEST_ANSWER_BYTES = 4_000
_ORDERS_AT_ONCE = 12
_NO_PRODUCT = "prd_00000000000000000000000000"


@dataclass(frozen=True)
class Edge:
    """A running shop and its state."""

    shop: Shop
    people: People
    state: Path

    @property
    def log(self) -> str:
        """All that the Workers and wrangler have written since the start."""
        return (self.state / LOG).read_text(errors="replace")

    def lines(self, trace_id: str) -> list[dict[str, JsonValue]]:
        """What the Workers have logged in this trace."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{") and trace_id in line]


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """A shop where an address may try to sign in five times a minute."""
    folder = tmp_path_factory.mktemp("edge")
    options = ["--no-sample", "--set", f"gateway.LIMIT_SIGN_IN={_SIGN_INS};60"]
    with (
        running.started(folder / "state", options, folder / "system.log") as system,
        Shop(system.connection.url, system.connection.staff_token) as shop,
    ):
        yield Edge(shop, People(shop, system.connection), folder / "state")
    assert_never_wedged(folder / "state")


def _trace(response: httpx.Response) -> str:
    return str(response.headers["traceparent"].split("-")[1])


def _wait(has_happened: Callable[[], bool]) -> None:
    give_up = time.monotonic() + _HAPPENS_WITHIN_SECONDS
    while not has_happened():
        assert time.monotonic() < give_up, f"has not happened within {_HAPPENS_WITHIN_SECONDS} seconds"
        time.sleep(0.1)


def test_one_trace_id_finds_everything_that_came_of_an_order(edge: Edge) -> None:
    product = edge.shop.make_product(3)
    response = edge.shop.send_order(order_of({product.id: 1}))
    trace_id = _trace(response)

    def told() -> set[tuple[JsonValue, JsonValue]]:
        lines = edge.lines(trace_id)
        return {(line["service"], line.get("call") or line.get("event") or line["message"]) for line in lines}

    everything = {
        ("product", "price_lines"),
        ("inventory", "reserve"),
        ("payment", "request_payment"),
        ("order", "a step was run"),
        # Queues keep no order: either event may be heard first.
        ("order", "payment.captured"),
        ("order", "order.confirmed"),
    }
    _wait(lambda: everything <= told())
    (line,) = [line for line in edge.lines(trace_id) if line["service"] == "gateway"]
    assert (line["method"], line["route"], line["status"]) == ("POST", "/api/orders", 202)
    assert (line["principal_kind"], line["principal_id"]) == ("guest", "guest")


def test_requests_at_the_same_time_keep_their_traces_apart(edge: Edge) -> None:
    product = edge.shop.make_product(30)
    sent = at_once(range(_ORDERS_AT_ONCE), lambda _: edge.shop.send_order(order_of({product.id: 1})))
    order_ids = {_trace(response): response.json()["id"] for response in sent}
    assert len(order_ids) == _ORDERS_AT_ONCE

    def told(trace_id: str) -> dict[JsonValue, JsonValue]:
        events = [line for line in edge.lines(trace_id) if str(line.get("event", "")).startswith("order.")]
        return {line["event"]: line["subject"] for line in events}

    _wait(lambda: all("order.confirmed" in told(trace_id) for trace_id in order_ids))
    assert {trace_id: set(told(trace_id).values()) for trace_id in order_ids} == {
        trace_id: {order_id} for trace_id, order_id in order_ids.items()
    }


def test_log_tells_no_secret_and_nothing_of_a_person(edge: Edge) -> None:
    product = edge.shop.make_product(2)
    person = edge.people.customer()
    placed = edge.shop.place_order(order_of({product.id: 1}) | {"email": "rahasia@example.com"})
    edge.shop.ask("GET", f"/api/orders/{placed.id}?access_token={placed.access_token}")
    edge.shop.ask("GET", "/api/users/me", headers=person.headers)
    refused = edge.shop.ask("GET", "/api/products?q=rahasia-sekali&limit=0", headers=person.headers)
    _wait(lambda: bool(edge.lines(_trace(refused))))
    edge.shop.wait_until_ended(placed)
    secrets = (
        edge.shop.staff_token,
        person.tokens.access_token,
        person.tokens.access_token.rpartition(".")[2],
        person.tokens.refresh_token,
        str(placed.access_token),
        PASSWORD,
        person.user.email,
        person.user.name,
        "rahasia",
        "Budi Santoso",
        "127.0.0.1",
    )
    # Wrangler's own lines tell where it listens.
    told = "\n".join(line for line in edge.log.splitlines() if line.startswith("{"))
    assert [secret for secret in secrets if secret in told] == []
    assert [secret for secret in secrets[:-1] if secret in edge.log] == []


def test_sign_ins_of_one_address_are_limited_and_those_of_another_are_not(edge: Edge) -> None:
    def sign_in(address: str) -> httpx.Response:
        body = {"email": f"nobody-at-{address.replace(':', '-')}@example.com", "password": "not a password"}
        return edge.shop.ask("POST", "/api/auth/login", body, headers={"cf-connecting-ip": address})

    # A window may end between two of them, but not between as many as two windows take.
    answers = [sign_in(f"2001:db8:0:1::{number}") for number in range(2 * _SIGN_INS + 1)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    problem(refused[0], 429, "too_many_requests")
    assert 1 <= int(refused[0].headers["retry-after"]) <= 60
    assert refused[0].headers["ratelimit-policy"] == f'"sign_in";q={_SIGN_INS};w=60'
    assert refused[0].headers["ratelimit"].startswith('"sign_in";r=0;t=')
    assert sign_in("2001:db8:0:2::1").status_code == 401
    assert edge.shop.ask("GET", "/api/categories", headers={"cf-connecting-ip": "2001:db8:0:1::1"}).status_code == 200


def _is_answered(url: str) -> bool:
    return httpx.get(url, timeout=30).status_code == 200


@contextmanager
def _broken_catalogue(state: Path) -> Iterator[None]:
    """The product service's database, without its products for a while."""
    for path in (state / "v3" / "d1").rglob("*.sqlite"):
        with sqlite3.connect(path) as database:
            found = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'products'").fetchone()[0]
        if found:
            break
    else:
        raise FileNotFoundError("no database has products")
    _run(path, "ALTER TABLE products RENAME TO products_away")
    try:
        yield
    finally:
        _run(path, "ALTER TABLE products_away RENAME TO products")


def _run(path: Path, sql: str) -> None:
    database = sqlite3.connect(path, timeout=10)
    try:
        with database:
            database.execute(sql)
    finally:
        database.close()


def test_products_are_answered_out_of_the_cache_when_their_service_has_a_fault(edge: Edge) -> None:
    product = edge.shop.make_product(2)
    path, url = f"/api/products/{product.id}", edge.shop.url
    fresh = edge.shop.ask("GET", path)
    listed = edge.shop.ask("GET", "/api/products?limit=5")
    with _broken_catalogue(edge.state):
        # An answer is kept only after it was sent.
        for kept in (f"{url}{path}", f"{url}/api/products?limit=5"):
            _wait(partial(_is_answered, kept))
        stale = httpx.get(f"{url}{path}", timeout=30)
        stale_list = httpx.get(f"{url}/api/products?limit=5", timeout=30)
        never_kept = httpx.get(f"{url}/api/products/{_NO_PRODUCT}", timeout=30)
        as_staff = httpx.get(f"{url}{path}", headers=edge.shop.as_staff, timeout=30)
        other = httpx.get(f"{url}/api/warehouses", headers=edge.shop.as_staff, timeout=30)
        health = httpx.get(f"{url}/health", timeout=30)
    assert (stale.status_code, stale.text, stale.headers["etag"]) == (200, fresh.text, fresh.headers["etag"])
    age_seconds = int(stale.headers["age"])
    assert stale.headers["cache-status"] == f"pasar; hit; ttl={-age_seconds}; detail=service-unavailable"
    assert (stale_list.status_code, stale_list.text) == (200, listed.text)
    assert [never_kept.status_code, as_staff.status_code] == [500, 500]
    assert other.status_code == 200
    assert (health.status_code, health.json()["services"]["product"]["status"]) == (503, "degraded")
    back = edge.shop.ask("GET", path)
    assert (back.status_code, back.headers.get("age")) == (200, None)


def test_health_tells_of_each_binding_and_circuit(edge: Edge) -> None:
    report = edge.shop.ask("GET", "/health").json()
    assert report["services"]["user"]["secrets"] == "ok"
    assert {binding["status"] for binding in report["bindings"].values()} == {"ok"}
    assert set(report["bindings"]) == {
        *(f"LIMIT_{limit}" for limit in ("READ", "WRITE", "SIGN_IN", "CHECKOUT", "WEBHOOK")),
        "CACHE",
        "ASSETS",
    }
    circuits = [state for service in report["services"].values() for state in service["circuits"].values()]
    # The thirteenth binding, for webhooks, has none.
    assert circuits == ["closed"] * 12
    told = json.dumps(report)
    assert edge.shop.staff_token not in told


@pytest.mark.parametrize("count", [101, 2_000, 10_000])
def test_more_headers_than_any_client_sends_are_refused(edge: Edge, count: int) -> None:
    address = urlsplit(edge.shop.url)
    lines = [f"GET /api/categories HTTP/1.1\r\nhost: {address.netloc}\r\nconnection: close\r\n"]
    lines += [f"x-{number}: {number}\r\n" for number in range(count)]
    with socket.create_connection((str(address.hostname), int(address.port or 80)), timeout=30) as wire:
        wire.sendall("".join([*lines, "\r\n"]).encode())
        assert wire.recv(_LARGEST_ANSWER_BYTES).split(b" ")[1] == b"431"


@pytest.mark.parametrize(("path", "status"), [("/api/auth/logout", b"400"), ("/api/nothing", b"404")])
def test_body_that_does_not_come_is_not_waited_for_for_ever(edge: Edge, path: str, status: bytes) -> None:
    address = urlsplit(edge.shop.url)
    head = f"POST {path} HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-type: application/json\r\ncontent-length: 9\r\n"
    with socket.create_connection((str(address.hostname), int(address.port or 80)), timeout=30) as wire:
        wire.sendall(f"{head}\r\n{{".encode())
        assert wire.recv(_LARGEST_ANSWER_BYTES).split(b" ")[1] == status


def test_page_and_its_files_come_from_the_shop_itself(edge: Edge) -> None:
    page = edge.shop.ask("GET", "/docs")
    assert "script-src 'self' 'sha256-" in page.headers["content-security-policy"]
    for path, kind in (("/docs/swagger-ui-bundle.js", "text/javascript"), ("/docs/swagger-ui.css", "text/css")):
        assert f'"{path}"' in page.text
        file = edge.shop.ask("GET", path)
        assert (file.status_code, file.headers["content-type"].split(";")[0]) == (200, kind)
        assert file.headers["x-content-type-options"] == "nosniff"
        assert len(file.content) > 100_000
        assert edge.shop.ask("HEAD", path).status_code == 200
