"""The inventory's adapters: counters that move with the reservations, all of a batch or none of it."""

import json
from datetime import timedelta

from inventory.domain.reservation import Change, Reservation, hold, never_held
from inventory.domain.stock import Level
from inventory.infrastructure.d1 import D1Reservations, D1Stock, D1Warehouses
from shared_kernel.contracts.inventory import Allocation, Warehouse
from shared_kernel.sql import ConstraintViolated, Database
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.scratch import NOW, thing_made

JAKARTA = Warehouse(id="whs_1", code="JKT", name="Jakarta", latitude=-6.2, longitude=106.816665)
PEN, CUP = "prd_pen", "prd_cup"
HOLD_SECONDS = 600
AFTERWARDS = NOW + timedelta(seconds=HOLD_SECONDS)


def pieces(product_id: str, quantity: int) -> Allocation:
    return Allocation(product_id=product_id, warehouse_id="whs_1", warehouse_code="JKT", quantity=quantity)


def held(order_id: str, *allocations: Allocation) -> Reservation:
    return hold(order_id, allocations, NOW, HOLD_SECONDS)


async def filled(database: Database, threshold: int = 0, **on_hand: int) -> D1Reservations:
    await D1Warehouses(database).add(JAKARTA, NOW)
    stock = D1Stock(database)
    for name, quantity in on_hand.items():
        level = await stock.level("whs_1", f"prd_{name}", NOW)
        assert level is not None
        await stock.save(level.counted(quantity, threshold, None), NOW, ())
    return D1Reservations(database)


async def add(stored: D1Reservations, reservation: Reservation) -> None:
    low = [thing_made(f"low {piece.product_id}") for piece in reservation.allocations]
    await stored.add(reservation, NOW, [thing_made(reservation.order_id)], low)


async def counters(database: Database) -> list[tuple[object, object]]:
    rows = await database.rows("SELECT on_hand, reserved FROM stock ORDER BY product_id")
    return [(row["on_hand"], row["reserved"]) for row in rows]


async def subjects(database: Database) -> list[object]:
    rows = await database.rows("SELECT event ->> 'subject' AS subject FROM outbox ORDER BY position")
    return [row["subject"] for row in rows]


async def test_a_warehouse_is_listed_and_its_code_is_taken(inventory_db: Database) -> None:
    warehouses = D1Warehouses(inventory_db)
    await warehouses.add(JAKARTA, NOW)
    with raises(ConstraintViolated):
        await warehouses.add(JAKARTA.model_copy(update={"id": "whs_2"}), NOW)
    assert json.loads(await warehouses.listed()) == {"items": [JAKARTA.model_dump()]}


async def test_a_level_is_counted_from_version_to_version(inventory_db: Database) -> None:
    await filled(inventory_db)
    stock = D1Stock(inventory_db)
    assert await stock.level("none", PEN, NOW) is None
    never = await stock.level("whs_1", PEN, NOW)
    assert never == Level(
        product_id=PEN,
        warehouse_id="whs_1",
        warehouse_code="JKT",
        latitude=JAKARTA.latitude,
        longitude=JAKARTA.longitude,
    )
    counted = never.counted(1_000_000_000, 5, None)
    await stock.save(counted, NOW, [thing_made("counted")])
    assert await stock.level("whs_1", PEN, NOW) == counted
    with raises(ConstraintViolated):
        await stock.save(counted, NOW, [thing_made("too late")])
    assert await subjects(inventory_db) == ["counted"]


async def test_a_hold_reserves_its_pieces_and_is_told(inventory_db: Database) -> None:
    stored = await filled(inventory_db, pen=10, cup=3)
    reservation = held("ord_1", pieces(CUP, 1), pieces(PEN, 4))
    await add(stored, reservation)
    assert await stored.find("ord_1") == reservation
    assert await counters(inventory_db) == [(3, 1), (10, 4)]
    assert await subjects(inventory_db) == ["ord_1"]
    assert await stored.find("none") is None


async def test_a_hold_on_more_than_there_is_fails_as_a_whole(inventory_db: Database) -> None:
    stored = await filled(inventory_db, pen=10, cup=3)
    with raises(ConstraintViolated):
        await add(stored, held("ord_1", pieces(PEN, 1), pieces(CUP, 4)))
    with raises(ConstraintViolated):
        await add(stored, held("ord_1", pieces(PEN, 1), pieces("prd_unknown", 1)))
    assert await stored.find("ord_1") is None
    assert (await counters(inventory_db), await subjects(inventory_db)) == ([(3, 0), (10, 0)], [])


async def test_an_order_has_one_reservation_even_if_it_never_held_anything(inventory_db: Database) -> None:
    stored = await filled(inventory_db, pen=10)
    await add(stored, held("ord_1", pieces(PEN, 1)))
    await add(stored, never_held("ord_2"))
    for order_id in ("ord_1", "ord_2"):
        with raises(ConstraintViolated):
            await add(stored, held(order_id, pieces(PEN, 1)))
    assert await stored.find("ord_2") == never_held("ord_2")
    assert await counters(inventory_db) == [(10, 1)]


