"""An event goes out at least once, normally once, to whoever wants it, and in portions that a queue takes."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_kernel.events import Event, event
from shared_kernel.outbox import CLAIM_SECONDS, LARGEST_BATCH, LARGEST_BATCH_BYTES, append, in_portions, relay
from tests.unit.sqlite_database import SqliteDatabase

SCHEMA = "CREATE TABLE outbox (position INTEGER PRIMARY KEY, event TEXT NOT NULL, claimed_until TEXT) STRICT"
SUBSCRIPTIONS = {"thing.made": ["A_INBOX", "B_INBOX"], "thing.sold": ["B_INBOX"], "thing.lost": []}


class Crash(BaseException):
    """The process dies here."""


class Queue:
    """Takes what a queue takes, and keeps it; `is_down` makes it refuse everything.

    `meanwhile`, when set, runs once before it takes the next batch: what somebody else does at that moment.
    """

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.is_down = False
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def send_batch(self, messages: Sequence[str]) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        if self.is_down or len(messages) > 100 or sum(len(message.encode()) for message in messages) > 256_000:
            raise RuntimeError("the queue refuses")
        self.batches.append(list(messages))

    def subjects(self) -> list[str]:
        return [json.loads(message)["subject"] for batch in self.batches for message in batch]


class World:
    """An outbox with two subscribers."""

    def __init__(self) -> None:
        self.database = SqliteDatabase(SCHEMA)
        self.queues = {"A_INBOX": Queue(), "B_INBOX": Queue()}
        self.now = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)

    def write(self, *events: Event) -> None:
        run(self.database.batch([append(each) for each in events]))

    async def relaying(self) -> int:
        return await relay(self.database, SUBSCRIPTIONS, self.queues.__getitem__, lambda: self.now)

    def relay(self) -> int:
        sent: int = run(self.relaying())
        return sent

    def waiting(self) -> int:
        return len(run(self.database.rows("SELECT position FROM outbox")))


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def told(kind: str, subject: str = "thing-1", note: str = "") -> Event:
    return event(
        kind,
        subject,
        {"note": note},
        id=f"evt-{subject}",
        at=datetime(2026, 11, 21, 8, 30, tzinfo=UTC),
        source="/services/thing",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


def test_each_subscriber_hears_what_it_wants_in_order_and_once() -> None:
    world = World()
    world.write(told("thing.made", "1"), told("thing.sold", "2"), told("thing.lost", "3"), told("thing.made", "4"))
    assert (world.relay(), world.waiting(), world.relay()) == (4, 0, 0)
    assert world.queues["A_INBOX"].subjects() == ["1", "4"]
    assert world.queues["B_INBOX"].subjects() == ["1", "2", "4"]


def test_an_event_travels_as_it_was_written() -> None:
    world = World()
    written = told("thing.sold", note="naïve \U0001f455")
    world.write(written)
    world.relay()
    ((message,),) = world.queues["B_INBOX"].batches
    assert Event.model_validate_json(message) == written
    assert json.loads(message)["time"] == "2026-11-21T08:30:00.000Z"


def test_what_a_queue_refuses_waits_for_the_next_sweep() -> None:
    world = World()
    world.write(told("thing.made"))
    world.queues["B_INBOX"].is_down = True
    with pytest.raises(RuntimeError):
        world.relay()
    assert world.waiting() == 1
    world.queues["B_INBOX"].is_down = False
    assert (world.relay(), world.waiting()) == (1, 0)
    assert world.queues["B_INBOX"].subjects() == ["thing-1"]


def test_two_relays_at_once_send_each_event_once() -> None:
    world = World()
    world.write(*(told("thing.sold", str(number)) for number in range(LARGEST_BATCH + 1)))
    world.queues["B_INBOX"].meanwhile = world.relaying
    assert world.relay() == LARGEST_BATCH
    assert sorted(map(int, world.queues["B_INBOX"].subjects())) == list(range(LARGEST_BATCH + 1))
    assert world.waiting() == 0


def test_an_event_that_is_written_while_others_are_sent_goes_out_with_the_next_relay() -> None:
    world = World()
    world.write(told("thing.sold", "1"))

    async def another() -> None:
        await world.database.batch([append(told("thing.sold", "2"))])

    world.queues["B_INBOX"].meanwhile = another
    assert (world.relay(), world.relay(), world.waiting()) == (1, 1, 0)
    assert world.queues["B_INBOX"].subjects() == ["1", "2"]


@pytest.mark.parametrize("taken", [False, True])
def test_what_a_crash_left_claimed_is_sent_when_the_claim_has_run_out(taken: bool) -> None:
    world = World()
    world.write(told("thing.sold", "1"))
    queue = world.queues["B_INBOX"]

    async def die() -> None:
        if taken:
            await queue.send_batch([told("thing.sold", "1").model_dump_json()])
        raise Crash

    queue.meanwhile = die
    with pytest.raises(Crash):
        world.relay()
    world.now += timedelta(seconds=CLAIM_SECONDS, milliseconds=-1)
    assert (world.relay(), world.waiting()) == (0, 1)
    world.now += timedelta(milliseconds=1)
    assert (world.relay(), world.waiting()) == (1, 0)
    assert queue.subjects() == ["1"] * (2 if taken else 1)


def test_who_is_refused_after_his_claim_ran_out_does_not_free_that_of_another() -> None:
    world = World()
    world.write(told("thing.sold", "1"))
    queue = world.queues["B_INBOX"]

    async def scenario() -> None:
        is_asked, refuses = asyncio.Event(), asyncio.Event()

        async def refuse_later() -> None:
            is_asked.set()
            await refuses.wait()
            raise RuntimeError("the queue refuses")

        async def another_is_refused() -> None:
            refuses.set()
            with pytest.raises(RuntimeError):
                await slow
            assert await world.relaying() == 0

        queue.meanwhile = refuse_later
        slow = asyncio.ensure_future(world.relaying())
        await is_asked.wait()
        world.now += timedelta(seconds=CLAIM_SECONDS)
        queue.meanwhile = another_is_refused
        assert await world.relaying() == 1

    run(scenario())
    assert (queue.subjects(), world.waiting()) == (["1"], 0)


def test_who_is_done_after_his_claim_ran_out_forgets_nothing_that_came_later() -> None:
    world = World()
    world.write(told("thing.sold", "1"))
    queue = world.queues["B_INBOX"]

    async def be_slow() -> None:
        world.now += timedelta(seconds=CLAIM_SECONDS)
        await world.relaying()
        # It stands where the first one stood: a position that is free is given again.
        await world.database.batch([append(told("thing.sold", "2"))])

    queue.meanwhile = be_slow
    assert (world.relay(), world.waiting()) == (1, 1)
    assert (world.relay(), world.waiting()) == (1, 0)
    assert queue.subjects() == ["1", "1", "2"]


def test_an_event_that_the_topology_does_not_name_is_kept_and_keeps_no_other_from_going_out() -> None:
    world = World()
    world.write(told("thing.unknown", "0"), told("thing.sold", "1"))
    with pytest.raises(KeyError):
        world.relay()
    assert (world.queues["B_INBOX"].subjects(), world.waiting()) == (["1"], 1)
    world.now += timedelta(seconds=CLAIM_SECONDS)
    with pytest.raises(KeyError):
        world.relay()


def test_more_events_than_a_batch_that_the_topology_does_not_name_are_passed_over() -> None:
    world = World()
    world.write(*(told("thing.unknown", str(number)) for number in range(LARGEST_BATCH)), told("thing.sold", "last"))
    with pytest.raises(KeyError):
        world.relay()
    assert (world.relay(), world.waiting()) == (1, LARGEST_BATCH)
    assert world.queues["B_INBOX"].subjects() == ["last"]


def test_a_long_outbox_is_sent_a_hundred_at_a_time() -> None:
    world = World()
    world.write(*(told("thing.sold", str(number)) for number in range(250)))
    assert [world.relay() for _ in range(4)] == [100, 100, 50, 0]
    assert world.queues["B_INBOX"].subjects() == [str(number) for number in range(250)]


def test_large_events_go_out_in_portions_that_the_queue_takes() -> None:
    world = World()
    world.write(*(told("thing.sold", str(number), "é" * 40_000) for number in range(10)))
    assert (world.relay(), world.waiting()) == (10, 0)
    assert world.queues["B_INBOX"].subjects() == [str(number) for number in range(10)]
    assert len(world.queues["B_INBOX"].batches) == 5


@given(st.lists(st.integers(1, 2 * LARGEST_BATCH_BYTES), max_size=250))
def test_portions_keep_everything_in_order_and_within_the_limits(sizes_bytes: list[int]) -> None:
    texts = ["x" * size for size in sizes_bytes]
    portions = in_portions(texts)
    assert [text for portion in portions for text in portion] == texts
    for portion in portions:
        assert 1 <= len(portion) <= LARGEST_BATCH
        assert len(portion) == 1 or sum(map(len, portion)) <= LARGEST_BATCH_BYTES


@given(st.lists(st.just("x"), max_size=350))
def test_small_texts_fill_their_portions(texts: list[str]) -> None:
    assert len(in_portions(texts)) == -(-len(texts) // LARGEST_BATCH)
