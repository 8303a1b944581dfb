"""Reserving stock for orders: alone, again, and against others."""

import asyncio

import pytest

from inventory.application.rounds import ROUNDS, decided
from inventory.domain.errors import InsufficientInventory, ReservationEnded
from shared_kernel.contracts.inventory import Allocation, OrderStock, ReserveStock
from shared_kernel.errors import Forbidden, Unavailable
from shared_kernel.sql import ConstraintViolated
from tests.unit.inventory.inventory_world import CUP, HOLD_SECONDS, PEN, Kind, World, counted, order, run

SURABAYA = (-7.2575, 112.7521)


def test_a_hold_reserves_its_pieces_and_tells_of_it() -> None:
    world = World()
    warehouse = world.warehouse("JKT")
    world.count(warehouse, PEN, 5)
    world.count(warehouse, CUP, 3)
    held = world.reserve("ord_1", pens=2, cups=1)
    assert held.status == "held"
    assert held.expires_at == "2026-11-21T08:40:00.000Z"
    assert [(piece.product_id, piece.quantity) for piece in held.allocations] == [(PEN, 2), (CUP, 1)]
    assert world.counters() == [(5, 2), (3, 1)]
    assert world.available(PEN) == 3
    (told,) = world.events("stock.reserved")
    assert told["order_id"] == "ord_1"
    assert told["allocations"] == [piece.model_dump() for piece in held.allocations]
    assert world.published == 1


def test_the_nearest_warehouse_gives_first_and_the_order_is_split_where_it_has_not_enough() -> None:
    world = World()
    far = world.warehouse("SBY", *SURABAYA)
    near = world.warehouse("JKT")
    world.count(near, PEN, 3)
    world.count(far, PEN, 10)
    pieces = {piece.warehouse_code: piece.quantity for piece in world.reserve("ord_1", pens=5).allocations}
    assert pieces == {"JKT": 3, "SBY": 2}


def test_a_product_on_two_lines_is_summed_before_it_is_checked() -> None:
    world = World()
    world.count(world.warehouse("JKT"), PEN, 5)
    twice = order("ord_1", pens=3).lines * 2
    with pytest.raises(InsufficientInventory) as refusal:
        run(world.orders.reserve(order("ord_1", pens=3).model_copy(update={"lines": twice})))
    assert refusal.value.details == {"missing": [{"product_id": PEN, "requested": 6, "available": 5}]}


def test_one_missing_product_reserves_nothing_of_the_others() -> None:
    world = World()
    warehouse = world.warehouse("JKT")
    world.count(warehouse, PEN, 5)
    world.count(warehouse, CUP, 1)
    with pytest.raises(InsufficientInventory) as refusal:
        world.reserve("ord_1", pens=2, cups=2)
    assert refusal.value.details == {"missing": [{"product_id": CUP, "requested": 2, "available": 1}]}
    assert world.counters() == [(5, 0), (1, 0)]
    assert world.events("stock.reserved") == []


def test_reserving_again_answers_the_recorded_hold() -> None:
    world = World()
    world.count(world.warehouse("JKT"), PEN, 5)
    first = world.reserve("ord_1", pens=2)
    world.wait(5)
    assert world.reserve("ord_1", pens=2) == first
    assert world.counters() == [(5, 2)]
    assert len(world.events("stock.reserved")) == 1


def test_reserving_again_after_the_confirmation_answers_the_confirmed_reservation() -> None:
    world = World()
    world.count(world.warehouse("JKT"), PEN, 5)
    world.reserve("ord_1", pens=2)
    confirmed = world.confirm("ord_1")
    world.wait(HOLD_SECONDS + 1)
    assert world.reserve("ord_1", pens=2) == confirmed
    assert world.counters() == [(3, 0)]


@pytest.mark.parametrize("swept", [False, True], ids=["before the sweep", "after it"])
@pytest.mark.parametrize("ran_out", [False, True], ids=["released in time", "released when it had run out"])
def test_an_order_that_was_released_never_holds_anything_again(ran_out: bool, swept: bool) -> None:
    world = World()
    world.count(world.warehouse("JKT"), PEN, 5)
    world.reserve("ord_1", pens=1)
    world.wait(HOLD_SECONDS if ran_out else 0)
    if swept:
        world.sweep()
    assert world.release("ord_1").status == "released"
    with pytest.raises(ReservationEnded):
        world.reserve("ord_1", pens=1)
    assert world.counters() == [(5, 0)]
    assert [told["previous_status"] for told in world.events("stock.released")] == ["held"]


