"""Outbox and inbox over a database: an event is forgotten when every queue took it, and has its effect once."""

from shared_kernel.inbox import once
from shared_kernel.outbox import append, drain, relay
from shared_kernel.sql import ConstraintViolated, Database
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.scratch import NOW, effect, thing_made
from tests.workerd.cases.taker import Taker


async def effects(database: Database) -> list[object]:
    return [row["subject"] for row in await database.rows("SELECT subject FROM effects ORDER BY rowid")]


async def test_a_long_outbox_is_drained_in_order(scratch_db: Database) -> None:
    told = [thing_made(str(number)) for number in range(201)]
    await scratch_db.batch([append(event) for event in told])
    queue = Taker()
    assert await relay(scratch_db, {"thing.made": ["A"]}, lambda _: queue) == 100
    await drain(scratch_db, {"thing.made": ["A"]}, lambda _: queue)
    assert queue.taken == [event.model_dump_json() for event in told]
    assert await relay(scratch_db, {"thing.made": ["A"]}, lambda _: queue) == 0


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
