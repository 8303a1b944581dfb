"""The alarm of an order that waits for an approver: seldom, but never lost."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from order.application.aggregate import HEARD
from order.application.messages import AnswerApproval
from order.application.reconciler import APPROVAL_PAUSE_SECONDS, FIRST_PAUSE_SECONDS, STALE_AFTER_SECONDS
from order.domain.commands import Approve, RecordRelease, Refuse, Reject, RequestApproval
from shared_kernel.clock import rfc3339
from shared_kernel.errors import Unavailable
from tests.unit.order.company_world import APPROVER
from tests.unit.order.order_world import (
    APPROVAL_SECONDS,
    BUYER,
    ORDER_ID,
    TRACEPARENT,
    OrderWorld,
    command,
    now_and_then,
)
from tests.unit.order.test_order_reconciler import PLACED_VERSION, Alarm

DAY_SECONDS = 24 * 3600
YES, NO = Approve(approver_id=APPROVER.id), Refuse(reason="too dear")


def waiting(seconds: int = APPROVAL_SECONDS) -> OrderWorld:
    world = OrderWorld()
    world.place_by(BUYER)
    command(world, RequestApproval(expires_at=rfc3339(world.clock() + timedelta(seconds=seconds))))
    return world


def answer(world: OrderWorld, what: Approve | Refuse) -> None:
    now_and_then(world.order_for(APPROVER).answer_approval(AnswerApproval(command=what)))


def alarm_of(world: OrderWorld, alive: bool = True) -> Alarm:
    """The order's alarm, when the list shows the order as it is."""
    alarm = Alarm(world, alive)
    alarm.list.version = len(world.event_types())
    return alarm


def rings(alarm: Alarm, seconds: int) -> Sequence[int]:
    """The pauses of the alarm, rung for so long."""
    ends, pauses = alarm.world.clock() + timedelta(seconds=seconds), list[int]()
    while alarm.world.clock() < ends:
        pause = alarm.ring()
        assert pause is not None
        pauses.append(pause)
        alarm.world.clock.move(pause)
    return pauses


def test_an_order_that_waits_for_an_approver_is_seen_to_a_few_times_a_day() -> None:
    alarm = alarm_of(waiting())
    assert set(rings(alarm, DAY_SECONDS)) == {APPROVAL_PAUSE_SECONDS}
    assert len(alarm.sagas.nudged) == DAY_SECONDS // APPROVAL_PAUSE_SECONDS - 1
    assert alarm.payments.asked == 0


def test_a_week_of_waiting_leaves_the_saga_looks_to_spare() -> None:
    alarm = alarm_of(waiting())
    rings(alarm, APPROVAL_SECONDS)
    assert 0 < len(alarm.sagas.nudged) < 40


def test_an_order_that_still_waits_after_its_time_is_stuck_and_made_to_run_on() -> None:
    alarm = alarm_of(waiting(seconds=100))
    assert rings(alarm, 100 + STALE_AFTER_SECONDS) == [100 + STALE_AFTER_SECONDS]
    assert alarm.sagas.nudged == []
    assert alarm.ring() == FIRST_PAUSE_SECONDS
    assert alarm.sagas.nudged == [1]


def test_a_waiting_order_whose_saga_is_gone_gets_another_one() -> None:
    alarm = alarm_of(waiting(), alive=False)
    rings(alarm, APPROVAL_PAUSE_SECONDS + 1)
    assert alarm.sagas.started == [(2, TRACEPARENT)]


@pytest.mark.parametrize("what", [YES, NO], ids=["yes", "no"])
def test_an_answer_nudges_the_saga_at_once_and_once(what: Approve | Refuse) -> None:
    alarm = alarm_of(waiting())
    answer(alarm.world, what)
    for _ in range(2):
        assert alarm.ring() == FIRST_PAUSE_SECONDS
    assert alarm.sagas.nudged == [1]
    assert alarm.world.history().private(HEARD) is None


@pytest.mark.parametrize("what", [YES, NO], ids=["yes", "no"])
def test_an_answer_that_could_not_be_passed_on_is_passed_on_later(what: Approve | Refuse) -> None:
    alarm = alarm_of(waiting())
    answer(alarm.world, what)
    alarm.sagas.is_reached = False
    with pytest.raises(Unavailable):
        alarm.ring()
    alarm.sagas.is_reached = True
    alarm.ring()
    assert alarm.sagas.nudged == [1]


@pytest.mark.parametrize("what", [YES, NO], ids=["yes", "no"])
def test_an_answer_is_passed_on_once_while_a_queue_refuses_what_the_order_has_to_tell(what: Approve | Refuse) -> None:
    alarm = alarm_of(waiting())
    answer(alarm.world, what)
    alarm.queue.refuses = True
    for _ in range(2):
        with pytest.raises(RuntimeError, match="overloaded"):
            alarm.ring()
    assert alarm.sagas.nudged == [1]


def test_a_queue_that_refuses_costs_the_waiting_saga_no_look() -> None:
    alarm = alarm_of(waiting())
    alarm.queue.refuses = True
    alarm.world.clock.move(STALE_AFTER_SECONDS)
    with pytest.raises(RuntimeError, match="overloaded"):
        alarm.ring()
    assert alarm.sagas.nudged == []


def test_an_answer_that_comes_while_the_alarm_is_at_work_rings_it_again() -> None:
    alarm = alarm_of(waiting())
    alarm.world.clock.move(STALE_AFTER_SECONDS)
    alarm.sagas.meanwhile = lambda: answer(alarm.world, YES)
    assert alarm.ring() == 0
    assert alarm.ring() == FIRST_PAUSE_SECONDS
    assert alarm.sagas.nudged == [1, 1]


def test_an_order_that_was_approved_and_does_not_move_is_stuck() -> None:
    alarm = alarm_of(waiting())
    answer(alarm.world, YES)
    alarm.ring()
    alarm.world.clock.move(STALE_AFTER_SECONDS)
    alarm.ring()
    assert alarm.sagas.nudged == [1, 1]


def test_what_waits_for_approval_is_told() -> None:
    alarm = alarm_of(waiting())
    alarm.ring()
    told = alarm.queue.sent[-1]
    assert (told.type, told.data["status"]) == ("order.awaiting_approval", "awaiting_approval")


def test_a_waiting_order_that_the_list_missed_is_told_again_until_the_list_shows_it() -> None:
    alarm = alarm_of(waiting())
    alarm.list.version = PLACED_VERSION
    rings(alarm, STALE_AFTER_SECONDS)
    assert alarm.ring() != APPROVAL_PAUSE_SECONDS
    told = [event.id for event in alarm.queue.sent if event.type == "order.awaiting_approval"]
    assert told == [f"{ORDER_ID}-{PLACED_VERSION + 1}"] * 2
    assert alarm.sagas.nudged == []
    alarm.list.version = PLACED_VERSION + 1
    assert alarm.ring() == APPROVAL_PAUSE_SECONDS


def test_a_list_that_never_shows_the_waiting_order_costs_its_saga_no_look() -> None:
    alarm = alarm_of(waiting())
    alarm.list.version = PLACED_VERSION
    rings(alarm, DAY_SECONDS)
    assert alarm.sagas.nudged == []


def test_a_refused_order_that_has_ended_before_its_alarm_rings_lets_it_rest() -> None:
    alarm = alarm_of(waiting())
    answer(alarm.world, NO)
    for what in (RecordRelease(), Reject()):
        command(alarm.world, what)
    alarm.list.version = len(alarm.world.event_types())
    assert alarm.ring() is None
    assert alarm.world.history().private(HEARD) is None
    assert alarm.payments.asked == 0
