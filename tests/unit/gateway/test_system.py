"""Health, and the description of the API."""

import base64
import dataclasses
import hashlib
import json
import re
from typing import Any

import pytest

from gateway.routes import ROUTES
from gateway.routing import Access
from shared_kernel.clock import from_milliseconds
from shared_kernel.contracts.model import Health
from shared_kernel.errors import Unavailable
from shared_kernel.rpc import CircuitBreaker
from tests.unit.gateway.client import SETTINGS, Client, told
from tests.unit.gateway.edge import OTHER_PARTS
from tests.unit.gateway.shop import PAYMENT_ID, Shop
from tests.unit.gateway.signing import access_token

NOON = from_milliseconds(1_795_000_000_000)


def openapi() -> dict[str, Any]:
    """The document as it is served."""
    document: dict[str, Any] = told(Client().ask("GET", "/openapi.json"))
    return document


def test_health_tells_of_every_service() -> None:
    response = Client().ask("GET", "/health")
    report = told(response)
    assert response.status == 200
    assert (report["status"], report["service"]) == ("ok", "gateway")
    assert (report["version"], report["environment"], report["secrets"]) == ("1.2.3", "local", "ok")
    assert set(report["services"]) == {"product", "inventory", "payment", "user", "order"}
    for service in report["services"].values():
        assert service.keys() == {"status", "database", "database_ms", "response_time_ms", "circuits"}
        assert (service["status"], service["database"], service["database_ms"]) == ("ok", "ok", 3)
    assert report["bindings"] == {name: {"status": "ok", "response_time_ms": 0} for name in OTHER_PARTS}


def test_health_names_the_providers_of_payments() -> None:
    health = Health(status="ok", database="ok", providers=["sandbox", "xendit"])
    report = told(Client(Shop(health=health)).ask("GET", "/health"))
    assert report["services"]["payment"]["providers"] == ["sandbox", "xendit"]


def test_health_without_a_service_is_degraded_and_names_it() -> None:
    response = Client(Shop(failures={"Payments.health": Unavailable("down")})).ask("GET", "/health")
    report = told(response)
    assert (response.status, report["status"]) == (503, "degraded")
    assert report["services"]["payment"]["status"] == "unavailable"
    assert report["services"]["order"]["status"] == "ok"


def test_health_of_a_service_that_is_not_well_is_degraded() -> None:
    response = Client(Shop(health=Health(status="degraded", database="unreachable"))).ask("GET", "/health")
    assert response.status == 503
    assert told(response)["services"]["product"]["database"] == "unreachable"


@pytest.mark.parametrize("name", ["product", *OTHER_PARTS])
@pytest.mark.parametrize("state", ["missing", "failed", "timeout"])
def test_health_without_a_part_is_degraded_and_names_it(name: str, state: str) -> None:
    client = Client()
    client.parts.states[name] = state
    report = told(client.ask("GET", "/health"))
    assert report["status"] == "degraded"
    assert (report["services"] | report["bindings"])[name]["status"] == state


def test_health_without_the_local_staff_token_is_degraded() -> None:
    response = Client(settings=dataclasses.replace(SETTINGS, staff_token=None)).ask("GET", "/health")
    assert (response.status, told(response)["secrets"]) == (503, "missing")


def test_health_needs_no_staff_token_where_none_counts() -> None:
    settings = dataclasses.replace(SETTINGS, staff_token=None, environment="production")
    response = Client(settings=settings).ask("GET", "/health")
    assert (response.status, told(response)["secrets"]) == (200, "ok")


def test_all_parts_have_three_seconds_together() -> None:
    client = Client(clock=lambda: from_milliseconds(60_000))
    client.ask("GET", "/health")
    assert client.parts.timeouts_ms == [3_000]
    assert {call.deadline_ms for call in client.shop.calls} == {63_000}


def test_health_tells_of_circuits_and_changes_none() -> None:
    breakers = {binding: CircuitBreaker() for binding in ("PRODUCT", "PRODUCT_ADMIN", "PAYMENT")}
    for _ in range(3):
        breakers["PRODUCT_ADMIN"].failed(0)
    client = Client(Shop(failures={"Payments.health": Unavailable("down")}), breakers=breakers, clock=lambda: NOON)
    for _ in range(5):
        report = told(client.ask("GET", "/health"))
    assert report["services"]["product"]["circuits"] == {"product": "closed", "product-admin": "half-open"}
    assert report["services"]["payment"]["circuits"] == {"payment": "closed"}
    assert report["services"]["order"]["circuits"] == {}


def test_health_that_a_service_tells_in_another_form_is_not_understood() -> None:
    client = Client()
    client.parts.answers["product"] = "+[]"
    assert told(client.ask("GET", "/health"))["services"]["product"]["status"] == "not_understood"


def test_description_is_openapi_3_1_and_names_every_route() -> None:
    document = openapi()
    assert document["openapi"].startswith("3.1")
    assert document["info"]["version"] == "1.2.3"
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == {(route.method, route.path) for route in ROUTES}


def test_every_reference_of_the_description_leads_somewhere() -> None:
    document = openapi()
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references
    assert references <= set(document["components"]["schemas"])


