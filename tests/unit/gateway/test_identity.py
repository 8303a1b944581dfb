"""Who a caller is taken for, by the token that he sends."""

import asyncio
import dataclasses
import secrets
from collections.abc import Callable

import pytest

from gateway.identity import Caller, Callers
from gateway.problems import Malformed
from gateway.routing import Access, Admission, Settings
from gateway.services import Services
from gateway.tokens import InvalidToken
from shared_kernel.clock import system_clock
from shared_kernel.errors import Unavailable
from shared_kernel.permissions import Role
from shared_kernel.rpc import Principal
from tests.unit.gateway.client import SETTINGS, STAFF_TOKEN, Client, problem_of
from tests.unit.gateway.shop import ORDER_ID, ORDER_TOKEN, PAYMENT_ID, PRODUCT_ID, Shop
from tests.unit.gateway.signing import (
    COMPANY_ID,
    ROLES,
    SESSION_IDS,
    USER_IDS,
    access_token,
    verify,
)


def caller(
    authorization: str | None,
    query_token: str | None = None,
    *,
    access: Admission = Access.ANYONE,
    settings: Settings = SETTINGS,
    shop: Shop | None = None,
) -> Caller:
    """Who calls a route with these tokens."""
    services = Services((shop or Shop()).connect, system_clock, "00-0-0-01", 2**53, [])
    callers = Callers(verify)
    return asyncio.run(callers.identify(access, authorization, query_token, settings, services))


@pytest.mark.parametrize("role", ROLES)
def test_person_is_who_the_user_service_says(role: Role) -> None:
    assert caller(f"Bearer {access_token(role)}").principal == Principal(
        kind=role,
        id=USER_IDS[role],
        session_id=SESSION_IDS[role],
        company_id=COMPANY_ID if role == "buyer" else None,
    )


def test_claimed_role_counts_for_nothing_while_the_user_service_answers() -> None:
    assert caller(f"Bearer {access_token('customer', role='admin')}").principal.kind == "customer"


def test_claims_count_while_the_user_service_does_not_answer() -> None:
    shop = Shop(failures={"get_standing": Unavailable("down")})
    who = caller(f"Bearer {access_token('buyer')}", shop=shop).principal
    assert (who.kind, who.id, who.company_id) == ("buyer", USER_IDS["buyer"], COMPANY_ID)


def test_company_is_a_buyers_alone() -> None:
    shop = Shop(failures={"get_standing": Unavailable("down")})
    token = access_token("customer", company_id=COMPANY_ID)
    assert caller(f"Bearer {token}", shop=shop).principal.company_id is None


def test_session_of_another_person_is_refused() -> None:
    with pytest.raises(InvalidToken, match="another person"):
        caller(f"Bearer {access_token('customer', sid=SESSION_IDS['admin'])}")


def test_ended_session_is_refused() -> None:
    with pytest.raises(InvalidToken, match="ended"):
        caller(f"Bearer {access_token()}", shop=Shop(ended_sessions={SESSION_IDS["customer"]}))


def test_person_cannot_be_told_before_the_keys_were_heard() -> None:
    client = Client(Shop(failures={"get_keys": Unavailable("down")}))
    problem_of(client.ask("GET", "/api/users/me", token=access_token()), 503, "unavailable")
    assert client.ask("GET", "/api/products").status == 200


def test_gateway_asks_for_itself_who_calls_and_once_for_requests_that_follow_each_other() -> None:
    client = Client()
    for _ in range(3):
        assert client.ask("GET", "/api/users/me", token=access_token()).status == 200
    asked = [(method, who.kind) for method, who in client.shop.asked]
    assert asked == [("get_keys", "service"), ("get_standing", "service"), *[("get_me", "customer")] * 3]


def test_who_calls_is_known_within_two_seconds_or_not_at_all() -> None:
    client = Client()
    client.ask("GET", "/api/users/me", token=access_token())
    keys, standing, me = client.shop.calls
    assert me.deadline_ms - keys.deadline_ms >= 7_000
    assert me.deadline_ms - standing.deadline_ms >= 7_000


def test_public_route_asks_nobody_who_calls() -> None:
    shop = Shop()
    for authorization in (f"Bearer {access_token()}", "Bearer a.b.c", f"Bearer {STAFF_TOKEN}", None):
        who = caller(authorization, access=Access.PUBLIC, shop=shop)
        assert (who.principal, who.token_sent) == (Principal(kind="guest", id="guest"), False)
    assert shop.asked == []


def test_order_opens_with_its_token_in_the_query() -> None:
    assert Client().ask("GET", f"/api/orders/{ORDER_ID}?access_token={ORDER_TOKEN}").status == 200


