"""One order in its object: placing, reading as it was, and who may see it."""

import json
from datetime import timedelta

import pytest

from order.application.messages import CarryOut, FindPlaced, GetPaymentMeans, PaymentMeans, PlaceAtPrices
from order.domain import commands
from order.infrastructure.object_storage import FIRST_WAKE_SECONDS
from shared_kernel.clock import rfc3339, to_milliseconds
from shared_kernel.contracts.order import GetEvents, GetOrder
from shared_kernel.errors import DomainError, Forbidden, Invalid, NotFound, Unauthenticated
from tests.unit.order.order_world import ORDER_ID, OrderWorld, now_and_then, place
from tests.unit.order.test_order_decisions import COMMANDS


def carry_out(world: OrderWorld, *names: str) -> None:
    for name in names:
        now_and_then(world.order().carry_out(CarryOut(command=COMMANDS[name])))


def test_the_same_request_is_answered_as_the_first_time() -> None:
    world = OrderWorld()
    request = PlaceAtPrices(order_id=ORDER_ID, fingerprint="same", means=PaymentMeans(token="tok_ok"), command=place())
    first = now_and_then(world.order("guest").place(request))
    carry_out(world, "reserve", "request", "capture", "confirm")
    again = now_and_then(world.order("guest").place(request))
    found = now_and_then(world.order("guest").find_placed(FindPlaced(fingerprint="same")))
    assert again.replayed
    assert again.order == first.order
    assert found.placed == again
    assert world.event_types().count("OrderPlaced") == 1


def test_another_request_under_the_same_key_is_refused_and_changes_nothing() -> None:
    world = OrderWorld()
    world.place()
    before = world.event_types()
    with pytest.raises(Invalid) as refusal:
        now_and_then(world.order("guest").find_placed(FindPlaced(fingerprint="other")))
    assert refusal.value.code == "idempotency_key_reused"
    assert world.event_types() == before


def test_placing_sets_the_alarm_and_fills_the_outbox_with_the_event() -> None:
    world = OrderWorld()
    world.place()
    assert world.storage.alarm_ms == to_milliseconds(world.clock()) + FIRST_WAKE_SECONDS * 1000
    [row] = world.storage.execute("SELECT event FROM outbox")
    event = json.loads(str(row["event"]))
    assert (event["type"], event["subject"], event["data"]["version"]) == ("order.placed", ORDER_ID, 3)
    assert world.changes == [ORDER_ID]


def test_the_order_is_answered_as_it_was_at_a_version() -> None:
    world = OrderWorld()
    world.place()
    carry_out(world, "reserve", "request", "capture", "confirm")
    staff = world.order("staff")
    assert now_and_then(staff.get_order(GetOrder(id=ORDER_ID, version=3))).status == "pending"
    assert now_and_then(staff.get_order(GetOrder(id=ORDER_ID, version=5))).status == "awaiting_payment"
    assert now_and_then(staff.get_order(GetOrder(id=ORDER_ID))).status == "confirmed"


def test_the_order_is_answered_as_it_was_at_a_time() -> None:
    world = OrderWorld()
    world.place()
    placed_at = world.clock()
    world.clock.move(60)
    carry_out(world, "reserve", "request")
    staff = world.order("staff")
    assert now_and_then(staff.get_order(GetOrder(id=ORDER_ID, at=placed_at))).version == 3
    assert now_and_then(staff.get_order(GetOrder(id=ORDER_ID, at=world.clock()))).status == "awaiting_payment"


def test_the_versions_before_the_placing_are_answered_as_the_draft_that_it_was() -> None:
    world = OrderWorld()
    world.place()
    empty = now_and_then(world.order("staff").get_order(GetOrder(id=ORDER_ID, version=1)))
    filled = now_and_then(world.order("staff").get_order(GetOrder(id=ORDER_ID, version=2)))
    assert (empty.status, empty.items, empty.total, empty.email) == ("draft", [], None, None)
    assert (filled.status, filled.items, filled.total) == ("draft", list(place().lines), place().total)


def test_a_clock_that_runs_behind_does_not_turn_the_history_around() -> None:
    world = OrderWorld()
    world.place()
    placed_at = world.clock()
    world.clock.move(-60)
    carry_out(world, "reserve")
    assert {each.occurred_at for each in world.history().recorded()} == {rfc3339(placed_at)}
    assert now_and_then(world.order("staff").get_order(GetOrder(id=ORDER_ID, at=placed_at))).version == 4


def test_a_version_that_is_not_reached_and_a_time_before_the_order_are_not_found() -> None:
    world = OrderWorld()
    world.place()
    staff = world.order("staff")
    with pytest.raises(NotFound):
        now_and_then(staff.get_order(GetOrder(id=ORDER_ID, version=4)))
    with pytest.raises(NotFound):
        now_and_then(staff.get_order(GetOrder(id=ORDER_ID, at=world.clock() - timedelta(seconds=1))))


@pytest.mark.parametrize(("credential", "refusal"), [(None, Unauthenticated), ("wrong", NotFound), ("", NotFound)])
def test_a_guest_without_the_access_token_does_not_see_the_order(
    credential: str | None, refusal: type[DomainError]
) -> None:
    world = OrderWorld()
    world.place()
    with pytest.raises(refusal):
        now_and_then(world.order("guest", credential).get_order(GetOrder(id=ORDER_ID)))
    with pytest.raises(refusal):
        now_and_then(world.order("guest", credential).get_events(GetEvents(id=ORDER_ID)))


def test_the_guest_with_the_access_token_sees_the_order_and_its_history() -> None:
    world = OrderWorld()
    token = world.place()
    assert now_and_then(world.order("guest", token).get_order(GetOrder(id=ORDER_ID))).id == ORDER_ID
    items = json.loads(now_and_then(world.order("guest", token).get_events(GetEvents(id=ORDER_ID))))["items"]
    assert [item["sequence"] for item in items] == [1, 2, 3]
    assert items[2]["type"] == "OrderPlaced"
    assert items[0]["actor"] == "guest"


def test_no_event_carries_the_payment_token() -> None:
    world = OrderWorld()
    world.place(token="tok_secret")
    assert "tok_secret" not in now_and_then(world.order("staff").get_events(GetEvents(id=ORDER_ID)))
    assert now_and_then(world.order().get_payment_means(GetPaymentMeans())).token == "tok_secret"


def test_the_payment_token_is_forgotten_when_the_order_has_ended() -> None:
    world = OrderWorld()
    world.place()
    carry_out(world, "fall", "reject")
    with pytest.raises(NotFound):
        now_and_then(world.order().get_payment_means(GetPaymentMeans()))


def test_only_the_saga_commands_and_pays() -> None:
    world = OrderWorld()
    world.place()
    for kind in ("guest", "staff"):
        with pytest.raises(Forbidden):
            now_and_then(world.order(kind).carry_out(CarryOut(command=commands.RequestPayment())))
        with pytest.raises(Forbidden):
            now_and_then(world.order(kind).get_payment_means(GetPaymentMeans()))


def test_reading_an_order_that_does_not_exist_stores_nothing() -> None:
    world = OrderWorld()
    with pytest.raises(NotFound):
        now_and_then(world.order("staff").get_order(GetOrder(id=ORDER_ID)))
    assert world.storage.execute("SELECT name FROM sqlite_master") == []
