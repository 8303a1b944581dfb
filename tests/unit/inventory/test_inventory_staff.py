"""What staff do with warehouses and stock, and what others may see of it."""

import json

import pytest
from pydantic import ValidationError

from inventory.domain.errors import CodeTaken, StockChanged, StockReserved, WarehouseNotFound
from shared_kernel.contracts.inventory import GetAvailability, ListStock, NewWarehouse
from shared_kernel.contracts.model import Nothing
from shared_kernel.errors import Forbidden, Unauthenticated
from tests.unit.inventory.inventory_world import CUP, HOLD_SECONDS, PEN, Kind, World, counted, order, run


def test_warehouses_are_listed_by_code() -> None:
    world = World()
    second, first = world.warehouse("SBY", -7.25, 112.75), world.warehouse("JKT", -6.5, 106.75)
    assert json.loads(run(world.staff.list_warehouses(Nothing()))) == {
        "items": [
            {"id": first, "code": "JKT", "name": "JKT", "latitude": -6.5, "longitude": 106.75},
            {"id": second, "code": "SBY", "name": "SBY", "latitude": -7.25, "longitude": 112.75},
        ]
    }


def test_a_code_is_given_to_one_warehouse() -> None:
    world = World()
    world.warehouse("JKT")
    with pytest.raises(CodeTaken):
        world.warehouse("JKT")


@pytest.mark.parametrize(("latitude", "longitude"), [(90.1, 0), (0, -180.1), (float("nan"), 0)])
def test_a_warehouse_lies_on_the_globe(latitude: float, longitude: float) -> None:
    with pytest.raises(ValidationError):
        NewWarehouse(code="JKT", name="Jakarta", latitude=latitude, longitude=longitude)


def test_a_count_replaces_the_one_before() -> None:
    world = World()
    warehouse = world.warehouse("JKT")
    world.count(warehouse, PEN, 5)
    level = world.count(warehouse, PEN, 8, threshold=2)
    assert (level.on_hand, level.reserved, level.available, level.low_stock_threshold) == (8, 0, 8, 2)
    assert world.counters() == [(8, 0)]


def test_a_count_in_no_warehouse_is_not_found() -> None:
    with pytest.raises(WarehouseNotFound):
        World().count("whs_none", PEN, 5)


def test_a_count_that_expected_another_number_is_refused_and_says_the_number() -> None:
    world = World()
    warehouse = world.warehouse("JKT")
    world.count(warehouse, PEN, 5)
    with pytest.raises(StockChanged) as refusal:
        run(world.staff.set_stock(counted(warehouse, PEN, 9, expected=4)))
    assert refusal.value.details == {"on_hand": 5}
    assert run(world.staff.set_stock(counted(warehouse, PEN, 9, expected=5))).on_hand == 9
    assert run(world.staff.set_stock(counted(warehouse, CUP, 1, expected=0))).on_hand == 1


def test_of_two_counts_that_expect_the_same_number_one_is_refused() -> None:
    world = World()
    warehouse = world.warehouse("JKT")
    world.count(warehouse, PEN, 5)
    world.database.meanwhile = lambda: world.staff.set_stock(counted(warehouse, PEN, 7, expected=5))
    with pytest.raises(StockChanged):
        run(world.staff.set_stock(counted(warehouse, PEN, 9, expected=5)))
    assert world.counters() == [(7, 0)]


def test_two_first_counts_at_once_are_both_recorded_one_after_the_other() -> None:
    world = World()
    warehouse = world.warehouse("JKT")
    world.database.meanwhile = lambda: world.staff.set_stock(counted(warehouse, PEN, 7))
    assert world.count(warehouse, PEN, 9).on_hand == 9
    assert world.database.batches_refused == 1


def test_fewer_than_are_reserved_cannot_be_on_hand() -> None:
    world = World()
    warehouse = world.warehouse("JKT")
    world.count(warehouse, PEN, 5)
    world.reserve("ord_1", pens=3)
    with pytest.raises(StockReserved) as refusal:
        world.count(warehouse, PEN, 2)
    assert refusal.value.details == {"reserved": 3}
    assert world.count(warehouse, PEN, 3).available == 0


