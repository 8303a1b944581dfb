"""Giving back what is held by holds that have run out."""

from collections.abc import Sequence
from datetime import datetime

from inventory.application import events
from inventory.application.ports import Reservations
from inventory.domain.reservation import Change
from shared_kernel.clock import Clock
from shared_kernel.sql import ConstraintViolated
from shared_kernel.tracing import next_traceparent

HOLDS_PER_BATCH = 25
"""An order has at most 100 products, so that the counters of a batch stay far below D1's 2 MB per parameter."""
BATCHES_PER_SWEEP = 30
"""Each is of at most 28 statements, and a Worker may ask D1 for a thousand in one invocation (D1, limits)."""


async def expire(
    reservations: Reservations, now: datetime, traceparent: str, product_ids: Sequence[str] | None = None
) -> int:
    """End the oldest overdue holds, of any of these products where they are named, and answer how many.

    At most HOLDS_PER_BATCH. ConstraintViolated when one of them was ended by another meanwhile.
    """
    holds = await reservations.overdue(now, HOLDS_PER_BATCH, product_ids)
    changes = [Change(hold, hold.expire(now)) for hold in holds]
    if changes:
        told = [event for change in changes for event in events.changed(change, now, traceparent)]
        await reservations.change(changes, now, told)
    return len(changes)


async def sweep(reservations: Reservations, clock: Clock) -> int:
    """The cron's work: end what is overdue, oldest first, and answer how many holds were ended.

    At most BATCHES_PER_SWEEP batches; what remains waits for the next run and is treated as expired until then.
    Raises the last ConstraintViolated when no batch at all could be written.
    """
    ended = 0
    refusal: ConstraintViolated | None = None
    traceparent = next_traceparent(None)
    for _ in range(BATCHES_PER_SWEEP):
        try:
            count = await expire(reservations, clock(), traceparent)
        except ConstraintViolated as lost:
            refusal = lost
            continue
        ended += count
        if count < HOLDS_PER_BATCH:
            return ended
    if refusal is not None and not ended:
        raise refusal
    return ended
