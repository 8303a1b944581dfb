"""Whose an order is: who may see it, in which market he orders, and what his key and his list are."""

import json
from typing import cast

import pytest

from order.application.orders import Orders
from order.application.ports import Aggregate, Owner
from order.infrastructure.d1 import D1OrderList
from shared_kernel.contracts.company import Spending
from shared_kernel.contracts.order import GetEvents, GetOrder, ListOrders, OrderRequest, Placed, PlaceOrder
from shared_kernel.contracts.product import Market, PricedLines, PriceLines
from shared_kernel.errors import DomainError, Forbidden, Invalid, NotFound, Unauthenticated
from shared_kernel.ids import derived_id
from shared_kernel.permissions import Kind
from shared_kernel.rpc import Json, Principal
from shared_kernel.sql import SqlValue
from tests.unit.order.order_world import (
    ADDRESS,
    BUYER,
    COMPANY_ID,
    GUEST,
    ORDER_ID,
    PRODUCT_ID,
    Hours,
    Nobody,
    OrderWorld,
    now_and_then,
    place,
)
from tests.unit.order.test_order_reconciler import OrderList
from tests.unit.sqlite_database import SqliteDatabase, migrations

USER_ID = derived_id("usr", "sari")
CUSTOMER = Principal(kind="customer", id=USER_ID)
OTHER_COMPANY = derived_id("com", "other")
KEY = "0d3f7f6e-0f62-4b2e-9b62-3f0a3a0d4d55"


def person(kind: Kind, id: str = USER_ID, company_id: str | None = None, credential: str | None = None) -> Principal:
    return Principal(kind=kind, id=id, company_id=company_id, credential=credential)


def seen(world: OrderWorld, who: Principal) -> str:
    """The code with which it is refused to show the order, or that it is shown."""
    order = world.order_for(who)
    codes = set()
    for read in (lambda: order.get_order(GetOrder(id=ORDER_ID)), lambda: order.get_events(GetEvents(id=ORDER_ID))):
        try:
            now_and_then(read())
        except DomainError as refusal:
            codes.add(refusal.code)
        else:
            codes.add("shown")
    (code,) = codes
    return code


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (CUSTOMER, "shown"),
        (person("buyer", company_id=COMPANY_ID), "shown"),
        (person("staff", "usr_staff"), "shown"),
        (person("admin", "usr_admin"), "shown"),
        (person("customer", "usr_other"), "order_not_found"),
        (person("buyer", "usr_other", COMPANY_ID), "order_not_found"),
        (person("service", "gateway"), "order_not_found"),
        (GUEST, "unauthenticated"),
        (person("guest", "guest", credential="guessed"), "order_not_found"),
        (person("guest", USER_ID, credential=""), "order_not_found"),
    ],
)
def test_a_customers_order_is_his_and_the_staffs(who: Principal, code: str) -> None:
    world = OrderWorld()
    assert world.place_by(CUSTOMER).access_token is None
    assert seen(world, who) == code


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (BUYER, "shown"),
        (person("customer", BUYER.id), "shown"),
        (person("buyer", "usr_colleague", COMPANY_ID), "shown"),
        (person("staff", "usr_staff"), "shown"),
        (person("buyer", "usr_stranger", OTHER_COMPANY), "order_not_found"),
        (person("customer", "usr_stranger"), "order_not_found"),
    ],
)
def test_a_buyers_order_is_his_and_his_companys(who: Principal, code: str) -> None:
    world = OrderWorld()
    placed = world.place_by(BUYER)
    assert (placed.customer_id, placed.company_id, placed.market) == (BUYER.id, COMPANY_ID, "wholesale")
    assert seen(world, who) == code


def test_a_guests_order_is_nobodys_but_the_token_holders_and_the_staffs() -> None:
    world = OrderWorld()
    token = world.place()
    assert seen(world, person("guest", "guest", credential=token)) == "shown"
    assert seen(world, person("staff", "usr_staff")) == "shown"
    for kind in ("customer", "buyer"):
        company_id = COMPANY_ID if kind == "buyer" else None
        assert seen(world, person(kind, company_id=company_id, credential=token)) == "order_not_found"


def test_an_order_that_was_stored_before_there_were_accounts_reads_as_a_guests() -> None:
    world = OrderWorld()
    token = world.place()
    # As it was written then.
    drafted = json.dumps({"order_id": ORDER_ID, "market": "retail"})
    world.storage.execute("UPDATE events SET data = ? WHERE type = 'OrderDrafted'", drafted)
    order = now_and_then(world.order("guest", token).get_order(GetOrder(id=ORDER_ID)))
    assert (order.status, order.customer_id, order.company_id) == ("pending", None, None)
    assert seen(world, CUSTOMER) == "order_not_found"
    [row] = world.storage.execute("SELECT event FROM outbox")
    assert json.loads(str(row["event"]))["data"]["customer_id"] is None


def test_the_event_that_tells_of_an_order_says_whose_it_is() -> None:
    world = OrderWorld()
    world.place_by(BUYER)
    [row] = world.storage.execute("SELECT event FROM outbox")
    data = json.loads(str(row["event"]))["data"]
    assert (data["customer_id"], data["company_id"]) == (BUYER.id, COMPANY_ID)


class Prices:
    """The product service, which remembers in which markets it was asked."""

    def __init__(self) -> None:
        self.markets: list[Market] = []

    async def price_lines(self, request: PriceLines) -> PricedLines:
        self.markets.append(request.market)
        return PricedLines(lines=list(place().lines), total=place().total)


