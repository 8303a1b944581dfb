"""The real queue between outbox and inbox: refused rows stay, a duplicate has one effect, poison is kept apart."""

from order.application.ports import Recorded
from order.domain.events import OrderDrafted
from order.infrastructure.object_storage import StoredHistory
from shared_kernel.clock import system_clock, to_milliseconds
from shared_kernel.cloudflare import ObjectStorage, QueueProducer
from shared_kernel.outbox import append, relay
from shared_kernel.sql import Database
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.platform.waiting import until
from tests.workerd.cases.scratch import thing_made

SUBSCRIPTIONS = {"thing.made": ["ADAPTERS_INBOX"]}
# A message holds 128 KB at most.
TOO_MUCH = "x" * 200_000
INBOX, DEAD_LETTERS = "adapters-inbox", "adapters-dlq"


async def delivered(database: Database, queue: str, body: str) -> int:
    return len(await database.rows("SELECT 1 AS one FROM deliveries WHERE queue = ? AND body = ?", queue, body))


async def effects(database: Database) -> list[object]:
    return [row["subject"] for row in await database.rows("SELECT subject FROM effects ORDER BY subject")]


async def waiting(database: Database) -> int:
    return len(await database.rows("SELECT position FROM outbox"))


async def test_what_the_outbox_held_takes_effect_on_the_other_side(scratch_db: Database, queue: QueueProducer) -> None:
    subjects = [f"naïve \U0001f455 {number:03d}" for number in range(100)]
    await scratch_db.batch([append(thing_made(subject, "é" * 4000)) for subject in subjects])
    assert await relay(scratch_db, SUBSCRIPTIONS, lambda _: queue, system_clock) == 100
    assert await waiting(scratch_db) == 0

    async def all_had_effect() -> bool:
        return await effects(scratch_db) == subjects

    await until(all_had_effect)


async def test_what_the_queue_refuses_stays_in_the_outbox(scratch_db: Database, queue: QueueProducer) -> None:
    await scratch_db.batch([append(thing_made("small")), append(thing_made("large", TOO_MUCH))])
    with raises(Exception):
        await relay(scratch_db, SUBSCRIPTIONS, lambda _: queue, system_clock)
    assert await waiting(scratch_db) == 2


async def test_a_duplicate_is_delivered_and_has_no_second_effect(scratch_db: Database, queue: QueueProducer) -> None:
    twice = thing_made("twice").model_dump_json()
    await queue.send_batch([twice, twice])
    await queue.send_batch([twice])

    async def all_delivered() -> bool:
        return await delivered(scratch_db, INBOX, twice) == 3

    await until(all_delivered)
    await queue.send_batch([thing_made("zzz").model_dump_json()])

    async def the_next_had_effect() -> bool:
        return "zzz" in await effects(scratch_db)

    await until(the_next_had_effect)
    assert await effects(scratch_db) == ["twice", "zzz"]


async def test_poison_is_tried_again_and_ends_with_the_dead_letters(scratch_db: Database, queue: QueueProducer) -> None:
    poison = [thing_made("poison").model_dump_json(), "no event at all"]
    await queue.send_batch([*poison, thing_made("healthy").model_dump_json()])

    async def all_dead() -> bool:
        return all([await delivered(scratch_db, DEAD_LETTERS, body) for body in poison])

    await until(all_dead)
    for body in poison:
        assert (await delivered(scratch_db, INBOX, body), await delivered(scratch_db, DEAD_LETTERS, body)) == (2, 1)
    assert await effects(scratch_db) == ["healthy"]


async def test_an_order_tells_its_events_through_the_queue(
    storage: ObjectStorage, scratch_db: Database, queue: QueueProducer
) -> None:
    order = StoredHistory(storage, lambda: to_milliseconds(system_clock()))
    drafted = Recorded(1, "2026-11-21T08:30:00.000Z", "guest", OrderDrafted("ord_1", "retail"))
    order.append([drafted], [thing_made("drafted")])
    await order.relay(SUBSCRIPTIONS, lambda _: queue)
    assert storage.execute("SELECT position FROM outbox") == []

    async def had_effect() -> bool:
        return await effects(scratch_db) == ["drafted"]

    await until(had_effect)


async def test_an_order_keeps_what_the_queue_refuses(storage: ObjectStorage, queue: QueueProducer) -> None:
    order = StoredHistory(storage, lambda: to_milliseconds(system_clock()))
    drafted = Recorded(1, "2026-11-21T08:30:00.000Z", "guest", OrderDrafted("ord_1", "retail"))
    order.append([drafted], [thing_made("large", TOO_MUCH)])
    with raises(Exception):
        await order.relay(SUBSCRIPTIONS, lambda _: queue)
    assert len(storage.execute("SELECT position FROM outbox")) == 1
