"""What an order hears of its payment too early or too late for its saga, and records when it has ended."""

import logging

import pytest

from order.application.reconciler import FIRST_PAUSE_SECONDS, STALE_AFTER_SECONDS
from tests.unit.order.order_world import command
from tests.unit.order.test_order_decisions import COMMANDS, TOTAL, WAITING
from tests.unit.order.test_order_reconciler import Alarm, hear, placed


@pytest.mark.parametrize(
    ("before", "after"),
    [(WAITING.removeprefix("place "), "capture confirm"), ("reserve request capture", "confirm")],
    ids=["before the order saw the money", "before the order was confirmed"],
)
def test_what_staff_give_back_of_an_order_that_is_not_confirmed_yet_is_recorded_when_it_is(
    before: str, after: str
) -> None:
    alarm = Alarm(placed(before))
    alarm.payments.payment, alarm.payments.charged, alarm.payments.refunded = "partially_refunded", TOTAL.amount, 5
    hear(alarm.world, "partially_refunded")
    alarm.ring()
    for name in after.split():
        command(alarm.world, COMMANDS[name])
    alarm.list.version = len(alarm.world.event_types())
    assert alarm.ring() is None
    assert alarm.world.event_types()[-2:] == ["OrderConfirmed", "RefundIssued"]
    asked = alarm.payments.asked
    assert (alarm.ring(), alarm.payments.asked) == (None, asked)


def test_what_staff_gave_back_is_asked_for_again_when_the_payment_service_does_not_answer() -> None:
    alarm = Alarm(placed("reserve request capture"))
    alarm.payments.payment, alarm.payments.charged, alarm.payments.refunded = "refunded", TOTAL.amount, TOTAL.amount
    hear(alarm.world, "refunded")
    alarm.ring()
    command(alarm.world, COMMANDS["confirm"])
    alarm.payments.is_reached = False
    with pytest.raises(Exception, match="does not answer"):
        alarm.ring()
    alarm.payments.is_reached = True
    alarm.ring()
    assert alarm.world.event_types()[-2:] == ["OrderConfirmed", "RefundIssued"]


def test_money_that_comes_for_a_rejected_order_is_recorded_with_its_refund() -> None:
    alarm = Alarm(placed(f"{WAITING.removeprefix('place ')} fall release reject"))
    alarm.payments.cancelled = True
    alarm.payments.pay()
    hear(alarm.world, "captured")
    alarm.ring()
    assert alarm.world.event_types()[-3:] == ["OrderRejected", "LatePaymentCaptured", "RefundIssued"]
    assert alarm.sagas.nudged == []


def test_what_is_heard_while_an_order_is_turned_back_is_looked_at_when_it_has_ended() -> None:
    alarm = Alarm(placed(f"{WAITING.removeprefix('place ')} fall"))
    hear(alarm.world, "captured")
    alarm.ring()
    alarm.payments.cancelled = True
    alarm.payments.pay()
    for name in ("release", "reject"):
        command(alarm.world, COMMANDS[name])
    alarm.ring()
    assert alarm.world.event_types()[-2:] == ["LatePaymentCaptured", "RefundIssued"]


def test_a_saga_that_ended_before_its_order_is_told_to_whoever_reads_the_log(caplog: pytest.LogCaptureFixture) -> None:
    alarm = Alarm(placed(), alive=False)
    alarm.world.clock.move(STALE_AFTER_SECONDS)
    with caplog.at_level(logging.WARNING):
        assert alarm.ring() == FIRST_PAUSE_SECONDS
    assert [record.getMessage() for record in caplog.records] == [
        "a saga was over before its order and is started anew"
    ]
