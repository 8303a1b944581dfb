"""What the description says of bodies: exactly what is taken, and exactly what is answered."""

from typing import Any

import pytest

from gateway.openapi import document
from gateway.routes import ROUTES

DOCUMENT = document(ROUTES, "1.2.3")
SCHEMAS = DOCUMENT["components"]["schemas"]


def operation(method: str, path: str) -> dict[str, Any]:
    described: dict[str, Any] = DOCUMENT["paths"][path][method]
    return described


def referred(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    return found


def answer(method: str, path: str, status: str = "200", media_type: str = "application/json") -> dict[str, Any]:
    return referred(operation(method, path)["responses"][status]["content"][media_type]["schema"])


def sent(method: str, path: str) -> dict[str, Any]:
    return referred(operation(method, path)["requestBody"]["content"]["application/json"]["schema"])


def test_answer_leaves_out_what_holds_nothing_and_has_all_the_rest() -> None:
    product = answer("get", "/api/products/{id}")
    assert product["properties"]["category_id"] == {"title": "Category Id", "type": "string"}
    optional = {"category_id", "retail_price", "wholesale_price"}
    assert optional.isdisjoint(product["required"])
    assert {"images", "availability", "version"} <= set(product["required"])
    assert product["additionalProperties"] is False


def test_only_the_cursor_of_the_last_page_is_null() -> None:
    page = answer("get", "/api/users")
    assert page["required"] == ["items", "next_cursor"]
    assert {"type": "null"} in page["properties"]["next_cursor"]["anyOf"]
    assert "null" not in str(answer("get", "/api/users/{id}"))


def test_what_is_sent_may_leave_out_what_has_a_default() -> None:
    new = sent("post", "/api/products")
    assert set(new["required"]) == {"sku", "name", "retail_price", "wholesale_price"}
    assert "required" not in referred(new["properties"]["availability"])
    assert {"type": "null"} in sent("patch", "/api/companies/{id}/members/{user_id}")["properties"]["spending_limit"][
        "anyOf"
    ]


def test_times_are_described_as_such() -> None:
    assert answer("get", "/api/users/me")["properties"]["created_at"]["format"] == "date-time"


def test_currency_is_one_of_those_that_are_known() -> None:
    assert "IDR" in SCHEMAS["Money"]["properties"]["currency"]["enum"]


def test_health_is_told_when_it_is_bad_too() -> None:
    assert answer("get", "/health", "503") == answer("get", "/health")


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_that_is_referred_to_is_there(name: str) -> None:
    referred_to = [part.split('"')[0].split("'")[0] for part in str(SCHEMAS[name]).split("#/components/schemas/")[1:]]
    assert set(referred_to) <= set(SCHEMAS)


def test_every_error_is_a_problem_document() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for method, described in methods.items():
            for status, response in described["responses"].items():
                if status >= "400" and (path, status) != ("/health", "503"):
                    assert set(response["content"]) == {"application/problem+json"}, (method, path, status)


def test_version_to_match_is_described_as_the_tag_that_it_is() -> None:
    (header,) = [each for each in operation("patch", "/api/users/me")["parameters"] if each["in"] == "header"]
    assert header["required"]
    assert header["schema"]["pattern"] == '^(W/)?"[1-9][0-9]{0,14}(-[0-9a-f]{16})?"$'
