"""Outbox and inbox over a database: an event is sent by one, forgotten when every queue took it, and has one effect."""

from collections.abc import Sequence
from datetime import timedelta

from shared_kernel.inbox import once
from shared_kernel.outbox import CLAIM_SECONDS, append, drain, relay
from shared_kernel.sql import ConstraintViolated, Database
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.scratch import NOW, effect, thing_made
from tests.workerd.cases.taker import Taker

WANTED = {"thing.made": ["A"]}


class Crash(BaseException):
    """The process dies here."""


async def effects(database: Database) -> list[object]:
    return [row["subject"] for row in await database.rows("SELECT subject FROM effects ORDER BY rowid")]


async def test_a_long_outbox_is_drained_in_order(scratch_db: Database) -> None:
    told = [thing_made(str(number)) for number in range(201)]
    await scratch_db.batch([append(event) for event in told])
    queue = Taker()
    assert await relay(scratch_db, WANTED, lambda _: queue, lambda: NOW) == 100
    await drain(scratch_db, WANTED, lambda _: queue, lambda: NOW)
    assert queue.taken == [event.model_dump_json() for event in told]
    assert await relay(scratch_db, WANTED, lambda _: queue, lambda: NOW) == 0


async def test_two_who_send_at_once_send_each_event_once(scratch_db: Database) -> None:
    told = [thing_made(str(number)) for number in range(101)]
    await scratch_db.batch([append(event) for event in told])
    queue = Taker()

    class Between:
        """A queue that takes what it is given after somebody else has sent, too."""

        async def send_batch(self, messages: Sequence[str]) -> None:
            assert await relay(scratch_db, WANTED, lambda _: queue, lambda: NOW) == 1
            await queue.send_batch(messages)

    assert await relay(scratch_db, WANTED, lambda _: Between(), lambda: NOW) == 100
    assert sorted(queue.taken) == sorted(event.model_dump_json() for event in told)
    assert await scratch_db.rows("SELECT position FROM outbox") == []


async def test_what_a_crash_left_claimed_is_sent_when_the_claim_has_run_out(scratch_db: Database) -> None:
    await scratch_db.batch([append(thing_made("a"))])

    class Deadly:
        async def send_batch(self, messages: Sequence[str]) -> None:
            raise Crash

    with raises(Crash):
        await relay(scratch_db, WANTED, lambda _: Deadly(), lambda: NOW)
    queue, later = Taker(), NOW + timedelta(seconds=CLAIM_SECONDS)
    assert await relay(scratch_db, WANTED, lambda _: queue, lambda: later - timedelta(milliseconds=1)) == 0
    assert await relay(scratch_db, WANTED, lambda _: queue, lambda: later) == 1
    assert queue.taken == [thing_made("a").model_dump_json()]


async def test_a_queue_that_refuses_leaves_nothing_claimed(scratch_db: Database) -> None:
    await scratch_db.batch([append(thing_made("a"))])
    with raises(RuntimeError):
        await relay(scratch_db, WANTED, lambda _: Taker(is_down=True), lambda: NOW)
    assert await relay(scratch_db, WANTED, lambda _: Taker(), lambda: NOW) == 1


async def test_an_event_has_its_effect_once(scratch_db: Database) -> None:
    assert await once(scratch_db, thing_made("a"), NOW, effect("a")) is True
    assert await once(scratch_db, thing_made("a"), NOW, effect("b")) is False
    other = thing_made("a").model_copy(update={"source": "/services/other"})
    assert await once(scratch_db, other, NOW, effect("c")) is True
    assert await effects(scratch_db) == ["a", "c"]


async def test_an_effect_that_the_schema_refuses_is_not_recorded(scratch_db: Database) -> None:
    with raises(ConstraintViolated):
        await once(scratch_db, thing_made("a"), NOW, [*effect("a"), *effect("impossible")])
    assert await effects(scratch_db) == []
    assert await once(scratch_db, thing_made("a"), NOW, effect("b")) is True
