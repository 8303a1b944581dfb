"""Every route times everybody who may call: the route table's declaration against what the running system does."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.routes import ROUTES
from gateway.routing import Access, Route
from shared_kernel.contracts.company import Company
from shared_kernel.contracts.order import PlacedOrder
from shared_kernel.permissions import PERMISSIONS, Kind
from tests.system.forgery import Forgery
from tests.system.people import People, Person, bearer
from tests.system.shop import Body, Shop, order_of
from tests.system.test_read_model import wait_until_listed

NOBODY_S_ID = "0" * 26
PREFIXES = {"webhooks": "whk", "sandbox": "pay", "orders": "ord", "payments": "pay", "users": "usr"}


@dataclass(frozen=True)
class Caller:
    """Somebody who calls; `kind` is what the system must take him for, None where it must refuse him."""

    kind: Kind | None
    headers: dict[str, str]


@dataclass(frozen=True)
class Cast:
    """Everybody who calls, and what belongs to one of them; the orders all have one address, and no others have it."""

    persons: dict[str, Person]
    callers: dict[str, Caller]
    email: str
    orders: dict[str, PlacedOrder]
    company: Company


NAMES = (
    "nobody",
    "customer",
    "other customer",
    "buyer",
    "buyer of another company",
    "staff",
    "admin",
    "disabled",
    "expired",
)


@pytest.fixture(scope="module")
def cast(shop: Shop, people: People, forgery: Forgery) -> Cast:
    """Two customers, two companies with a buyer each, employees, and two whose tokens are not good any more."""
    customer, other = people.customer(), people.customer()
    company, company_admin = people.company_with_admin()
    buyer = people.member(company, company_admin)
    elsewhere = people.member(*people.company_with_admin())
    product, email = shop.make_product(on_hand=20), f"{uuid.uuid4().hex}@example.com"
    persons = {
        "customer": customer,
        "other customer": other,
        "buyer": buyer,
        "buyer of another company": elsewhere,
        "staff": people.staff(),
        "admin": people.admin,
    }
    callers = {
        "nobody": Caller("guest", {}),
        "disabled": Caller(None, people.disabled().headers),
        "expired": Caller(None, bearer(forgery.expired(people.customer()))),
    }
    body = order_of({product.id: 1}) | {"email": email}
    orders = {name: ordered(shop, persons[name], body) for name in ("customer", "buyer")}
    orders["nobody"] = shop.place_order(body)
    return Cast(persons, callers, email, orders, company)


@pytest.fixture(autouse=True)
def signed_in(cast: Cast, people: People) -> None:
    """No token but the expired one has expired, however long the tests before have taken."""
    for name, person in cast.persons.items():
        cast.persons[name] = awake = people.awake(person)
        cast.callers[name] = Caller(awake.user.role, awake.headers)


def ordered(shop: Shop, person: Person, body: Body) -> PlacedOrder:
    """An order of this person's."""
    headers = {**person.headers, "idempotency-key": f"access-{person.user.id}"}
    placed = shop.ask("POST", "/api/orders", body, headers=headers)
    assert placed.status_code == 202, placed.text
    return PlacedOrder.model_validate_json(placed.text)


def path_of(route: Route[Any]) -> str:
    """The route's path with an id that nobody has in the place of each parameter."""
    resource = route.path.split("/")[2] if route.path.startswith("/api/") else ""
    path = route.path
    for parameter in route.parameters:
        prefix = parameter.removesuffix("_id")[:3] if parameter != "id" else PREFIXES.get(resource, resource[:3])
        path = path.replace(f"{{{parameter}}}", f"{prefix}_{NOBODY_S_ID}")
    return path


def admitted(route: Route[Any], kind: Kind) -> bool:
    """Whether the declaration lets this kind call the route at all."""
    if isinstance(route.access, Access):
        return route.access is not Access.OWNER or kind != "guest"
    return route.access in PERMISSIONS[kind]


def ends_sessions(route: Route[Any]) -> bool:
    """Whether a call that is let in would end the caller's session, and his part in the tests that follow."""
    return route.path == "/api/auth/logout"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_route_admits_whom_it_declares(shop: Shop, cast: Cast, route: Route[Any], name: str) -> None:
    who = cast.callers[name]
    if ends_sessions(route) and who.kind is not None:
        who = Caller("guest", {})
    answer = shop.ask(route.method, path_of(route), {} if route.takes == "json" else None, headers=who.headers)
    if route.access is Access.PUBLIC:
        assert answer.status_code != 403
    elif who.kind is None:
        assert answer.status_code == 401, answer.text
    elif admitted(route, who.kind):
        assert answer.status_code not in (401, 403) or ends_sessions(route), answer.text
    else:
        assert answer.status_code == (401 if who.kind == "guest" else 403), answer.text


