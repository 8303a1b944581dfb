"""Health, and the description of the API."""

import dataclasses
import json
import re
from typing import Any

import pytest

from gateway.routes import ROUTES
from gateway.routing import Access
from shared_kernel.contracts.model import Health
from shared_kernel.errors import Unavailable
from tests.unit.gateway.client import SETTINGS, Client, told
from tests.unit.gateway.shop import PAYMENT_ID, Shop


def openapi() -> dict[str, Any]:
    """The document as it is served."""
    document: dict[str, Any] = told(Client().ask("GET", "/openapi.json"))
    return document


def test_health_tells_of_every_service() -> None:
    response = Client().ask("GET", "/health")
    report = told(response)
    assert response.status == 200
    assert (report["status"], report["service"]) == ("ok", "gateway")
    assert (report["version"], report["environment"], report["secrets"]) == ("1.2.3", "test", "ok")
    assert set(report["services"]) == {"product", "inventory", "payment", "order"}
    for service in report["services"].values():
        assert service.keys() == {"status", "database", "response_time_ms"}
        assert (service["status"], service["database"]) == ("ok", "ok")


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


def test_health_without_the_staff_token_is_degraded() -> None:
    response = Client(settings=dataclasses.replace(SETTINGS, staff_token=None)).ask("GET", "/health")
    assert (response.status, told(response)["secrets"]) == (503, "missing")


def test_service_has_three_seconds_to_tell_its_health() -> None:
    client = Client()
    client.ask("GET", "/health")
    client.ask("GET", "/api/categories")
    *probes, ordinary = client.shop.calls
    assert all(6_500 <= ordinary.deadline_ms - probe.deadline_ms <= 7_500 for probe in probes)


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
        page = client.ask("GET", "/docs").text or ""
        for route in of_the_sandbox:
            target = route.path.replace("{id}", PAYMENT_ID)
            status = client.as_staff(route.method, target).status
            assert (status, client.ask("OPTIONS", target).status) == ((200, 204) if is_there else (404, 404))
            assert (route.path in paths, route.path in page) == (is_there, is_there)
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
        if int(status) >= 400:
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


def test_page_lists_every_path_and_needs_no_other_host() -> None:
    response = Client().ask("GET", "/docs")
    page = str(response.text)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    for route in ROUTES:
        assert f"<b>{route.method}</b><code>{route.path}</code>" in page
    assert "<script" not in page
    assert "//" not in re.sub(r"<style>.*?</style>", "", page)
