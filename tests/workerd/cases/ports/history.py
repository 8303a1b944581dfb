"""An order's history in its object: appended as a whole, told until a queue took it."""

from order.application.ports import Recorded, VersionConflict
from order.domain.events import OrderConfirmed, OrderDrafted, OrderRejected, UnknownEvent
from order.infrastructure.object_storage import Storage, StoredHistory
from shared_kernel.clock import to_milliseconds
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.scratch import NOW, thing_made
from tests.workerd.cases.taker import Taker

SUBSCRIPTIONS = {"thing.made": ["A", "B"]}
DRAFTED = Recorded(1, "2026-11-21T08:30:00.000Z", "guest \U0001f455", OrderDrafted("ord_1", "retail"))
REJECTED = Recorded(2, "2026-11-21T08:31:00.000Z", "saga", OrderRejected("payment_declined", "naïve"))
CONFIRMED = Recorded(2, "2026-11-21T08:31:00.000Z", "saga", OrderConfirmed())


def history(storage: Storage) -> StoredHistory:
    return StoredHistory(storage, lambda: to_milliseconds(NOW) + 10**10)


def waiting(storage: Storage) -> int:
    return len(storage.execute("SELECT position FROM outbox"))


async def test_events_are_read_as_they_were_recorded(storage: Storage) -> None:
    order = history(storage)
    order.append([DRAFTED, REJECTED], [])
    assert order.recorded() == [DRAFTED, REJECTED]


async def test_reading_what_does_not_exist_leaves_nothing_behind(storage: Storage) -> None:
    order = history(storage)
    assert (order.recorded(), order.version()) == ([], 0)
    await order.relay(SUBSCRIPTIONS, lambda _: Taker())
    assert storage.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'") == []


async def test_a_sequence_that_is_taken_is_a_conflict_and_nothing_is_stored(storage: Storage) -> None:
    order = history(storage)
    order.append([DRAFTED, REJECTED], [thing_made("first")])
    free = Recorded(3, "2026-11-21T08:32:00.000Z", "saga", OrderConfirmed())
    with raises(VersionConflict):
        order.append([free, CONFIRMED], [thing_made("second")])
    assert order.recorded() == [DRAFTED, REJECTED]
    assert waiting(storage) == 1


async def test_an_append_that_breaks_in_the_middle_stores_nothing(storage: Storage) -> None:
    order = history(storage)
    unwritable = thing_made("second").model_copy(update={"data": {"note": "\ud800"}})
    with raises(Exception):
        order.append([DRAFTED], [thing_made("first"), unwritable])
    assert order.recorded() == []


async def test_the_version_is_known_of_events_that_a_later_deployment_wrote(storage: Storage) -> None:
    order = history(storage)
    order.append([DRAFTED, REJECTED], [])
    storage.execute("UPDATE events SET version = 99 WHERE sequence = 2")
    with raises(UnknownEvent):
        order.recorded()
    assert order.version() == 2


async def test_a_secret_is_kept_changed_and_forgotten(storage: Storage) -> None:
    order = history(storage)
    order.keep_private("token", "one")
    order.keep_private("token", "naïve \U0001f511")
    order.keep_private("other", "")
    assert (order.private("token"), order.private("other")) == ("naïve \U0001f511", "")
    order.keep_private("token", None)
    assert order.private("token") is None
    assert order.recorded() == []


async def test_what_is_told_goes_to_every_subscriber_once(storage: Storage) -> None:
    order = history(storage)
    order.append([DRAFTED], [thing_made("1"), thing_made("2")])
    order.publish(thing_made("3"))
    queues = {"A": Taker(), "B": Taker()}
    await order.relay(SUBSCRIPTIONS, queues.__getitem__)
    await order.relay(SUBSCRIPTIONS, queues.__getitem__)
    texts = [thing_made(subject).model_dump_json() for subject in "123"]
    assert (queues["A"].taken, queues["B"].taken, waiting(storage)) == (texts, texts, 0)


async def test_what_one_queue_refuses_is_told_again(storage: Storage) -> None:
    order = history(storage)
    order.append([DRAFTED], [thing_made("1")])
    queues = {"A": Taker(), "B": Taker(is_down=True)}
    with raises(RuntimeError):
        await order.relay(SUBSCRIPTIONS, queues.__getitem__)
    assert waiting(storage) == 1
    queues["B"].is_down = False
    await order.relay(SUBSCRIPTIONS, queues.__getitem__)
    assert (queues["B"].taken, waiting(storage)) == ([thing_made("1").model_dump_json()], 0)