@pytest.mark.parametrize("swept", [False, True], ids=["before the sweep", "after it"])
def test_an_order_whose_hold_ran_out_holds_anew_what_is_there(swept: bool) -> None:
    world = World()
    near, far = world.warehouse("JKT"), world.warehouse("SUB", latitude=-7.3)
    world.count(near, PEN, 2)
    world.count(far, PEN, 2)
    first = world.reserve("ord_1", pens=2)
    world.wait(HOLD_SECONDS)
    if swept:
        assert world.sweep() == 1
    others = world.reserve("ord_2", pens=2)
    anew = world.reserve("ord_1", pens=2)
    assert {piece.warehouse_id for piece in (*others.allocations, *anew.allocations)} == {near, far}
    assert first.expires_at is not None
    assert anew.expires_at is not None
    assert anew.expires_at > first.expires_at
    assert world.reserve("ord_1", pens=2) == anew
    assert world.confirm("ord_1").allocations == anew.allocations
    assert sorted(world.counters()) == [(0, 0), (2, 2)]
    assert world.confirm("ord_2").status == "confirmed"
    assert world.counters() == [(0, 0), (0, 0)]
    assert world.release("ord_1").status == "released"
    assert sorted(world.counters()) == [(0, 0), (2, 0)]


def test_an_order_whose_hold_ran_out_and_whose_pieces_are_gone_is_told_what_is_missing() -> None:
    world = World()
    world.count(world.warehouse("JKT"), PEN, 2)
    world.reserve("ord_1", pens=2)
    world.wait(HOLD_SECONDS)
    world.reserve("ord_2", pens=1)
    with pytest.raises(InsufficientInventory):
        world.reserve("ord_1", pens=2)
    assert world.counters() == [(2, 1)]
    with pytest.raises(ReservationEnded):
        world.confirm("ord_1")


def test_a_release_that_overtakes_a_new_hold_wins() -> None:
    world = World()
    world.count(world.warehouse("JKT"), PEN, 2)
    world.reserve("ord_1", pens=2)
    world.wait(HOLD_SECONDS)
    world.sweep()
    world.database.meanwhile = lambda: world.orders.release(OrderStock(order_id="ord_1"))
    with pytest.raises(ReservationEnded):
        world.reserve("ord_1", pens=2)
    assert world.counters() == [(2, 0)]


def test_fifty_orders_at_once_for_the_last_ten_pieces_give_ten_holds() -> None:
    world = World()
    world.count(world.warehouse("JKT"), PEN, 7)
    world.count(world.warehouse("SBY", *SURABAYA), PEN, 3)
    outcomes = _at_once(world, [order(f"ord_{number}", pens=1) for number in range(50)])
    assert outcomes.count("held") == 10
    assert outcomes.count("insufficient_inventory") == 40
    assert sorted(world.counters()) == [(3, 3), (7, 7)]
    assert world.database.batches_refused > 0


def test_the_same_order_twice_at_once_is_held_once() -> None:
    world = World()
    world.count(world.warehouse("JKT"), PEN, 9)
    assert _at_once(world, [order("ord_1", pens=2)] * 5) == ["held"] * 5
    assert world.counters() == [(9, 2)]


def test_orders_of_many_pieces_at_once_never_take_more_than_there_is() -> None:
    world = World()
    for number in range(4):
        world.count(world.warehouse(f"W{number}0", -6.2 - number), PEN, 6)
    outcomes = _at_once(world, [order(f"ord_{number}", pens=5) for number in range(12)])
    assert sorted(set(outcomes)) == ["held", "insufficient_inventory"]
    assert outcomes.count("held") == 4
    assert sum(int(reserved or 0) for _, reserved in world.counters()) == 20


def test_a_hold_that_lost_its_pieces_to_another_is_planned_anew() -> None:
    world = World()
    near, far = world.warehouse("JKT"), world.warehouse("SBY", *SURABAYA)
    world.count(near, PEN, 2)
    world.count(far, PEN, 2)
    world.database.meanwhile = lambda: world.orders.reserve(order("ord_rival", pens=2))
    held = world.reserve("ord_1", pens=2)
    assert [piece.warehouse_code for piece in held.allocations] == ["SBY"]
    assert world.database.batches_refused == 1


def test_who_is_overtaken_in_every_round_is_told_to_come_back_and_has_changed_nothing() -> None:
    world = World()
    rounds = 0

    async def overtaken(_now: object) -> str:
        nonlocal rounds
        rounds += 1
        raise ConstraintViolated("another was quicker")

    with pytest.raises(Unavailable):
        run(decided(overtaken, world.clock))
    assert rounds == ROUNDS


def test_pieces_of_a_hold_that_ran_out_can_be_had_before_the_sweep() -> None:
    world = World()
    world.count(world.warehouse("JKT"), PEN, 3)
    world.reserve("ord_late", pens=3)
    world.wait(HOLD_SECONDS - 1)
    assert world.available(PEN) == 0
    with pytest.raises(InsufficientInventory):
        world.reserve("ord_1", pens=2)
    world.wait(1)
    assert world.available(PEN) == 3
    assert world.reserve("ord_1", pens=2).status == "held"
    assert world.counters() == [(3, 2)]
    assert [(told["order_id"], told["status"]) for told in world.events("stock.released")] == [("ord_late", "expired")]


