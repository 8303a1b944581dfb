"""Who may call what, and what those are told who may not."""

import dataclasses
from typing import Any

import pytest

from gateway.identity import caller
from gateway.problems import Malformed
from gateway.routes import ROUTES
from gateway.routing import Access, Route
from tests.unit.gateway.client import SETTINGS, STAFF_TOKEN, Client, problem_of
from tests.unit.gateway.shop import (
    CATEGORY_ID,
    ORDER_ID,
    ORDER_TOKEN,
    PAYMENT_ID,
    PRODUCT_ID,
    REFUND_ID,
    WAREHOUSE_ID,
    WEBHOOK_ID,
)

GUARDED = [route for route in ROUTES if route.access is not Access.ANYONE]
STAFF_ONLY = [route for route in ROUTES if route.access is Access.STAFF]


def path_of(template: str) -> str:
    """The template with ids that exist."""
    kind = {
        "products": PRODUCT_ID,
        "categories": CATEGORY_ID,
        "orders": ORDER_ID,
        "payments": PAYMENT_ID,
        "refunds": REFUND_ID,
        "sandbox": PAYMENT_ID,
        "warehouses": WAREHOUSE_ID,
        "webhooks": WEBHOOK_ID,
    }
    return template.replace("{product_id}", PRODUCT_ID).replace("{id}", kind.get(template.split("/")[2], ""))


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{route.method} {route.path}")
def test_guarded_route_without_a_token_is_401(route: Route[Any]) -> None:
    method, path = route.method, path_of(route.path)
    client = Client()
    response = client.ask(method, path)
    problem_of(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == 'Bearer realm="pasar"'
    assert client.shop.asked == []


@pytest.mark.parametrize("route", STAFF_ONLY, ids=lambda route: f"{route.method} {route.path}")
def test_staff_route_with_another_token_is_401(route: Route[Any]) -> None:
    method, path = route.method, path_of(route.path)
    client = Client()
    response = client.ask(method, path, token=ORDER_TOKEN)
    problem_of(response, 401, "invalid_token")
    assert response.headers["www-authenticate"] == 'Bearer realm="pasar", error="invalid_token"'
    assert client.shop.asked == []


@pytest.mark.parametrize("target", [f"/api/orders/{ORDER_ID}", f"/api/orders/{ORDER_ID}/events"])
def test_token_that_opens_another_order_is_404(target: str) -> None:
    problem_of(Client().ask("GET", target, token="another"), 404, "order_not_found")


def test_order_opens_with_its_token_in_the_query() -> None:
    assert Client().ask("GET", f"/api/orders/{ORDER_ID}?access_token={ORDER_TOKEN}").status == 200


@pytest.mark.parametrize("route", STAFF_ONLY, ids=lambda route: f"{route.method} {route.path}")
def test_staff_token_in_the_query_opens_no_staff_route(route: Route[Any]) -> None:
    client = Client()
    response = client.ask(route.method, f"{path_of(route.path)}?access_token={STAFF_TOKEN}")
    problem_of(response, 401, "invalid_token")
    assert client.shop.asked == []


def test_staff_token_in_the_query_opens_no_order_and_shows_no_staff_prices() -> None:
    client = Client()
    problem_of(client.ask("GET", f"/api/orders/{ORDER_ID}?access_token={STAFF_TOKEN}"), 404, "order_not_found")
    assert client.ask("GET", f"/api/products/{PRODUCT_ID}?access_token={STAFF_TOKEN}").status == 200
    assert {who.kind for _, who in client.shop.asked} == {"guest"}


def test_token_sent_twice_is_refused() -> None:
    response = Client().ask("GET", f"/api/orders/{ORDER_ID}?access_token={ORDER_TOKEN}", token=ORDER_TOKEN)
    problem_of(response, 400, "token_sent_twice")


def test_payment_of_another_order_is_told_like_one_that_does_not_exist() -> None:
    client = Client()
    foreign = problem_of(client.ask("GET", f"/api/payments/{PAYMENT_ID}", token="another"), 404, "payment_not_found")
    missing_id = PAYMENT_ID[:-1] + "1"
    missing = problem_of(client.ask("GET", f"/api/payments/{missing_id}", token=ORDER_TOKEN), 404, "payment_not_found")
    assert foreign["detail"] == missing["detail"]


def test_payment_is_read_by_the_gateway_and_opened_by_the_guest() -> None:
    client = Client()
    client.ask("GET", f"/api/payments/{PAYMENT_ID}", token=ORDER_TOKEN)
    assert [(method.split()[0], who.kind) for method, who in client.shop.asked] == [
        ("get_payment", "service"),
        ("get_order", "guest"),
    ]


def test_public_route_treats_a_useless_token_as_none() -> None:
    client = Client()
    assert client.ask("GET", f"/api/products/{PRODUCT_ID}", token="nonsense").status == 200
    assert client.ask("GET", "/api/products", headers={"authorization": "Basic dXNlcjpwYXNz"}).status == 200
    assert {who.kind for _, who in client.shop.asked} == {"guest"}


@pytest.mark.parametrize("secret", [None, ""])
def test_nobody_is_staff_without_the_secret(secret: str | None) -> None:
    settings = dataclasses.replace(SETTINGS, staff_token=secret)
    for token in (STAFF_TOKEN, "None", ""):
        assert Client(settings=settings).ask("GET", "/api/warehouses", token=token).status == 401


@pytest.mark.parametrize(
    "authorization", ["Basic abc", "Bearer", "Bearer ", "Bearer a b", "Bearer \u00e9", "Bearer " + "a" * 1025, ""]
)
def test_unusable_authorization_makes_a_guest_without_credential(authorization: str) -> None:
    who = caller(authorization, None, STAFF_TOKEN)
    assert (who.principal.kind, who.principal.credential, who.token_sent) == ("guest", None, True)


def test_scheme_is_matched_without_regard_to_case() -> None:
    assert caller(f"bearer {STAFF_TOKEN}", None, STAFF_TOKEN).principal.kind == "staff"


def test_staff_token_is_matched_as_a_whole() -> None:
    for token in (STAFF_TOKEN[:-1], STAFF_TOKEN + "x", STAFF_TOKEN.upper()):
        assert caller(f"Bearer {token}", None, STAFF_TOKEN).principal.kind == "guest"


def test_two_tokens_are_malformed_even_when_they_agree() -> None:
    with pytest.raises(Malformed):
        caller(f"Bearer {STAFF_TOKEN}", STAFF_TOKEN, STAFF_TOKEN)