def test_access_token_in_the_query_is_refused_wherever_tokens_are_looked_at() -> None:
    for access in (Access.ANYONE, Access.OWNER):
        with pytest.raises(InvalidToken):
            caller(None, access_token("admin"), access=access)


def test_staff_token_in_the_query_opens_no_order_and_shows_no_staff_prices() -> None:
    client = Client()
    problem_of(client.ask("GET", f"/api/orders/{ORDER_ID}?access_token={STAFF_TOKEN}"), 401, "invalid_token")
    assert client.ask("GET", f"/api/products/{PRODUCT_ID}?access_token={STAFF_TOKEN}").status == 200
    assert {who.kind for _, who in client.shop.asked} == {"guest"}


def test_token_sent_twice_is_refused() -> None:
    response = Client().ask("GET", f"/api/orders/{ORDER_ID}?access_token={ORDER_TOKEN}", token=ORDER_TOKEN)
    problem_of(response, 400, "token_sent_twice")
    with pytest.raises(Malformed):
        caller(f"Bearer {STAFF_TOKEN}", STAFF_TOKEN)


def test_payment_of_another_order_is_told_like_one_that_does_not_exist() -> None:
    client = Client()
    another = ORDER_TOKEN.upper()
    foreign = problem_of(client.ask("GET", f"/api/payments/{PAYMENT_ID}", token=another), 404, "payment_not_found")
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


def test_payment_is_read_by_those_who_manage_payments_themselves() -> None:
    client = Client()
    client.ask("GET", f"/api/payments/{PAYMENT_ID}", token=access_token("admin"))
    assert client.shop.asked[-1][0] == "get_payment"
    assert client.shop.asked[-1][1].kind == "admin"


def test_route_for_anyone_treats_a_token_of_an_order_as_none() -> None:
    client = Client()
    assert client.ask("GET", f"/api/products/{PRODUCT_ID}", token="nonsense").status == 200
    assert client.ask("GET", "/api/products", headers={"authorization": "Basic dXNlcjpwYXNz"}).status == 200
    assert {who.kind for _, who in client.shop.asked} == {"guest"}


@pytest.mark.parametrize("path", ["/api/users/me", f"/api/orders/{ORDER_ID}", f"/api/payments/{PAYMENT_ID}"])
def test_refresh_token_is_no_access_token(path: str) -> None:
    client = Client()
    problem_of(client.ask("GET", path, token=secrets.token_urlsafe(32)), 401, "invalid_token")
    assert client.shop.asked == []


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t + "x", lambda t: t + "=", lambda t: "." + t[1:]])
def test_token_that_no_order_can_have_opens_none(change: Callable[[str], str]) -> None:
    client = Client()
    problem_of(client.ask("GET", f"/api/orders/{ORDER_ID}", token=change(ORDER_TOKEN)), 401, "invalid_token")
    assert client.shop.asked == []


@pytest.mark.parametrize("secret", [None, ""])
def test_nobody_is_staff_without_the_secret(secret: str | None) -> None:
    settings = dataclasses.replace(SETTINGS, staff_token=secret)
    for token in (STAFF_TOKEN, "None", ""):
        assert Client(settings=settings).ask("GET", "/api/warehouses", token=token).status == 401


@pytest.mark.parametrize("environment", ["staging", "production", "", "LOCAL"])
def test_staff_token_counts_in_the_local_environment_alone(environment: str) -> None:
    settings = dataclasses.replace(SETTINGS, environment=environment)
    problem_of(Client(settings=settings).as_staff("GET", "/api/warehouses"), 401, "invalid_token")


@pytest.mark.parametrize(
    "authorization", ["Basic abc", "Bearer", "Bearer ", "Bearer a b", "Bearer \u00e9", "Bearer " + "a" * 100_000, ""]
)
def test_unusable_authorization_makes_a_guest_without_credential(authorization: str) -> None:
    who = caller(authorization)
    assert (who.principal.kind, who.principal.credential, who.token_sent) == ("guest", None, True)


def test_scheme_is_matched_without_regard_to_case() -> None:
    assert caller(f"bearer {STAFF_TOKEN}").principal.kind == "staff"
    assert caller(f"BEARER {access_token()}").principal.kind == "customer"


def test_staff_token_is_matched_as_a_whole() -> None:
    for token in (STAFF_TOKEN[:-1], STAFF_TOKEN + "x", STAFF_TOKEN.upper()):
        assert caller(f"Bearer {token}").principal.kind == "guest"


def test_standing_of_a_buyer_carries_his_company() -> None:
    token = access_token("buyer", role="customer", company_id=None)
    assert caller(f"Bearer {token}").principal.company_id == COMPANY_ID