class Listing(OrderList):
    """The read model, which remembers whose part of it was wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: list[Owner | None] = []

    async def page(self, request: ListOrders, owner: Owner | None = None) -> Json:
        self.wanted.append(owner)
        return Json("{}")


class Counter:
    """The shop's counter, where each order has a world of its own."""

    def __init__(self) -> None:
        self.worlds: dict[str, OrderWorld] = {}
        self.prices = Prices()
        self.list = Listing()

    def orders(self, principal: Principal) -> Orders:
        def aggregate(order_id: str) -> Aggregate:
            return cast(Aggregate, self.worlds.setdefault(order_id, OrderWorld()).order_for(principal))

        return Orders(aggregate, self.prices, cast(Spending, Nobody()), self.list, principal)

    def place(self, principal: Principal, email: str = "sari@example.com", key: str = KEY) -> Placed:
        request = OrderRequest.model_validate(
            {
                "items": [{"product_id": PRODUCT_ID, "quantity": 2}],
                "email": email,
                "shipping_address": ADDRESS,
                "payment": {"provider": "sandbox", "method": "card", "token": "tok_ok"},
            }
        )
        placing = self.orders(principal).place_order(PlaceOrder(idempotency_key=key, request=request))
        return now_and_then(placing)


@pytest.mark.parametrize(
    ("who", "market", "customer_id", "company_id"),
    [
        (GUEST, "retail", None, None),
        (CUSTOMER, "retail", USER_ID, None),
        (person("staff"), "retail", USER_ID, None),
        (BUYER, "wholesale", BUYER.id, COMPANY_ID),
        # What a token says of a company counts for a buyer alone.
        (person("customer", company_id=COMPANY_ID), "retail", USER_ID, None),
    ],
)
def test_everybody_orders_in_his_market_for_himself_or_his_company(
    who: Principal, market: Market, customer_id: str | None, company_id: str | None
) -> None:
    counter = Counter()
    order = counter.place(who).order
    assert counter.prices.markets == [market]
    assert (order.market, order.customer_id, order.company_id) == (market, customer_id, company_id)
    assert (order.access_token is not None) == (who.kind == "guest")


def test_a_buyer_whose_company_is_not_known_orders_nothing() -> None:
    counter = Counter()
    with pytest.raises(Forbidden) as refusal:
        counter.place(person("buyer"))
    assert refusal.value.code == "company_not_known"
    assert all(world.event_types() == [] for world in counter.worlds.values())


def test_a_key_belongs_to_the_person_whatever_role_he_has() -> None:
    counter = Counter()
    first = counter.place(CUSTOMER)
    again = counter.place(person("buyer", company_id=COMPANY_ID))
    assert (again.order, again.replayed) == (first.order, True)
    assert first.order.id == derived_id("ord", "user", USER_ID, KEY)


def test_the_same_key_of_somebody_else_is_another_order() -> None:
    counter = Counter()
    people = [GUEST, CUSTOMER, person("customer", "usr_other"), BUYER, person("buyer", "usr_colleague", COMPANY_ID)]
    ids = [counter.place(who).order.id for who in people]
    assert len(set(ids)) == len(people)
    assert ids[0] == derived_id("ord", "guest", "guest", KEY)


def test_a_person_cannot_place_another_request_under_his_key() -> None:
    counter = Counter()
    counter.place(CUSTOMER)
    with pytest.raises(Invalid) as refusal:
        counter.place(CUSTOMER, email="other@example.com")
    assert refusal.value.code == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("who", "owner"),
    [
        (CUSTOMER, Owner(USER_ID)),
        (person("staff"), Owner(USER_ID)),
        (BUYER, Owner(BUYER.id, COMPANY_ID)),
        (person("customer", company_id=COMPANY_ID), Owner(USER_ID)),
    ],
)
def test_everybody_lists_his_own_orders_and_a_buyer_his_companys_too(who: Principal, owner: Owner) -> None:
    counter = Counter()
    now_and_then(counter.orders(who).list_own_orders(ListOrders()))
    assert counter.list.wanted == [owner]


@pytest.mark.parametrize(("who", "refusal"), [(GUEST, Unauthenticated), (person("service"), Forbidden)])
def test_who_has_no_account_has_no_list(who: Principal, refusal: type[DomainError]) -> None:
    counter = Counter()
    with pytest.raises(refusal):
        now_and_then(counter.orders(who).list_own_orders(ListOrders()))
    assert counter.list.wanted == []


def test_an_order_that_does_not_exist_is_not_found_by_anybody_with_an_account() -> None:
    for who in (CUSTOMER, BUYER, person("staff")):
        with pytest.raises(NotFound):
            now_and_then(OrderWorld().order_for(who).get_order(GetOrder(id=ORDER_ID)))


class Explained(SqliteDatabase):
    """The read model's database, which tells how it would look for what is asked."""

    def __init__(self) -> None:
        super().__init__(migrations("order"))
        self.plan = ""

    async def text(self, sql: str, *parameters: SqlValue) -> str | None:
        rows = await self.rows(f"EXPLAIN QUERY PLAN {sql}", *parameters)
        self.plan = " ".join(str(row["detail"]) for row in rows)
        return await super().text(sql, *parameters)


@pytest.mark.parametrize(
    ("owner", "indexes"),
    [(Owner(USER_ID), {"customer"}), (Owner(USER_ID, COMPANY_ID), {"customer", "company"})],
)
def test_a_list_of_ones_own_is_read_from_indexes_in_its_order(owner: Owner, indexes: set[str]) -> None:
    database = Explained()
    now_and_then(D1OrderList(database, Hours()).page(ListOrders(), owner))
    assert {kind for kind in ("customer", "company") if f"orders_by_{kind}" in database.plan} == indexes
    assert "TEMP B-TREE" not in database.plan
