"""The one line that each request leaves in the log: what it tells, and what it never tells."""

import json
import logging
from typing import Any

import pytest

from gateway.routes import ROUTES
from shared_kernel.errors import Unavailable
from shared_kernel.log_lines import log_line
from shared_kernel.tracing import present_trace_id
from tests.unit.gateway.client import Client
from tests.unit.gateway.shop import NEW_PRODUCT, ORDER_ID, ORDER_REQUEST, ORDER_TOKEN, PRODUCT_ID, Shop
from tests.unit.gateway.signing import USER_IDS, access_token

PRODUCT = f"/api/products/{PRODUCT_ID}"


class Lines(logging.Handler):
    """Writes each record as the console gets it, while it is handled, in its trace."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[dict[str, Any]] = []
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        line = log_line(record, "gateway")
        self.text += line
        self.lines.append(json.loads(line))

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The lines of requests."""
        return [line for line in self.lines if line["message"] == "a request was answered"]


@pytest.fixture
def log() -> Any:
    """What is logged."""
    lines, logger = Lines(), logging.getLogger()
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(lines)
    logger.setLevel(level)


def test_request_leaves_one_line(log: Lines) -> None:
    response = Client().ask("GET", f"{PRODUCT}/availability")
    (line,) = log.lines
    assert line.pop("time").endswith("Z")
    assert line.pop("duration_ms") >= 0
    assert line == {
        "level": "info",
        "service": "gateway",
        "logger": "gateway.app",
        "message": "a request was answered",
        "trace_id": response.headers["traceparent"].split("-")[1],
        "method": "GET",
        "route": "/api/products/{id}/availability",
        "status": 200,
        "principal_kind": "guest",
        "principal_id": "guest",
    }


def test_line_names_the_account_that_asked(log: Lines) -> None:
    Client().ask("GET", "/api/products", token=access_token("customer"))
    (line,) = log.requests
    assert (line["principal_kind"], line["principal_id"]) == ("customer", USER_IDS["customer"])


def test_trace_of_the_client_is_the_trace_of_its_lines(log: Lines) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    client = Client(Shop(failures={"get_product": RuntimeError("a bug")}))
    client.ask("GET", PRODUCT, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert len(log.lines) == 2
    assert {line["trace_id"] for line in log.lines} == {trace}
    assert "exception" in log.lines[0]
    assert present_trace_id() is None


@pytest.mark.parametrize(
    ("target", "route", "status", "problem"),
    [
        ("/nowhere/at-all", None, 404, "not_found"),
        ("/api/warehouses", "/api/warehouses", 401, "unauthenticated"),
        ("/api/products?limit=0", "/api/products", 422, "invalid"),
    ],
)
def test_refusal_is_told_by_its_code(log: Lines, target: str, route: str | None, status: int, problem: str) -> None:
    Client().ask("GET", target)
    (line,) = log.requests
    assert (line["route"], line["status"], line["problem"], line["level"]) == (route, status, problem, "info")


def test_fault_is_told_as_an_error(log: Lines) -> None:
    Client(Shop(failures={"get_product": Unavailable("down")})).ask("GET", PRODUCT)
    (line,) = log.requests
    assert (line["status"], line["problem"], line["level"]) == (503, "unavailable", "error")


def test_answer_out_of_the_cache_is_told_as_such(log: Lines) -> None:
    client = Client()
    client.ask("GET", PRODUCT)
    client.shop.failures["get_product"] = Unavailable("down")
    client.ask("GET", PRODUCT)
    assert [line.get("stale_seconds") for line in log.requests] == [None, 0]


def test_no_secret_nor_anything_of_a_person_is_logged(log: Lines) -> None:
    client = Client(Shop(failures={"get_payment": RuntimeError("a bug"), "list_products": Unavailable("down")}))
    headers = {"cf-connecting-ip": "192.0.2.7", "idempotency-key": "key-wxyz", "x-request-id": "made-up-wxyz"}
    token = access_token("customer")
    client.ask("POST", "/api/orders", json_body=ORDER_REQUEST, headers=headers)
    client.ask("POST", "/api/orders", json_body=ORDER_REQUEST | {"email": "not wxyz valid"}, headers=headers)
    client.ask("GET", f"/api/orders/{ORDER_ID}?access_token={ORDER_TOKEN}", headers=headers)
    client.ask("GET", f"/api/orders/{ORDER_ID}", token=ORDER_TOKEN, headers=headers)
    client.ask("GET", "/api/products?q=wxyz", token=token, headers=headers)
    client.ask("POST", "/api/auth/login", json_body={"email": "sari@example.com", "password": "wxyz-horse"})
    client.ask("POST", "/api/auth/refresh", json_body={"refresh_token": "refresh-wxyz"})
    client.ask("POST", "/api/webhooks/mpesa/a-secret-path-wxyz", json_body={"Body": {}})
    client.ask("GET", "/not/a/route/wxyz?a=wxyz", headers=headers)
    client.as_staff("POST", "/api/products", json_body=NEW_PRODUCT)
    assert len(log.requests) == 10
    for secret in (
        token,
        token.split(".")[2],
        ORDER_TOKEN,
        "a-staff-token",
        "wxyz",
        "192.0.2.7",
        "sari",
        "Sari",
        "Melati",
    ):
        assert secret.lower() not in log.text.lower(), secret


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_no_part_of_a_path_is_logged(log: Lines, route: Any) -> None:
    path = route.path
    for name in route.parameters:
        is_id = name == "id" or name.endswith("_id")
        path = path.replace(f"{{{name}}}", "ord_01JDWXYZ000000000000000000" if is_id else "part-wxyz")
    Client().ask(route.method, path)
    assert len(log.requests) == 1
    assert "wxyz" not in log.text.lower()