def test_many_orders_at_once_share_the_pieces_of_holds_that_ran_out() -> None:
    world = World()
    world.count(world.warehouse("JKT"), PEN, 30)
    for number in range(30):
        world.reserve(f"ord_late_{number}", pens=1)
    world.wait(HOLD_SECONDS)
    outcomes = _at_once(world, [order(f"ord_{number}", pens=1) for number in range(50)])
    assert outcomes.count("held") == 30
    assert outcomes.count("insufficient_inventory") == 20
    assert world.counters() == [(30, 30)]


def test_low_stock_is_told_once_for_each_crossing() -> None:
    world = World()
    warehouse = world.warehouse("JKT")
    world.count(warehouse, PEN, 10, threshold=4)
    world.reserve("ord_1", pens=5)
    assert world.events("stock.low") == []
    world.reserve("ord_2", pens=2)
    world.reserve("ord_3", pens=1)
    (told,) = world.events("stock.low")
    assert told == {
        "product_id": PEN,
        "warehouse_id": warehouse,
        "warehouse_code": "JKT",
        "available": 3,
        "low_stock_threshold": 4,
    }
    world.release("ord_1")
    world.reserve("ord_4", pens=6)
    assert len(world.events("stock.low")) == 2


def test_of_many_orders_at_once_one_tells_of_low_stock() -> None:
    world = World()
    world.count(world.warehouse("JKT"), PEN, 20, threshold=10)
    assert _at_once(world, [order(f"ord_{number}", pens=1) for number in range(20)]) == ["held"] * 20
    assert [told["available"] for told in world.events("stock.low")] == [10]


@pytest.mark.parametrize("kind", ["guest", "staff"])
def test_only_a_service_may_reserve_confirm_or_release(kind: Kind) -> None:
    world = World()
    world.count(world.warehouse("JKT"), PEN, 5)
    caller = world.reservations(kind)
    for work in (
        caller.reserve(order("ord_1", pens=1)),
        caller.confirm(OrderStock(order_id="ord_1")),
        caller.release(OrderStock(order_id="ord_1")),
    ):
        with pytest.raises(Forbidden):
            run(work)
    assert world.database.query("SELECT * FROM reservations") == []


def test_the_schema_itself_refuses_to_oversell() -> None:
    world = World()
    world.count(world.warehouse("JKT"), PEN, 5)
    for change in ("reserved = 6", "reserved = -1", "on_hand = -1"):
        with pytest.raises(ConstraintViolated, match="no_overselling"):
            world.database.query(f"UPDATE stock SET {change}, version = version + 1")


def test_a_count_between_reading_and_reserving_is_respected() -> None:
    world = World()
    warehouse = world.warehouse("JKT")
    world.count(warehouse, PEN, 5)
    world.database.meanwhile = lambda: world.staff.set_stock(counted(warehouse, PEN, 1))
    with pytest.raises(InsufficientInventory) as refusal:
        world.reserve("ord_1", pens=2)
    assert refusal.value.details == {"missing": [{"product_id": PEN, "requested": 2, "available": 1}]}


def test_a_split_order_is_answered_again_as_it_was_at_first() -> None:
    world = World()
    far = world.warehouse("SBY", *SURABAYA)
    world.wait(1)
    near = world.warehouse("JKT")
    world.count(far, PEN, 5)
    world.count(near, PEN, 3)
    world.count(near, CUP, 1)
    expected = [
        Allocation(product_id=PEN, warehouse_id=far, warehouse_code="SBY", quantity=2),
        Allocation(product_id=PEN, warehouse_id=near, warehouse_code="JKT", quantity=3),
        Allocation(product_id=CUP, warehouse_id=near, warehouse_code="JKT", quantity=1),
    ]
    assert world.reserve("ord_1", pens=5, cups=1).allocations == expected
    assert world.reserve("ord_1", pens=5, cups=1).allocations == expected


def test_only_holds_on_the_wanted_products_are_swept_by_an_order() -> None:
    world = World()
    warehouse = world.warehouse("JKT")
    world.count(warehouse, PEN, 2)
    world.count(warehouse, CUP, 2)
    world.reserve("ord_pens", pens=2)
    world.reserve("ord_cups", cups=2)
    world.wait(HOLD_SECONDS)
    world.reserve("ord_1", pens=1)
    assert [told["order_id"] for told in world.events("stock.released")] == ["ord_pens"]


def _at_once(world: World, requests: list[ReserveStock]) -> list[str]:
    """The status or the refusal's code of each, when all of them read before any of them writes."""

    async def one(request: ReserveStock) -> str:
        try:
            return (await world.orders.reserve(request)).status
        except (InsufficientInventory, Unavailable) as refusal:
            return refusal.code

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*map(one, requests))

    return run(all_of_them())
