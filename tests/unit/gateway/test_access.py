"""Every route times every kind of caller: whom the route's declaration admits, and what the others are told."""

from typing import Any

import pytest

from gateway.access import admit, kinds_admitted
from gateway.identity import Caller
from gateway.openapi import document
from gateway.routes import ROUTES
from gateway.routing import Access, Route
from shared_kernel.contracts.model import Nothing
from shared_kernel.errors import Forbidden, Unauthenticated
from shared_kernel.permissions import PERMISSIONS, Kind
from shared_kernel.rpc import Principal
from tests import access_table
from tests.unit.gateway.client import STAFF_TOKEN, Client, problem_of, told
from tests.unit.gateway.shop import ORDER_ID, ORDER_TOKEN, path_of
from tests.unit.gateway.signing import ROLES, SESSION_IDS, access_token

TOKENS: dict[str, str | None] = {"guest": None, "owner": ORDER_TOKEN, **{role: access_token(role) for role in ROLES}}
GUARDED = [route for route in ROUTES if route.access not in (Access.PUBLIC, Access.ANYONE)]
BY_PERMISSION = [route for route in ROUTES if not isinstance(route.access, Access)]
AS_IDENTITY = ("get_keys", "get_standing")


def name_of(route: Route[Any]) -> str:
    return f"{route.method} {route.path}"


def asked_of_services(client: Client) -> list[str]:
    """What the services were asked, but for who the caller is."""
    return [method for method, _ in client.shop.asked if method not in AS_IDENTITY]


@pytest.mark.parametrize("who", TOKENS)
@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_route_admits_whom_the_table_says(route: Route[Any], who: str) -> None:
    client = Client()
    response = client.ask(route.method, path_of(route.path), token=TOKENS[who])
    verdict = access_table.verdict(route.access, who)
    if verdict in ("401", "403"):
        code = {"401": "invalid_token" if who == "owner" else "unauthenticated", "403": "forbidden"}[verdict]
        problem_of(response, int(verdict), code)
        assert asked_of_services(client) == []
    elif response.status in (401, 403):
        # Let in, and refused by a service: what was sent proves nothing.
        assert told(response)["code"] in ("webhook_not_verified", "unauthenticated")
        assert asked_of_services(client)


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
def test_guarded_route_says_how_to_authenticate(route: Route[Any]) -> None:
    response = Client().ask(route.method, path_of(route.path))
    assert response.headers["www-authenticate"] == 'Bearer realm="pasar"'


@pytest.mark.parametrize("route", BY_PERMISSION, ids=name_of)
def test_order_token_in_the_query_gives_no_permission(route: Route[Any]) -> None:
    client = Client()
    response = client.ask(route.method, f"{path_of(route.path)}?access_token={ORDER_TOKEN}")
    problem_of(response, 401, "invalid_token")
    assert client.shop.asked == []


@pytest.mark.parametrize("token", [STAFF_TOKEN, access_token("admin")])
@pytest.mark.parametrize("route", BY_PERMISSION, ids=name_of)
def test_token_of_a_person_gives_nothing_in_the_query(route: Route[Any], token: str) -> None:
    client = Client()
    problem_of(client.ask(route.method, f"{path_of(route.path)}?access_token={token}"), 401, "invalid_token")
    assert client.shop.asked == []


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
def test_ended_session_opens_nothing(route: Route[Any]) -> None:
    client = Client()
    client.shop.ended_sessions.add(SESSION_IDS["admin"])
    problem_of(client.ask(route.method, path_of(route.path), token=TOKENS["admin"]), 401, "invalid_token")
    assert asked_of_services(client) == []


@pytest.mark.parametrize("path", [route.path for route in ROUTES if route.access is Access.PUBLIC])
def test_public_route_does_not_look_at_tokens(path: str) -> None:
    route = next(route for route in ROUTES if route.path == path)
    client = Client()
    with_token = client.ask(route.method, path_of(path), token=access_token(exp=1))
    assert with_token.status == Client().ask(route.method, path_of(path)).status
    assert "get_standing" not in [method for method, _ in client.shop.asked]


def test_owner_is_judged_by_the_order_service() -> None:
    path = f"/api/orders/{ORDER_ID}"
    for who, status in (("owner", 200), ("customer", 200), ("buyer", 404), ("staff", 200), ("admin", 200)):
        assert Client().ask("GET", path, token=TOKENS[who]).status == status
    problem_of(Client().ask("GET", path, token=ORDER_TOKEN.upper()), 404, "order_not_found")


@pytest.mark.parametrize("kind", PERMISSIONS)
def test_admission_is_the_one_table_of_rights(kind: Kind) -> None:
    who = Caller(Principal(kind=kind, id="x"), token_sent=True)
    for permissions in PERMISSIONS.values():
        for permission in permissions:
            if permission in PERMISSIONS[kind]:
                admit(permission, who)
            else:
                with pytest.raises(Unauthenticated if kind == "guest" else Forbidden):
                    admit(permission, who)


def test_description_says_who_may_call() -> None:
    paths = document(ROUTES, "1")["paths"]
    for route in ROUTES:
        operation = paths[route.path][route.method.lower()]
        statuses = operation["responses"]
        assert ("401" in statuses) == (route.access is not Access.PUBLIC or 401 in route.refuses)
        assert ("429" in statuses) == (route.limit is not None or 429 in route.refuses)
        if not isinstance(route.access, Access):
            assert operation["security"] == [{"bearer": []}]
            assert f"`{route.access}`" in operation["description"]
            assert ("403" in statuses) == (len(kinds_admitted(route.access)) < len(ROLES) or 403 in route.refuses)
    assert paths["/health"]["get"]["security"] == []
    assert {} in paths["/api/products"]["get"]["security"]


def test_requests_are_counted_by_what_they_do() -> None:
    limits = {(route.method, route.path): route.limit for route in ROUTES}
    assert limits["POST", "/api/orders"] == "checkout"
    signing_in = {path for (_, path), limit in limits.items() if limit == "sign_in"}
    assert signing_in == {"/api/auth/register", "/api/auth/login", "/api/users/me/password"}
    assert {path for (_, path), limit in limits.items() if limit == "webhook"} == {
        "/api/webhooks/{provider}",
        "/api/webhooks/{provider}/{secret}",
    }
    assert {method for (method, _), limit in limits.items() if limit == "read"} == {"GET"}


def test_committed_table_is_what_the_routes_declare() -> None:
    assert access_table.FILE.read_text() == access_table.text(), "run python -m tests.access_table"


def test_table_has_every_route_once() -> None:
    rows = [line for line in access_table.text().splitlines() if line.startswith("| `")]
    assert len(rows) == len(ROUTES)
    assert all(any(row.startswith(f"| `{name_of(route)}` |") for row in rows) for route in ROUTES)


def test_table_tells_a_new_route_from_an_open_one() -> None:
    async def handler(_asked: Any) -> Any:
        raise AssertionError("it is never asked")

    route = Route("GET", "/api/secrets", "keys:rotate", handler, Nothing, "Secrets")
    assert access_table.row(route) == "| `GET /api/secrets` | `keys:rotate` | 401 | 401 | 403 | 403 | 403 | yes |"