def test_refund_is_described_as_it_is_answered() -> None:
    schema = openapi()["components"]["schemas"]["Refund"]
    assert set(schema["properties"]) == {"id", "amount", "reason", "kind", "status", "paid_by_hand", "payment"}


def test_sandbox_is_neither_there_nor_described_in_production() -> None:
    of_the_sandbox = [route for route in ROUTES if "/sandbox/" in route.path]
    assert [route.path for route in of_the_sandbox if not route.sandbox] == []
    assert len(of_the_sandbox) == len([route for route in ROUTES if route.sandbox]) == 3
    for environment, is_there in (("production", False), ("staging", True), ("local", True)):
        client = Client(settings=dataclasses.replace(SETTINGS, environment=environment))
        paths = told(client.ask("GET", "/openapi.json"))["paths"]
        for route in of_the_sandbox:
            target = route.path.replace("{id}", PAYMENT_ID)
            status = client.ask(route.method, target, token=access_token("staff")).status
            assert (status, client.ask("OPTIONS", target).status) == ((200, 204) if is_there else (404, 404))
            assert (route.path in paths) == is_there
        assert ("SandboxChargeList" in (client.ask("GET", "/openapi.json").text or "")) == is_there
        assert client.ask("GET", "/api/categories").status == 200


def test_idempotency_key_is_described_as_what_should_be_a_uuid() -> None:
    for path in ("/api/orders", "/api/payments/{id}/refunds"):
        parameters = {each["name"]: each for each in openapi()["paths"][path]["post"]["parameters"]}
        assert "should be a UUID" in parameters["Idempotency-Key"]["description"]


def test_placing_an_order_promises_no_conflict() -> None:
    paths = openapi()["paths"]
    assert "409" not in paths["/api/orders"]["post"]["responses"]
    assert "409" in paths["/api/payments/{id}/refunds"]["post"]["responses"]


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for item in openapi()["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_description_declares_what_the_router_demands(route: Any) -> None:
    operation = openapi()["paths"][route.path][route.method.lower()]
    parameters = {(parameter["in"], parameter["name"]) for parameter in operation["parameters"]}
    assert {("path", name) for name in re.findall(r"{(\w+)}", route.path)} <= parameters
    assert (("header", "Idempotency-Key") in parameters) == route.needs_idempotency_key
    assert (("header", "If-Match") in parameters) == route.needs_if_match
    assert ("requestBody" in operation) == (route.takes != "query")
    statuses = set(operation["responses"])
    assert str(route.status) in statuses
    assert ("401" in statuses) == (bool(operation["security"]) or 401 in route.refuses)
    assert ({"412", "428"} <= statuses) == route.needs_if_match
    for status, answer in operation["responses"].items():
        if int(status) >= 400 and int(status) not in route.same_output:
            assert list(answer["content"])[-1] == "application/problem+json"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_only_what_an_orders_owner_may_see_takes_a_token_in_the_query(route: Any) -> None:
    operation = openapi()["paths"][route.path][route.method.lower()]
    assert ({"access_token": []} in operation["security"]) == (route.access is Access.OWNER)


def test_query_fields_are_described_as_what_they_are() -> None:
    parameters = {each["name"]: each["schema"] for each in openapi()["paths"]["/api/products"]["get"]["parameters"]}
    assert set(parameters) == {"q", "category", "currency", "min_price", "max_price", "sort", "limit", "cursor"}
    assert parameters["limit"]["type"] == "integer"
    assert parameters["min_price"]["type"] == "integer"
    assert parameters["sort"]["enum"] == ["name", "price", "-price", "newest"]


def test_page_loads_our_own_files_alone() -> None:
    response = Client().ask("GET", "/docs")
    page = str(response.text)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert set(re.findall(r'(?:src|href|url)[=:] ?"([^"]*)"', page)) == {
        "/docs/swagger-ui.css",
        "/docs/swagger-ui-bundle.js",
        "/openapi.json",
        "data:,",
    }
    assert "//" not in page


@pytest.mark.parametrize("path", ["/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"])
def test_files_of_the_page_are_static_ones_and_may_be_kept(path: str) -> None:
    response, head = Client().ask("GET", path), Client().ask("HEAD", path)
    assert (response.status, response.text, response.file) == (200, None, path)
    assert response.headers["cache-control"] == "public, max-age=3600"
    assert (head.status, head.file, head.headers["content-type"]) == (200, None, response.headers["content-type"])


@pytest.mark.parametrize(
    "path", ["/docs/", "/docs/index.html", "/docs/LICENSE", "/docs/../entry.py", "/docs/swagger-ui.css/", "/docs/%2e"]
)
def test_no_other_file_is_served(path: str) -> None:
    response = Client().ask("GET", path)
    assert (response.status, response.file) == (404, None)
    assert Client().ask("POST", "/docs/swagger-ui.css").status == 404


def test_policy_of_the_page_lets_its_one_script_run_and_no_other() -> None:
    response = Client().ask("GET", "/docs")
    (script,) = re.findall(r"<script>(.*?)</script>", str(response.text), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = response.headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'none'"
    assert f"script-src 'self' 'sha256-{digest}'" in policy
    assert "unsafe" not in response.headers["content-security-policy"]
