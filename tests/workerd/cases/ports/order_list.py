"""The list of orders: every event brings its row forward once, and the pages show each order once."""

import json

from pydantic import ValidationError

from order.application.ports import Owner
from order.infrastructure.d1 import D1OrderList
from shared_kernel.contracts.order import ListOrders, OrderStatus, OrderSummary
from shared_kernel.errors import Invalid
from shared_kernel.events import Event, event
from shared_kernel.ids import derived_id
from shared_kernel.inbox import once
from shared_kernel.money import LARGEST_AMOUNT_MINOR, Money
from shared_kernel.sql import Database
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.scratch import NOW, TRACEPARENT

TOTAL = Money(amount=LARGEST_AMOUNT_MINOR, currency="IDR")


def told(
    name: str,
    version: int,
    status: OrderStatus = "pending",
    minute: int = 0,
    customer_id: str | None = None,
    company_id: str | None = None,
) -> Event:
    summary = OrderSummary(
        status=status,
        market="retail",
        email=f"{name}@example.com",
        total=TOTAL,
        version=version,
        placed_at=f"2026-11-21T08:{minute:02d}:00.000Z",
        customer_id=customer_id,
        company_id=company_id,
    )
    return event(
        "order.placed",
        derived_id("ord", name),
        summary.model_dump(mode="json"),
        id=f"evt-{name}-{version}",
        at=NOW,
        source="/services/order",
        traceparent=TRACEPARENT,
    )


def listing(database: Database) -> D1OrderList:
    return D1OrderList(database, lambda: NOW)


async def apply(database: Database, event: Event) -> None:
    await once(database, event, NOW, [listing(database).applied(event)])


async def test_an_event_brings_the_row_to_its_version(order_db: Database) -> None:
    orders = listing(order_db)
    assert await orders.version_of(derived_id("ord", "a")) == 0
    await apply(order_db, told("a", 3))
    await apply(order_db, told("a", 7, "confirmed"))
    assert await orders.version_of(derived_id("ord", "a")) == 7
    page = json.loads(await orders.page(ListOrders()))
    assert page["next_cursor"] is None
    (item,) = page["items"]
    assert (item["status"], item["version"], item["total"]) == ("confirmed", 7, TOTAL.model_dump())


async def test_events_that_come_twice_or_late_change_nothing(order_db: Database) -> None:
    orders = listing(order_db)
    await apply(order_db, told("a", 7, "confirmed"))
    await apply(order_db, told("a", 3, "pending"))
    await apply(order_db, told("a", 7, "rejected"))
    (item,) = json.loads(await orders.page(ListOrders()))["items"]
    assert (item["status"], item["version"]) == ("confirmed", 7)
    assert len(await order_db.rows("SELECT event_id FROM inbox")) == 2


async def test_an_event_that_says_something_else_is_refused_and_not_recorded(order_db: Database) -> None:
    broken = told("a", 3).model_copy(update={"data": {"status": "pending"}})
    with raises(ValidationError):
        await apply(order_db, broken)
    assert await order_db.rows("SELECT event_id FROM inbox") == []


async def test_the_pages_show_each_order_once_newest_first(order_db: Database) -> None:
    orders = listing(order_db)
    for number, name in enumerate("abcde"):
        await apply(order_db, told(name, 3, minute=number // 2))
    seen: list[dict[str, str]] = []
    cursor: str | None = None
    for _ in range(3):
        page = json.loads(await orders.page(ListOrders(limit=2, cursor=cursor)))
        seen += page["items"]
        cursor = page["next_cursor"]
    assert cursor is None
    assert sorted(item["email"][0] for item in seen) == list("abcde")
    places = [(item["placed_at"], item["id"]) for item in seen]
    assert places == sorted(places, reverse=True)


async def test_the_list_is_filtered(order_db: Database) -> None:
    orders = listing(order_db)
    await apply(order_db, told("a", 3))
    await apply(order_db, told("b", 7, "confirmed"))

    async def emails(**wanted: str) -> list[str]:
        page = json.loads(await orders.page(ListOrders.model_validate(wanted)))
        return [item["email"] for item in page["items"]]

    assert await emails(status="confirmed") == ["b@example.com"]
    assert await emails(customer="a@example.com") == ["a@example.com"]
    assert await emails(customer="a@example.com", status="confirmed") == []
    with raises(Invalid):
        await orders.page(ListOrders(cursor="bm9uc2Vuc2U"))


async def test_everybody_pages_through_his_own_orders(order_db: Database) -> None:
    orders = listing(order_db)
    owners = {"a": ("usr_1", None), "b": ("usr_1", "com_1"), "c": ("usr_2", "com_1"), "d": (None, None)}
    for minute, (name, (customer_id, company_id)) in enumerate(owners.items()):
        await apply(order_db, told(name, 3, "pending", minute, customer_id, company_id))
        await apply(order_db, told(name, 7, "confirmed", minute, customer_id, company_id))

    async def names(owner: Owner, email: str | None = None) -> list[str]:
        seen: list[str] = []
        cursor: str | None = None
        for _ in range(len(owners)):
            page = json.loads(await orders.page(ListOrders(limit=1, cursor=cursor, customer=email), owner))
            seen += [item["email"][0] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return seen

    assert await names(Owner("usr_1")) == ["b", "a"]
    assert await names(Owner("usr_1", "com_1")) == ["c", "b", "a"]
    assert await names(Owner("usr_2", "com_1")) == ["c", "b"]
    assert await names(Owner("usr_2", "com_1"), "b@example.com") == ["b"]
    assert await names(Owner("com_1", "usr_1")) == []
    assert len(json.loads(await orders.page(ListOrders()))["items"]) == len(owners)


async def test_an_order_that_was_told_before_there_were_accounts_is_nobodys(order_db: Database) -> None:
    before = told("a", 3)
    for field in ("customer_id", "company_id"):
        del before.data[field]
    await apply(order_db, before)
    assert await order_db.rows("SELECT customer_id, company_id FROM orders") == [
        {"customer_id": None, "company_id": None}
    ]


async def test_a_message_that_nobody_could_handle_is_kept_as_it_came(order_db: Database) -> None:
    await listing(order_db).bury("not an event \U0001f480")
    rows = await order_db.rows("SELECT body FROM dead_letters")
    assert rows == [{"body": "not an event \U0001f480"}]