OWNED: dict[str, Callable[[PlacedOrder], tuple[str, str]]] = {
    "order": lambda order: ("GET", f"/api/orders/{order.id}"),
    "history": lambda order: ("GET", f"/api/orders/{order.id}/events"),
    "payment": lambda order: ("GET", f"/api/payments/{order.payment.id}"),
}
MAY_SEE = {
    "customer": {"customer", "staff", "admin"},
    "buyer": {"buyer", "staff", "admin"},
    "nobody": {"staff", "admin"},
}


@pytest.mark.parametrize("owner", MAY_SEE)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("thing", OWNED)
def test_order_is_seen_by_its_owner_and_staff_alone(shop: Shop, cast: Cast, thing: str, owner: str, name: str) -> None:
    order = shop.wait_until_ended(cast.orders[owner])
    method, path = OWNED[thing](order)
    status = shop.ask(method, path, headers=cast.callers[name].headers).status_code
    if name in MAY_SEE[owner]:
        assert status == 200
    elif name in ("nobody", "disabled", "expired"):
        assert status == 401
    else:
        assert status == 404


def test_guest_sees_his_order_by_its_token_and_no_other(shop: Shop, cast: Cast) -> None:
    own, others = cast.orders["nobody"], cast.orders["customer"]
    assert own.access_token is not None
    assert others.access_token is None
    assert shop.ask("GET", f"/api/orders/{own.id}", headers=bearer(own.access_token)).status_code == 200
    assert shop.ask("GET", f"/api/orders/{others.id}", headers=bearer(own.access_token)).status_code == 404


@pytest.mark.parametrize("name", NAMES)
def test_list_of_orders_holds_ones_own(shop: Shop, cast: Cast, name: str) -> None:
    wait_until_listed(shop, [shop.wait_until_ended(order) for order in cast.orders.values()])
    sees_all = name in ("staff", "admin")
    # Among the newest hundred of everybody's, those of other tests may leave no room for these.
    query = f"limit=100&customer={cast.email}" if sees_all else "limit=100"
    answer = shop.ask("GET", f"/api/orders?{query}", headers=cast.callers[name].headers)
    if name in ("nobody", "disabled", "expired"):
        assert answer.status_code == 401
        return
    listed = {order["id"] for order in answer.json()["items"]}
    ours = {owner: order.id for owner, order in cast.orders.items()}
    if name in ("customer", "buyer"):
        assert listed == {ours[name]}
    elif sees_all:
        assert listed == set(ours.values())
    else:
        assert not listed


@pytest.mark.parametrize("name", NAMES)
def test_company_is_seen_by_its_members_and_staff_alone(shop: Shop, cast: Cast, name: str) -> None:
    status = shop.ask("GET", f"/api/companies/{cast.company.id}", headers=cast.callers[name].headers).status_code
    if name in ("buyer", "staff", "admin"):
        assert status == 200
    else:
        assert status == (401 if name in ("nobody", "disabled", "expired") else 404)


def test_buyer_cannot_change_his_own_company(shop: Shop, cast: Cast) -> None:
    body = {"email": "siapa@example.com", "role": "admin"}
    for name, status in (("buyer", 403), ("buyer of another company", 404), ("customer", 404)):
        path = f"/api/companies/{cast.company.id}/members"
        assert shop.ask("POST", path, body, headers=cast.callers[name].headers).status_code == status


def test_nobody_acts_on_what_belongs_to_another(shop: Shop, cast: Cast) -> None:
    order, company = shop.wait_until_ended(cast.orders["buyer"]), cast.company
    member = f"/api/companies/{company.id}/members/{company.members[0].user_id}"
    acts: tuple[tuple[str, str, dict[str, str] | None], ...] = (
        ("POST", f"/api/orders/{order.id}/approve", None),
        ("POST", f"/api/orders/{order.id}/refuse", {"reason": "not mine"}),
        ("POST", f"/api/companies/{company.id}/members", {"email": "siapa@example.com", "role": "admin"}),
        ("PATCH", member, {"role": "buyer"}),
        ("DELETE", member, None),
    )
    before = shop.order(order.id), shop.ask("GET", f"/api/companies/{company.id}", headers=shop.as_staff).json()
    for name in ("customer", "buyer of another company"):
        for method, path, body in acts:
            headers = {**cast.callers[name].headers, "if-match": '"1"'}
            assert shop.ask(method, path, body, headers=headers).status_code in (403, 404), (name, method, path)
    assert before == (
        shop.order(order.id),
        shop.ask("GET", f"/api/companies/{company.id}", headers=shop.as_staff).json(),
    )
