"""The alarm that does not rest before the order has ended and everybody has been told."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest

from order.application.aggregate import HEARD
from order.application.messages import HearOfPayment
from order.application.ports import Owner
from order.application.reconciler import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    STALE_AFTER_SECONDS,
    WAITING_PAUSE_SECONDS,
    Reconciler,
)
from order.domain.commands import Command
from shared_kernel.clock import to_milliseconds
from shared_kernel.contracts.order import ListOrders
from shared_kernel.contracts.payment import CheckPayment, Payment, PaymentStatus
from shared_kernel.errors import Forbidden, Unavailable
from shared_kernel.events import Event
from shared_kernel.rpc import Json
from shared_kernel.sql import Statement
from tests.unit.order.order_world import (
    HOLD_SECONDS,
    ORDER_ID,
    TRACEPARENT,
    Hours,
    OrderWorld,
    Shop,
    command,
    now_and_then,
)
from tests.unit.order.test_order_decisions import COMMANDS, EXPIRES_AT, PAID, TOTAL, WAITING

PLACED_VERSION = 3
PUBLISHED = ("order.placed", "order.awaiting_approval", "order.awaiting_payment", "order.confirmed", "order.rejected")
WHEN_PLACED = Hours().now
WANTED = {kind: ["IN"] for kind in PUBLISHED}


class Sagas:
    def __init__(self, alive: bool) -> None:
        self.alive = alive
        self.nudged: list[int] = []
        self.started: list[tuple[int, str]] = []
        self.is_reached = True
        self.meanwhile: Callable[[], None] = lambda: None

    async def start(self, order_id: str, attempt: int, traceparent: str) -> None:
        self.started.append((attempt, traceparent))

    async def nudge(self, order_id: str, attempt: int) -> bool:
        if not self.is_reached:
            raise Unavailable("the workflows do not answer")
        self.nudged.append(attempt)
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return self.alive


class Payments(Shop):
    """The payment service, which is asked for one payment and says how often; it may not be reached."""

    def __init__(self, world: OrderWorld) -> None:
        super().__init__(clock=world.clock)
        self.payment = "pending"
        self.asked = 0
        self.is_reached = True
        self.meanwhile: PaymentStatus | None = None
        self.world = world

    async def check_payment(self, request: CheckPayment) -> Payment:
        self.asked += 1
        if not self.is_reached:
            raise Unavailable("the payment service does not answer")
        answer = await super().check_payment(request)
        if self.meanwhile is not None:
            hear(self.world, self.meanwhile, "evt_meanwhile")
        return answer


class OrderList:
    def __init__(self) -> None:
        self.version = 0

    async def page(self, request: ListOrders, owner: Owner | None = None) -> Json:
        raise AssertionError("the reconciler reads no pages")

    async def version_of(self, order_id: str) -> int:
        return self.version

    def applied(self, event: Event) -> Statement:
        raise AssertionError("the list is fed through the queue")

    async def bury(self, body: str) -> None:
        raise AssertionError("the reconciler buries nothing")


class Queue:
    """The order's inbox, which may lose what it takes, or refuse it; `meanwhile` runs once before it takes any."""

    def __init__(self) -> None:
        self.sent: list[Event] = []
        self.refuses = False
        self.meanwhile: Callable[[], None] | None = None

    async def send_batch(self, messages: Sequence[str]) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        if self.refuses:
            raise RuntimeError("overloaded")
        self.sent += [Event.model_validate_json(message) for message in messages]


class Alarm:
    def __init__(self, world: OrderWorld, alive: bool = True) -> None:
        self.world, self.sagas, self.list, self.queue = world, Sagas(alive), OrderList(), Queue()
        self.payments = Payments(world)
        self.history = world.history()

    def ring(self) -> int | None:
        history = self.history

        async def send() -> bool:
            return await history.relay(WANTED, lambda _name: self.queue)

        async def carry_out(what: Command) -> None:
            command(self.world, what)

        return now_and_then(
            Reconciler(
                history=history,
                sagas=self.sagas,
                order_list=self.list,
                charges=self.payments,
                carry_out=carry_out,
                send=send,
                publish=history.publish,
                clock=self.world.clock,
            ).run()
        )


def placed(commands: str = "") -> OrderWorld:
    world = OrderWorld()
    world.place()
    for name in commands.split():
        command(world, COMMANDS[name])
    return world


