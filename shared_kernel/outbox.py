"""The outbox: an event is written in the transaction of the change that it tells, and sent afterwards.

Many calls send at the same time, in many isolates. Each claims the rows that it sends, for a short time, so
that the others pass them over. What crashed after its claim is sent when the claim has run out, so an event
goes out at least once, and normally no more than that. Each schema that uses it holds
`CREATE TABLE outbox (position INTEGER PRIMARY KEY, event TEXT NOT NULL, claimed_until TEXT) STRICT`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from shared_kernel.clock import Clock, rfc3339
from shared_kernel.events import Event
from shared_kernel.sql import Database, Statement

CLAIM_SECONDS = 30
"""Far longer than a queue takes to answer: whoever is slower than this has most likely ended."""
RELAYS_PER_DRAIN = 20
LARGEST_BATCH = 100
LARGEST_BATCH_BYTES = 240_000
"""A queue takes at most 100 messages and 256 KB in one `sendBatch` (Cloudflare Queues, limits); the margin
is for what the queue adds to each message."""

_CLAIM = """UPDATE outbox SET claimed_until = ?1 WHERE position IN (
    SELECT position FROM outbox WHERE claimed_until IS NULL OR claimed_until <= ?2 ORDER BY position LIMIT ?3
) RETURNING position, event"""
# A position is given again once it is free, so who comes after the end of his claim must not touch what stands there.
_FREE = """UPDATE outbox SET claimed_until = NULL
    WHERE position IN (SELECT value FROM json_each(?)) AND claimed_until = ?"""
_FORGET = "DELETE FROM outbox WHERE position IN (SELECT value FROM json_each(?)) AND claimed_until = ?"


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


async def relay(database: Database, subscriptions: Subscriptions, queue: Callable[[str], Queue], clock: Clock) -> int:
    """Send the oldest events that nobody else is sending, then forget them; answers how many went out.

    At most 100 events a call. When a queue refuses, the rows stay for the next sweep (those that were
    already sent go out again: consumers know them by their id). Events of types that the topology does not
    name, such as a later deployment wrote, are told of by KeyError when the others are sent; they stay.
    """
    now = clock()
    claim = rfc3339(now + timedelta(seconds=CLAIM_SECONDS))
    # One statement, so that no two calls can have the same row; its rows come back in any order.
    claimed = await database.rows(_CLAIM, claim, rfc3339(now), LARGEST_BATCH)
    if not claimed:
        return 0
    events = {int(str(row["position"])): str(row["event"]) for row in claimed}
    kinds = {position: _kind(text) for position, text in events.items()}
    named = [position for position in sorted(events) if kinds[position] in subscriptions]
    try:
        for binding, wanted in by_subscriber([events[position] for position in named], subscriptions).items():
            for portion in in_portions(wanted):
                await queue(binding).send_batch(portion)
    except Exception:
        await database.batch([Statement(_FREE, (json.dumps(sorted(events)), claim))])
        raise
    await database.batch([Statement(_FORGET, (json.dumps(named), claim))])
    if len(named) < len(events):
        # They stay claimed, so that the next relays come to what stands behind them.
        raise KeyError(*sorted(set(kinds.values()) - subscriptions.keys()))
    return len(events)


async def drain(database: Database, subscriptions: Subscriptions, queue: Callable[[str], Queue], clock: Clock) -> None:
    """Relay until nothing is left to claim, or 20 times: what is left then waits for the next sweep."""
    for _ in range(RELAYS_PER_DRAIN):
        if await relay(database, subscriptions, queue, clock) < LARGEST_BATCH:
            return


def by_subscriber(events: Sequence[str], subscriptions: Subscriptions) -> dict[str, list[str]]:
    """The events' texts by the queue that wants them; KeyError for a type that the topology does not name."""
    wanted: dict[str, list[str]] = {}
    for text in events:
        for binding in subscriptions[_kind(text)]:
            wanted.setdefault(binding, []).append(text)
    return wanted


def _kind(text: str) -> str:
    return str(json.loads(text)["type"])


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