async def test_crossing_the_threshold_is_told_once_with_the_figures(inventory_db: Database) -> None:
    stored = await filled(inventory_db, threshold=5, pen=10)
    for number, quantity in enumerate((4, 1, 1)):
        await add(stored, held(f"ord_{number}", pieces(PEN, quantity)))
    assert await subjects(inventory_db) == ["ord_0", f"low {PEN}", "ord_1", "ord_2"]
    text = await inventory_db.text("SELECT event -> 'data' FROM outbox WHERE event ->> 'subject' LIKE 'low%'")
    assert json.loads(text or "") == {"note": "", "available": 5, "low_stock_threshold": 5}


async def test_confirmed_pieces_leave_the_shelf_and_come_back_when_released(inventory_db: Database) -> None:
    stored = await filled(inventory_db, pen=10)
    before = held("ord_1", pieces(PEN, 4))
    await add(stored, before)
    confirmed = before.confirm(NOW)
    await stored.change([Change(before, confirmed)], NOW, [thing_made("confirmed")])
    assert (await stored.find("ord_1"), await counters(inventory_db)) == (confirmed, [(6, 0)])
    released = confirmed.release()
    await stored.change([Change(confirmed, released)], NOW, [thing_made("released")])
    assert (await stored.find("ord_1"), await counters(inventory_db)) == (released, [(10, 0)])
    assert await subjects(inventory_db) == ["ord_1", "confirmed", "released"]


async def test_a_change_that_comes_second_fails_with_those_beside_it(inventory_db: Database) -> None:
    stored = await filled(inventory_db, pen=10)
    one, two = held("ord_1", pieces(PEN, 4)), held("ord_2", pieces(PEN, 2))
    await add(stored, one)
    await add(stored, two)
    await stored.change([Change(one, one.confirm(NOW))], NOW, ())
    with raises(ConstraintViolated):
        await stored.change([Change(two, two.release()), Change(one, one.release())], NOW, [thing_made("both")])
    assert (await stored.find("ord_2"), await counters(inventory_db)) == (two, [(6, 2)])
    assert await subjects(inventory_db) == ["ord_1", "ord_2"]


async def test_a_hold_that_ran_out_is_held_anew_with_other_pieces_and_not_after_a_release(
    inventory_db: Database,
) -> None:
    stored = await filled(inventory_db, pen=3, cup=3)
    before = held("ord_1", pieces(PEN, 2))
    await add(stored, before)
    late = NOW + timedelta(days=1)
    expired = before.expire(late)
    await stored.change([Change(before, expired)], late, ())
    anew = expired.hold_anew((pieces(CUP, 1),), late, 600)
    await stored.renew(anew, late, [thing_made("anew")], [thing_made("low")])
    assert await stored.find("ord_1") == anew
    assert await counters(inventory_db) == [(3, 1), (3, 0)]
    with raises(ConstraintViolated):
        await stored.renew(anew, late, (), [thing_made("low")])
    released = anew.release()
    await stored.change([Change(anew, released)], late, ())
    with raises(ConstraintViolated):
        await stored.renew(anew.model_copy(update={"version": released.version + 1}), late, (), [thing_made("low")])
    assert await stored.find("ord_1") == released
    assert await counters(inventory_db) == [(3, 0), (3, 0)]


async def test_holds_that_ran_out_are_found_and_do_not_count(inventory_db: Database) -> None:
    stored = await filled(inventory_db, pen=10, cup=3)
    pens, cups = held("ord_1", pieces(PEN, 10)), held("ord_2", pieces(CUP, 1))
    await add(stored, pens)
    await add(stored, cups)
    assert await stored.overdue(NOW, 10, None) == []
    assert await stored.overdue(AFTERWARDS, 10, None) == [pens, cups]
    assert await stored.overdue(AFTERWARDS, 1, None) == [pens]
    assert await stored.overdue(AFTERWARDS, 10, [CUP]) == [cups]
    situation = await stored.situation("ord_1", [PEN], AFTERWARDS)
    assert situation.reservation == pens
    assert [(level.reserved, level.overdue) for level in situation.levels] == [(10, 10)]
    assert (await stored.situation("none", [], NOW)).reservation is None
    stock = D1Stock(inventory_db)
    assert [(level.reserved, level.available) for level in await stock.of_product(PEN, NOW)] == [(10, 0)]
    assert [(level.reserved, level.available) for level in await stock.of_product(PEN, AFTERWARDS)] == [(0, 10)]


async def test_the_list_of_stock_shows_all_or_what_is_low(inventory_db: Database) -> None:
    stored = await filled(inventory_db, threshold=2, pen=10, cup=3)
    await add(stored, held("ord_1", pieces(CUP, 1)))
    stock = D1Stock(inventory_db)

    async def listed(low: bool) -> list[str]:
        return [item["product_id"] for item in json.loads(await stock.listed(low, NOW))["items"]]

    assert (await listed(low=False), await listed(low=True)) == ([CUP, PEN], [CUP])
    assert await stock.answers()