def test_a_reservation_that_overtakes_a_count_is_respected_by_it() -> None:
    world = World()
    warehouse = world.warehouse("JKT")
    world.count(warehouse, PEN, 5)
    world.database.meanwhile = lambda: world.orders.reserve(order("ord_1", pens=4))
    with pytest.raises(StockReserved):
        world.count(warehouse, PEN, 2)
    assert world.counters() == [(5, 4)]


def test_a_hold_that_ran_out_does_not_stand_in_the_way_of_a_count() -> None:
    world = World()
    warehouse = world.warehouse("JKT")
    world.count(warehouse, PEN, 5)
    world.reserve("ord_1", pens=3)
    world.wait(HOLD_SECONDS)
    assert world.count(warehouse, PEN, 0).on_hand == 0
    assert len(world.events("stock.released")) == 1


def test_a_count_that_crosses_the_threshold_downwards_tells_of_it_once() -> None:
    world = World()
    warehouse = world.warehouse("JKT")
    world.count(warehouse, PEN, 3, threshold=5)
    world.count(warehouse, PEN, 6, threshold=5)
    assert world.events("stock.low") == []
    world.count(warehouse, PEN, 5, threshold=5)
    world.count(warehouse, PEN, 4, threshold=5)
    assert [told["available"] for told in world.events("stock.low")] == [5]


def test_the_list_of_stock_shows_all_levels_or_the_low_ones() -> None:
    world = World()
    jakarta, surabaya = world.warehouse("JKT"), world.warehouse("SBY")
    world.count(surabaya, PEN, 5, threshold=5)
    world.count(jakarta, PEN, 9, threshold=5)
    world.count(jakarta, CUP, 7, threshold=5)
    world.reserve("ord_1", cups=2)
    everything = json.loads(run(world.staff.list_stock(ListStock())))["items"]
    low = json.loads(run(world.staff.list_stock(ListStock(low=True))))["items"]
    assert [(one["product_id"], one["warehouse_code"]) for one in everything] == [
        (PEN, "JKT"),
        (PEN, "SBY"),
        (CUP, "JKT"),
    ]
    assert low == everything[1:]
    assert low[1] == {
        "warehouse_id": jakarta,
        "warehouse_code": "JKT",
        "product_id": CUP,
        "on_hand": 7,
        "reserved": 2,
        "available": 5,
        "low_stock_threshold": 5,
    }
    world.wait(HOLD_SECONDS)
    low = json.loads(run(world.staff.list_stock(ListStock(low=True))))["items"]
    assert [one["product_id"] for one in low] == [PEN]


def test_an_empty_shop_has_empty_lists() -> None:
    world = World()
    assert json.loads(run(world.staff.list_stock(ListStock()))) == {"items": []}
    assert json.loads(run(world.staff.list_warehouses(Nothing()))) == {"items": []}


def test_a_product_without_stock_has_nothing_available() -> None:
    assert World().available("prd_unknown") == 0


def test_only_staff_see_where_the_pieces_are() -> None:
    world = World()
    world.count(world.warehouse("SBY"), PEN, 5)
    world.count(world.warehouse("JKT"), PEN, 2)
    request = GetAvailability(product_id=PEN)
    for_guests = run(world.stock("guest").get_availability(request))
    for_staff = run(world.stock("staff").get_availability(request))
    assert (for_guests.available, for_guests.warehouses) == (7, None)
    assert [(level.warehouse_code, level.available) for level in for_staff.warehouses or []] == [("JKT", 2), ("SBY", 5)]


@pytest.mark.parametrize(("kind", "refusal"), [("guest", Unauthenticated), ("service", Forbidden)])
def test_only_staff_may_look_after_stock(kind: Kind, refusal: type[Exception]) -> None:
    world = World()
    caller = world.admin(kind)
    for work in (
        caller.create_warehouse(NewWarehouse(code="JKT", name="Jakarta", latitude=0, longitude=0)),
        caller.list_warehouses(Nothing()),
        caller.set_stock(counted("whs_1", PEN, 5)),
        caller.list_stock(ListStock()),
    ):
        with pytest.raises(refusal):
            run(work)
    assert world.database.query("SELECT * FROM warehouses") == []


def test_health_is_the_databases() -> None:
    world = World()
    health = run(world.stock("guest").health(Nothing()))
    assert (health.status, health.database) == ("ok", "ok")
    world.database.close()
    health = run(world.stock("guest").health(Nothing()))
    assert (health.status, health.database) == ("degraded", "unavailable")
