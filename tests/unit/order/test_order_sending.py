"""An order's object sends each of its events once, however many of its calls send at the same time."""

from collections.abc import Generator, Sequence

from order.application.reconciler import FIRST_PAUSE_SECONDS
from shared_kernel.outbox import CLAIM_SECONDS
from tests.unit.order.order_world import command
from tests.unit.order.test_order_decisions import COMMANDS
from tests.unit.order.test_order_reconciler import WANTED, Alarm, confirmed, placed


def test_what_another_call_is_sending_is_not_sent_twice_and_looked_after() -> None:
    alarm = Alarm(confirmed())
    alarm.list.version = 7
    pauses: list[int | None] = []
    alarm.queue.meanwhile = lambda: pauses.append(alarm.ring())
    assert alarm.ring() is None
    assert pauses == [FIRST_PAUSE_SECONDS]
    assert [event.type for event in alarm.queue.sent] == ["order.placed", "order.awaiting_payment", "order.confirmed"]


def test_what_is_told_while_the_rest_is_sent_goes_out_with_it() -> None:
    alarm = Alarm(placed("reserve request capture"))
    alarm.queue.meanwhile = lambda: command(alarm.world, COMMANDS["confirm"])
    alarm.ring()
    assert [event.type for event in alarm.queue.sent] == ["order.placed", "order.awaiting_payment", "order.confirmed"]


def test_what_a_call_was_sending_when_it_stopped_for_ever_is_sent_after_a_while() -> None:
    alarm = Alarm(confirmed())
    alarm.list.version = 7

    class Silence:
        def __await__(self) -> Generator[None, None, None]:
            yield

        async def send_batch(self, messages: Sequence[str]) -> None:
            await self

    stopped = alarm.history.relay(WANTED, lambda _name: Silence())
    stopped.send(None)
    assert alarm.ring() == FIRST_PAUSE_SECONDS
    assert alarm.queue.sent == []
    alarm.world.clock.move(CLAIM_SECONDS)
    assert alarm.ring() is None
    assert [event.type for event in alarm.queue.sent] == ["order.placed", "order.awaiting_payment", "order.confirmed"]
    stopped.close()


def test_a_call_that_was_given_up_and_ends_after_all_forgets_nothing_that_came_later() -> None:
    alarm = Alarm(placed())

    def overtake() -> None:
        alarm.world.clock.move(CLAIM_SECONDS)
        alarm.ring()
        for name in ("reserve", "request"):
            command(alarm.world, COMMANDS[name])

    alarm.queue.meanwhile = overtake
    alarm.ring()
    alarm.ring()
    assert [event.type for event in alarm.queue.sent] == ["order.placed", "order.placed", "order.awaiting_payment"]
