"""The outbox: an event is written in the transaction of the change that it tells, and sent afterwards.

The same two functions serve D1 and a Durable Object's storage. What crashed between the commit and the
send is sent by the next sweep, so an event goes out at least once. Each schema that uses it holds
`CREATE TABLE outbox (position INTEGER PRIMARY KEY, event TEXT NOT NULL) STRICT`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from shared_kernel.events import Event
from shared_kernel.sql import Database, Statement

RELAYS_PER_DRAIN = 20
LARGEST_BATCH = 100
LARGEST_BATCH_BYTES = 240_000
"""A queue takes at most 100 messages and 256 KB in one `sendBatch` (Cloudflare Queues, limits); the margin
is for what the queue adds to each message."""


class Queue(Protocol):
    """A queue's producer binding."""

    async def send_batch(self, messages: Sequence[str]) -> None:
        """Send at most 100 texts; raises when the queue did not take them all."""
        ...


Subscriptions = Mapping[str, Sequence[str]]
"""For each event type that the service publishes, the bindings of the queues that want it."""


def append(event: Event) -> Statement:
    """The statement that puts the event into the outbox, for the batch of the change itself."""
    return Statement("INSERT INTO outbox (event) VALUES (?)", (event.model_dump_json(),))


async def relay(database: Database, subscriptions: Subscriptions, queue: Callable[[str], Queue]) -> int:
    """Send the oldest events to their subscribers, then forget them; answers how many went out.

    At most 100 events a call. When a queue refuses, the rows stay for the next sweep (those that were
    already sent go out again: consumers know them by their id).
    """
    rows = await database.rows("SELECT position, event FROM outbox ORDER BY position LIMIT ?", LARGEST_BATCH)
    if not rows:
        return 0
    for binding, events in by_subscriber([str(row["event"]) for row in rows], subscriptions).items():
        for portion in in_portions(events):
            await queue(binding).send_batch(portion)
    positions = json.dumps([row["position"] for row in rows])
    await database.batch(
        [Statement("DELETE FROM outbox WHERE position IN (SELECT value FROM json_each(?))", (positions,))]
    )
    return len(rows)


async def drain(database: Database, subscriptions: Subscriptions, queue: Callable[[str], Queue]) -> None:
    """Relay until the outbox is empty, or 20 times: what is left then waits for the next sweep."""
    for _ in range(RELAYS_PER_DRAIN):
        if await relay(database, subscriptions, queue) < LARGEST_BATCH:
            return


def by_subscriber(events: Sequence[str], subscriptions: Subscriptions) -> dict[str, list[str]]:
    """The events' texts by the queue that wants them; KeyError for a type that the topology does not name."""
    wanted: dict[str, list[str]] = {}
    for text in events:
        for binding in subscriptions[json.loads(text)["type"]]:
            wanted.setdefault(binding, []).append(text)
    return wanted


def in_portions(texts: Sequence[str]) -> list[list[str]]:
    """The texts in their order, cut so that each portion is small enough for one `sendBatch`.

    A text that is too large by itself is a portion by itself: the queue refuses it, loudly.
    """
    portions: list[list[str]] = []
    room_bytes = 0
    for text in texts:
        size_bytes = len(text.encode())
        if not portions or size_bytes > room_bytes or len(portions[-1]) == LARGEST_BATCH:
            portions.append([])
            room_bytes = LARGEST_BATCH_BYTES
        portions[-1].append(text)
        room_bytes -= size_bytes
    return portions
