"""What a refusal or a fault of a service becomes, and what paths and methods lead nowhere."""

import logging

import pytest
from pydantic import JsonValue

from gateway.problems import STATUS, status_of
from shared_kernel.errors import (
    FAMILIES,
    Conflict,
    DomainError,
    Fault,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from tests.unit.gateway.client import Client, problem_of, told
from tests.unit.gateway.shop import NEW_PRODUCT, PRODUCT_ID, Shop

PRODUCT = f"/api/products/{PRODUCT_ID}"


class TooHeavy(Conflict):
    """A refusal that the table has never heard of."""

    code = "too_heavy"


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (Invalid("no"), 422),
        (Unauthenticated("no"), 401),
        (Forbidden("no"), 403),
        (NotFound("no"), 404),
        (Conflict("no"), 409),
        (PreconditionFailed("no"), 412),
        (TooManyRequests("no"), 429),
        (Fault("no"), 500),
        (Unavailable("no"), 503),
        (TooHeavy("no"), 409),
    ],
)
def test_refusal_has_the_status_of_its_family(refusal: DomainError, status: int) -> None:
    response = Client(Shop(failures={"get_product": refusal})).ask("GET", PRODUCT)
    problem = problem_of(response, status, refusal.code)
    assert problem["instance"] == PRODUCT


def test_every_family_has_a_status() -> None:
    assert {status_of(kind("")) for kind in FAMILIES.values()} <= set(STATUS.values())


def test_details_of_a_refusal_are_members_of_the_problem() -> None:
    missing: list[JsonValue] = [{"product_id": PRODUCT_ID, "requested": 5, "available": 2}]
    refusal = Conflict("too few", code="insufficient_inventory", details={"missing": missing, "status": 200})
    problem = problem_of(
        Client(Shop(failures={"get_product": refusal})).ask("GET", PRODUCT), 409, "insufficient_inventory"
    )
    assert problem["missing"] == missing
    assert problem["title"] == "Insufficient inventory"


def test_field_errors_of_a_service_are_passed_on() -> None:
    errors: list[JsonValue] = [{"field": "name", "code": "string_type", "detail": "Input should be a string"}]
    refusal = Invalid("the request is not valid", details={"errors": errors})
    response = Client(Shop(failures={"create_product": refusal})).as_staff(
        "POST", "/api/products", json_body=NEW_PRODUCT
    )
    assert problem_of(response, 422, "invalid")["errors"] == errors


def test_conflict_of_a_service_is_409() -> None:
    response = Client().as_staff("POST", "/api/products", json_body=NEW_PRODUCT | {"sku": "TAKEN"})
    problem_of(response, 409, "sku_taken")


def test_unavailable_service_says_when_to_try_again() -> None:
    slow = Client(Shop(failures={"get_product": Unavailable("get_product gave no answer: secret")}))
    response = slow.ask("GET", PRODUCT)
    assert response.headers["retry-after"] == "5"
    assert "secret" not in str(response.text)
    refusal = Unavailable("not called", code="circuit_open", details={"retry_after_seconds": 42})
    open_circuit = Client(Shop(failures={"get_product": refusal}))
    assert open_circuit.ask("GET", PRODUCT).headers["retry-after"] == "42"


def test_caller_whom_a_service_has_had_enough_of_is_told_when_to_come_back() -> None:
    refusal = TooManyRequests("enough", code="too_many_sign_ins", details={"retry_after_seconds": 900})
    response = Client(Shop(failures={"get_product": refusal})).ask("GET", PRODUCT)
    assert problem_of(response, 429, "too_many_sign_ins")["retry_after_seconds"] == 900
    assert response.headers["retry-after"] == "900"


@pytest.mark.parametrize("seconds", [None, 0, -1, "soon", 1.5])
def test_pause_that_is_none_is_told_as_five_seconds(seconds: JsonValue) -> None:
    details = {} if seconds is None else {"retry_after_seconds": seconds}
    response = Client(Shop(failures={"get_product": Unavailable("down", details=details)})).ask("GET", PRODUCT)
    assert response.headers["retry-after"] == "5"


def test_unexpected_exception_is_500_without_details_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(Shop(failures={"get_product": RuntimeError("password=hunter2")}))
    with caplog.at_level(logging.ERROR):
        response = client.ask("GET", PRODUCT)
    problem_of(response, 500, "internal_error")
    assert "hunter2" not in str(response.text)
    assert "hunter2" in caplog.text


def test_other_routes_answer_while_one_service_is_down() -> None:
    client = Client(Shop(failures={"get_product": Unavailable("down")}))
    assert client.ask("GET", PRODUCT).status == 503
    assert client.ask("GET", "/api/categories").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/api",
        "/api/nothing",
        "/api/products/",
        "/api/products/1",
        "/api/products/%00",
        "/api/products/..%2f..%2fhealth",
        f"/api/products/{PRODUCT_ID}'--",
        f"/api/products/{PRODUCT_ID.lower()}",
        f"/api//products/{PRODUCT_ID}",
        f"{PRODUCT}/availability/more",
        "/health%0d%0aset-cookie:%20a=b",
    ],
)
def test_unknown_path_is_404_and_asks_nobody(path: str) -> None:
    client = Client()
    for method in ("GET", "POST", "OPTIONS", "HEAD"):
        assert client.ask(method, path).status == 404
    problem_of(client.ask("GET", path), 404, "not_found")
    assert client.shop.asked == []


def test_escaped_id_is_the_same_id() -> None:
    assert Client().ask("GET", f"/api/products/{PRODUCT_ID.replace('_', '%5F')}").status == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/products", "GET, HEAD, OPTIONS, POST"),
        ("POST", PRODUCT, "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("DELETE", "/health", "GET, HEAD, OPTIONS"),
        ("TRACE", "/health", "GET, HEAD, OPTIONS"),
        ("BREW", "/health", "GET, HEAD, OPTIONS"),
        ("get", "/health", "GET, HEAD, OPTIONS"),
        ("HEAD", f"/api/payments/pay_{PRODUCT_ID[4:]}/refunds", "OPTIONS, POST"),
    ],
)
def test_wrong_method_is_405_and_says_which_are_right(method: str, path: str, allowed: str) -> None:
    response = Client().ask(method, path)
    assert (response.status, response.headers["allow"]) == (405, allowed)
    if method != "HEAD":
        assert told(response)["code"] == "method_not_allowed"