def confirmed() -> OrderWorld:
    return placed("reserve request capture confirm")


def waiting() -> OrderWorld:
    return placed(WAITING.removeprefix("place "))


def hear(world: OrderWorld, status: PaymentStatus, event_id: str = "evt_1", kind: str = "service") -> None:
    now_and_then(world.order(kind).hear_of_payment(HearOfPayment(event_id=event_id, status=status)))


def test_an_order_that_moved_a_moment_ago_is_left_alone() -> None:
    alarm = Alarm(placed())
    assert alarm.ring() == FIRST_PAUSE_SECONDS
    assert alarm.sagas.nudged == []


def test_a_stuck_saga_is_made_to_run_on() -> None:
    alarm = Alarm(placed())
    alarm.world.clock.move(STALE_AFTER_SECONDS)
    assert alarm.ring() == FIRST_PAUSE_SECONDS
    assert (alarm.sagas.nudged, alarm.sagas.started) == ([1], [])


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


def test_an_ended_order_that_the_list_missed_is_told_again_after_a_while_with_the_same_id() -> None:
    alarm = Alarm(confirmed())
    alarm.list.version = PLACED_VERSION
    while alarm.world.clock() < WHEN_PLACED + timedelta(seconds=STALE_AFTER_SECONDS):
        alarm.world.clock.move(alarm.ring() or 0)
    assert [event.type for event in alarm.queue.sent].count("order.confirmed") == 1
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


