"""How reservations end: confirmed, released, expired, and two of these at once."""

import sqlite3
from datetime import timedelta

import pytest

from inventory.application.expiry import BATCHES_PER_SWEEP, HOLDS_PER_BATCH, sweep
from inventory.domain.errors import ReservationEnded, ReservationNotFound
from inventory.domain.reservation import EFFECTS, Status
from shared_kernel.contracts.inventory import OrderStock
from shared_kernel.sql import ConstraintViolated
from tests.unit.inventory.inventory_world import CUP, HOLD_SECONDS, PEN, World, run

STATUSES: tuple[Status, ...] = ("held", "confirmed", "released", "expired")


@pytest.fixture
def world() -> World:
    """A shop with five pens of which ord_1 holds two."""
    world = World()
    world.count(world.warehouse("JKT"), PEN, 5)
    world.reserve("ord_1", pens=2)
    return world


def test_confirmed_pieces_leave_the_shelf_once(world: World) -> None:
    first = world.confirm("ord_1")
    assert first.status == "confirmed"
    assert world.confirm("ord_1") == first
    assert world.counters() == [(3, 0)]
    assert [told["status"] for told in world.events("stock.confirmed")] == ["confirmed"]


def test_a_confirmation_is_answered_as_recorded_long_after_the_hold_would_have_ended(world: World) -> None:
    first = world.confirm("ord_1")
    world.wait(10 * HOLD_SECONDS)
    assert world.sweep() == 0
    assert world.confirm("ord_1") == first


def test_released_pieces_come_back_once(world: World) -> None:
    first = world.release("ord_1")
    assert first.status == "released"
    assert world.release("ord_1") == first
    assert world.counters() == [(5, 0)]
    assert [told["previous_status"] for told in world.events("stock.released")] == ["held"]


def test_releasing_a_confirmed_reservation_puts_its_pieces_back_on_hand(world: World) -> None:
    world.confirm("ord_1")
    assert world.release("ord_1").status == "released"
    assert world.counters() == [(5, 0)]
    assert [told["previous_status"] for told in world.events("stock.released")] == ["confirmed"]
    with pytest.raises(ReservationEnded):
        world.confirm("ord_1")


def test_a_released_hold_is_not_confirmed(world: World) -> None:
    world.release("ord_1")
    with pytest.raises(ReservationEnded) as refusal:
        world.confirm("ord_1")
    assert refusal.value.details == {"status": "released"}
    assert world.counters() == [(5, 0)]


def test_confirming_what_was_never_reserved_is_not_found(world: World) -> None:
    with pytest.raises(ReservationNotFound):
        world.confirm("ord_other")


def test_an_order_released_before_it_reserved_is_refused_when_it_arrives_late(world: World) -> None:
    tombstone = world.release("ord_2")
    assert (tombstone.status, tombstone.allocations, tombstone.expires_at) == ("released", [], None)
    assert world.release("ord_2") == tombstone
    with pytest.raises(ReservationEnded):
        world.reserve("ord_2", pens=1)
    with pytest.raises(ReservationEnded):
        world.confirm("ord_2")
    assert world.counters() == [(5, 2)]
    assert world.events("stock.released") == []


def test_a_hold_that_ran_out_is_not_confirmed_before_the_sweep_nor_after_it(world: World) -> None:
    world.wait(HOLD_SECONDS)
    with pytest.raises(ReservationEnded):
        world.confirm("ord_1")
    assert world.counters() == [(5, 2)]
    assert world.sweep() == 1
    with pytest.raises(ReservationEnded):
        world.confirm("ord_1")
    assert world.counters() == [(5, 0)]


def test_expired_hold_returns_stock_and_tells_of_it_once(world: World) -> None:
    world.wait(HOLD_SECONDS - 1)
    assert world.sweep() == 0
    world.wait(1)
    assert world.sweep() == 1
    assert world.sweep() == 0
    assert world.counters() == [(5, 0)]
    (told,) = world.events("stock.released")
    assert (told["order_id"], told["previous_status"], told["status"]) == ("ord_1", "held", "expired")
    assert world.release("ord_1").status == "released"
    assert world.counters() == [(5, 0)]
    assert len(world.events("stock.released")) == 1


