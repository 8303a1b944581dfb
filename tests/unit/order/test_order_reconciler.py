"""The alarm that does not rest before the order has ended and everybody has been told."""

from collections.abc import Sequence

import pytest

from order.application.messages import CarryOut
from order.application.reconciler import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, STALE_AFTER_SECONDS, reconcile
from shared_kernel.contracts.order import ListOrders
from shared_kernel.events import Event
from shared_kernel.rpc import Json
from tests.unit.order.order_world import ORDER_ID, TRACEPARENT, OrderWorld, now_and_then
from tests.unit.order.test_order_decisions import COMMANDS

PLACED_VERSION = 3


class Sagas:
    def __init__(self, alive: bool) -> None:
        self.alive = alive
        self.revived: list[int] = []
        self.started: list[tuple[int, str]] = []

    async def start(self, order_id: str, attempt: int, traceparent: str) -> None:
        self.started.append((attempt, traceparent))

    async def revive(self, order_id: str, attempt: int) -> bool:
        self.revived.append(attempt)
        return self.alive


class OrderList:
    def __init__(self) -> None:
        self.version = 0

    async def page(self, request: ListOrders) -> Json:
        raise AssertionError("the reconciler reads no pages")

    async def version_of(self, order_id: str) -> int:
        return self.version

    async def apply(self, event: Event) -> None:
        raise AssertionError("the list is fed through the queue")

    async def bury(self, body: str) -> None:
        raise AssertionError("the reconciler buries nothing")


class Queue:
    """The order's inbox, which may lose what it takes, or refuse it."""

    def __init__(self) -> None:
        self.sent: list[Event] = []
        self.refuses = False

    async def send_batch(self, messages: Sequence[str]) -> None:
        if self.refuses:
            raise RuntimeError("overloaded")
        self.sent += [Event.model_validate_json(message) for message in messages]


class Alarm:
    def __init__(self, world: OrderWorld, alive: bool = True) -> None:
        self.world, self.sagas, self.list, self.queue = world, Sagas(alive), OrderList(), Queue()

    def ring(self) -> int | None:
        history = self.world.history()
        wanted = {
            kind: ["IN"] for kind in ("order.placed", "order.awaiting_payment", "order.confirmed", "order.rejected")
        }

        async def send() -> None:
            await history.relay(wanted, lambda _name: self.queue)

        return now_and_then(reconcile(history, self.sagas, self.list, send, history.publish, self.world.clock))


def placed() -> OrderWorld:
    world = OrderWorld()
    world.place()
    return world


def confirmed() -> OrderWorld:
    world = placed()
    for name in ("reserve", "request", "capture", "confirm"):
        now_and_then(world.order().carry_out(CarryOut(command=COMMANDS[name])))
    return world


def test_an_order_that_moved_a_moment_ago_is_left_alone() -> None:
    alarm = Alarm(placed())
    assert alarm.ring() == FIRST_PAUSE_SECONDS
    assert alarm.sagas.revived == []


def test_a_stuck_saga_is_made_to_run_on() -> None:
    alarm = Alarm(placed())
    alarm.world.clock.move(STALE_AFTER_SECONDS)
    assert alarm.ring() == FIRST_PAUSE_SECONDS
    assert (alarm.sagas.revived, alarm.sagas.started) == ([1], [])


def test_a_saga_that_never_started_or_is_over_is_started_anew_each_time_under_a_new_number() -> None:
    alarm = Alarm(placed(), alive=False)
    alarm.world.clock.move(STALE_AFTER_SECONDS)
    alarm.ring()
    alarm.ring()
    assert alarm.sagas.started == [(2, TRACEPARENT), (3, TRACEPARENT)]


def test_events_that_were_stored_but_not_sent_are_sent_once() -> None:
    alarm = Alarm(placed())
    alarm.ring()
    alarm.ring()
    assert [event.type for event in alarm.queue.sent] == ["order.placed"]


def test_events_that_the_queue_refuses_are_kept() -> None:
    alarm = Alarm(placed())
    alarm.queue.refuses = True
    with pytest.raises(RuntimeError, match="overloaded"):
        alarm.ring()
    alarm.queue.refuses = False
    alarm.ring()
    assert [event.type for event in alarm.queue.sent] == ["order.placed"]


def test_the_alarm_rests_when_the_order_has_ended_and_the_list_shows_it() -> None:
    alarm = Alarm(confirmed())
    alarm.list.version = 7
    assert alarm.ring() is None
    assert [event.type for event in alarm.queue.sent] == ["order.placed", "order.awaiting_payment", "order.confirmed"]


def test_an_ended_order_that_the_list_missed_is_told_again_with_the_same_id() -> None:
    alarm = Alarm(confirmed())
    alarm.ring()
    alarm.list.version = PLACED_VERSION
    assert alarm.ring() is not None
    told = [event.id for event in alarm.queue.sent if event.type == "order.confirmed"]
    assert len(told) >= 2
    assert set(told) == {f"{ORDER_ID}-7"}


def test_the_pauses_grow_to_an_hour_and_no_further() -> None:
    alarm = Alarm(placed())
    pauses = [alarm.ring() for _ in range(80)]
    assert pauses[0] == FIRST_PAUSE_SECONDS
    assert pauses == sorted(pauses, key=lambda pause: pause or 0)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


def test_an_object_without_an_order_rests() -> None:
    assert Alarm(OrderWorld()).ring() is None