def test_an_order_that_waits_for_its_customer_is_left_to_wait() -> None:
    alarm = Alarm(waiting())
    alarm.world.clock.move(STALE_AFTER_SECONDS)
    for _ in range(HOLD_SECONDS // WAITING_PAUSE_SECONDS - 1):
        assert alarm.ring() == WAITING_PAUSE_SECONDS
        alarm.world.clock.move(WAITING_PAUSE_SECONDS)
    assert alarm.payments.asked == HOLD_SECONDS // WAITING_PAUSE_SECONDS - 1
    assert (alarm.sagas.nudged, alarm.sagas.started) == ([], [])


def test_an_order_whose_nudge_was_lost_is_nudged_within_a_minute_of_its_payment() -> None:
    alarm = Alarm(waiting())
    alarm.payments.pay()
    paid_at = alarm.world.clock()
    while (pause := alarm.ring()) and not alarm.sagas.nudged:
        alarm.world.clock.move(pause)
    assert (alarm.world.clock() - paid_at).total_seconds() <= 60


def test_a_waiting_order_whose_saga_is_gone_gets_another_one_when_it_is_paid() -> None:
    alarm = Alarm(waiting(), alive=False)
    alarm.payments.pay()
    alarm.world.clock.move(STALE_AFTER_SECONDS)
    alarm.ring()
    assert alarm.sagas.started == [(2, TRACEPARENT)]


def test_an_order_that_still_waits_after_its_time_is_stuck_and_made_to_run_on() -> None:
    alarm = Alarm(waiting())
    alarm.world.clock.now = datetime.fromisoformat(EXPIRES_AT)
    alarm.ring()
    assert alarm.sagas.nudged == []
    alarm.world.clock.move(STALE_AFTER_SECONDS)
    alarm.ring()
    assert alarm.sagas.nudged == [1]


def test_what_is_heard_of_the_payment_nudges_the_saga_at_once_and_once() -> None:
    alarm = Alarm(waiting())
    alarm.payments.pay()
    hear(alarm.world, "captured")
    assert alarm.world.storage.alarm_ms == to_milliseconds(alarm.world.clock())
    assert alarm.ring() == WAITING_PAUSE_SECONDS
    alarm.ring()
    assert alarm.sagas.nudged == [1]


def test_what_is_heard_before_the_customer_was_told_how_to_pay_is_not_lost() -> None:
    alarm = Alarm(placed("reserve request"))
    hear(alarm.world, "captured")
    alarm.ring()
    assert alarm.sagas.nudged == [1]


def test_what_is_heard_while_the_alarm_is_at_work_rings_it_again() -> None:
    alarm = Alarm(waiting())
    hear(alarm.world, "captured")
    alarm.payments.meanwhile = "captured"
    assert alarm.ring() == 0
    assert alarm.world.history().private(HEARD) == "evt_meanwhile"


def test_what_is_heard_while_the_alarm_sends_at_its_end_rings_it_again() -> None:
    alarm = Alarm(confirmed())
    alarm.list.version = PLACED_VERSION
    alarm.ring()
    alarm.world.clock.move(STALE_AFTER_SECONDS)
    alarm.queue.meanwhile = lambda: hear(alarm.world, "refunded", "evt_meanwhile")
    assert alarm.ring() == 0
    assert alarm.world.history().private(HEARD) == "evt_meanwhile"


def test_what_is_heard_is_kept_when_the_payment_cannot_be_asked_for() -> None:
    alarm = Alarm(waiting())
    alarm.payments.is_reached = False
    hear(alarm.world, "captured")
    with pytest.raises(Unavailable):
        alarm.ring()
    alarm.payments.is_reached = True
    alarm.payments.pay()
    alarm.ring()
    assert alarm.sagas.nudged == [1]


@pytest.mark.parametrize(("commands", "status"), [("", "captured"), (PAID.removeprefix("place "), "captured")])
def test_what_is_no_news_wakes_nobody(commands: str, status: PaymentStatus) -> None:
    world = placed(commands)
    before = world.storage.alarm_ms
    world.clock.move(1)
    hear(world, status)
    assert (world.storage.alarm_ms, world.history().private(HEARD)) == (before, None)


def test_an_order_that_does_not_exist_hears_nothing_and_stores_nothing() -> None:
    world = OrderWorld()
    hear(world, "captured")
    assert world.storage.execute("SELECT name FROM sqlite_master") == []


@pytest.mark.parametrize("kind", ["guest", "staff"])
def test_only_a_service_is_believed_to_tell_of_a_payment(kind: str) -> None:
    with pytest.raises(Forbidden):
        hear(waiting(), "captured", kind=kind)


def test_a_refund_under_way_is_followed_to_its_end_though_nobody_tells_of_it() -> None:
    alarm = Alarm(placed(f"{PAID.removeprefix('place ')} fall begin release reject"))
    alarm.payments.refunds = "later"
    alarm.payments.payment, alarm.payments.charged = "captured", TOTAL.amount
    alarm.list.version = len(alarm.world.event_types())
    assert alarm.ring() == FIRST_PAUSE_SECONDS
    alarm.payments.finish_refund()
    assert alarm.ring() is None
    assert alarm.world.event_types()[-2:] == ["OrderRejected", "RefundIssued"]


def test_a_part_that_staff_gave_back_is_recorded_and_the_order_stays_confirmed() -> None:
    alarm = Alarm(confirmed())
    alarm.payments.payment, alarm.payments.charged, alarm.payments.refunded = "partially_refunded", TOTAL.amount, 5
    for event_id in ("evt_1", "evt_1"):
        hear(alarm.world, "partially_refunded", event_id)
        alarm.ring()
    assert alarm.world.event_types()[-2:] == ["OrderConfirmed", "RefundIssued"]


@pytest.mark.parametrize(
    ("names", "told"),
    [("confirm", ["OrderConfirmed", "RefundIssued", "RefundFailed"]),
     ("fall release reject", ["RefundIssued", "RefundFailed", "RefundDue"])],
)  # fmt: skip
def test_a_refund_that_fails_after_it_was_issued_is_recorded_once(names: str, told: list[str]) -> None:
    alarm = Alarm(placed(f"{PAID.removeprefix('place ')} {names}".replace("release", "begin release")))
    alarm.payments.payment, alarm.payments.charged = "captured", TOTAL.amount
    for event_id, happens in (("evt_1", alarm.payments.refund_by_staff), ("evt_2", alarm.payments.fail_refund)):
        happens()
        for _ in range(2):
            hear(alarm.world, alarm.payments.payment, event_id)
            alarm.ring()
    assert alarm.world.event_types()[-3:] == told


def test_the_list_is_told_of_the_end_though_money_moved_after_it() -> None:
    alarm = Alarm(placed(f"{WAITING.removeprefix('place ')} fall release reject owe"))
    alarm.ring()
    alarm.list.version = PLACED_VERSION
    alarm.queue.sent.clear()
    alarm.world.clock.move(STALE_AFTER_SECONDS)
    assert alarm.ring() is not None
    assert [event.type for event in alarm.queue.sent] == ["order.rejected"]
    alarm.list.version = alarm.world.event_types().index("OrderRejected") + 1
    assert alarm.queue.sent[0].data["version"] == alarm.list.version
    assert alarm.ring() is None