def test_a_sweep_ends_many_holds_and_leaves_the_living() -> None:
    world = World()
    warehouse = world.warehouse("JKT")
    world.count(warehouse, PEN, 500)
    world.count(warehouse, CUP, 500)
    for number in range(2 * HOLDS_PER_BATCH + 3):
        world.reserve(f"ord_{number}", pens=2, cups=1)
    world.wait(HOLD_SECONDS)
    world.reserve("ord_living", pens=7)
    assert world.sweep() == 2 * HOLDS_PER_BATCH + 3
    assert world.counters() == [(500, 7), (500, 0)]


def test_a_sweep_is_bounded() -> None:
    world = World()
    world.count(world.warehouse("JKT"), PEN, 10_000)
    at, expires = "2026-11-21T08:00:00.000Z", "2026-11-21T08:10:00.000Z"
    too_many = HOLDS_PER_BATCH * BATCHES_PER_SWEEP + 1
    for number in range(too_many):
        world.database.query(
            """INSERT INTO reservations (order_id, status, expires_at, created_at, updated_at)
            VALUES (?, 'held', ?, ?, ?)""",
            f"ord_{number}",
            expires,
            at,
            at,
        )
    assert world.sweep() == too_many - 1
    assert world.sweep() == 1


def test_a_confirmation_that_a_release_overtakes_is_refused_and_changes_nothing(world: World) -> None:
    world.database.meanwhile = lambda: world.orders.release(OrderStock(order_id="ord_1"))
    with pytest.raises(ReservationEnded):
        world.confirm("ord_1")
    assert world.counters() == [(5, 0)]
    assert world.events("stock.confirmed") == []


def test_a_release_that_a_confirmation_overtakes_puts_the_pieces_back_on_hand(world: World) -> None:
    world.reserve("ord_2", pens=2)
    world.database.meanwhile = lambda: world.orders.confirm(OrderStock(order_id="ord_1"))
    assert world.release("ord_1").status == "released"
    assert world.counters() == [(5, 2)]
    assert [told["previous_status"] for told in world.events("stock.released")] == ["confirmed"]


def test_a_confirmation_that_the_sweep_overtakes_is_refused(world: World) -> None:
    later = world.now + timedelta(seconds=HOLD_SECONDS)
    world.database.meanwhile = lambda: sweep(world.stored, lambda: later)
    world.wait(HOLD_SECONDS - 1)
    with pytest.raises(ReservationEnded):
        world.confirm("ord_1")
    assert world.counters() == [(5, 0)]


def test_a_sweep_that_a_release_overtakes_ends_the_other_holds(world: World) -> None:
    world.reserve("ord_2", pens=1)
    world.wait(HOLD_SECONDS)
    world.database.meanwhile = lambda: world.orders.release(OrderStock(order_id="ord_1"))
    assert world.sweep() == 1
    assert world.counters() == [(5, 0)]
    assert len(world.events("stock.released")) == 2


def test_a_sweep_that_can_write_nothing_says_so(world: World) -> None:
    world.wait(HOLD_SECONDS)
    world.database.query("DROP TRIGGER stock_changes_one_at_a_time")
    world.database.query("UPDATE stock SET reserved = 0")
    with pytest.raises(ConstraintViolated, match="no_overselling"):
        world.sweep()


def test_a_release_and_a_reservation_of_the_same_new_order_leave_one_of_two_legal_ends(world: World) -> None:
    world.database.meanwhile = lambda: world.orders.release(OrderStock(order_id="ord_2"))
    with pytest.raises(ReservationEnded):
        world.reserve("ord_2", pens=1)
    assert world.counters() == [(5, 2)]


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_the_schema_refuses_every_illegal_change_of_status(world: World, before: Status, after: Status) -> None:
    world.database.query(
        "INSERT INTO reservations (order_id, status, expires_at, created_at, updated_at) VALUES ('x', ?, '', '', '')",
        before,
    )
    work = "UPDATE reservations SET status = ?, version = version + 1 WHERE order_id = 'x'"
    if (before, after) in EFFECTS or (before, after) == ("expired", "held"):
        world.database.query(work, after)
        assert world.database.query("SELECT status FROM reservations WHERE order_id = 'x'") == [{"status": after}]
        return
    with pytest.raises(ConstraintViolated, match="illegal change of a reservation"):
        world.database.query(work, after)


def test_a_database_that_fails_is_not_taken_for_a_lost_race(world: World) -> None:
    world.database.query("DROP TABLE outbox")
    with pytest.raises(sqlite3.OperationalError, match="outbox"):
        run(world.orders.confirm(OrderStock(order_id="ord_1")))
