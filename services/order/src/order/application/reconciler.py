"""What an order's alarm does until the order has ended and everybody has been told.

It is the sweep behind every promise that is kept "afterwards": an event that was stored but not sent, a
saga that was never started, one that died with its process, a list that missed an event. Each order has
its own alarm, set in the transaction that makes it necessary, so that no list has to be trusted to know
which orders are stuck.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from order.application.aggregate import TRACEPARENT
from order.application.ports import History, OrderList, Recorded, Sagas
from order.application.view import announcement
from order.domain.order import replay
from shared_kernel.clock import Clock, rfc3339
from shared_kernel.events import Event

ATTEMPT = "saga_attempt"
CHECKS = "saga_checks"
STALE_AFTER_SECONDS = 30
FIRST_PAUSE_SECONDS = 10
LONGEST_PAUSE_SECONDS = 3600


async def reconcile(
    history: History,
    sagas: Sagas,
    order_list: OrderList,
    send: Callable[[], Awaitable[None]],
    publish: Callable[[Event], None],
    clock: Clock,
) -> int | None:
    """Move the order on by what is missing; answers in how many seconds to look again, None for never.

    `send` relays the outbox, and raises when a queue refuses; `publish` puts an event into it once more.
    """
    recorded = history.recorded()
    order = replay(each.event for each in recorded)
    if order is None:
        return None
    checks = int(history.private(CHECKS) or 0)
    history.keep_private(CHECKS, str(checks + 1))
    pause: int = min(FIRST_PAUSE_SECONDS * 2 ** min(checks // 4, 10), LONGEST_PAUSE_SECONDS)
    await send()
    if not order.ended:
        if _stale(history.recorded(), clock()):
            await _move_on(order.id, history, sagas)
        return pause
    last = announcement(recorded, history.private(TRACEPARENT) or "")
    if last is None or await order_list.version_of(order.id) >= order.version:
        return None
    publish(last)
    await send()
    return pause


def _stale(recorded: list[Recorded], now: datetime) -> bool:
    return recorded[-1].occurred_at <= rfc3339(now - timedelta(seconds=STALE_AFTER_SECONDS))


async def _move_on(order_id: str, history: History, sagas: Sagas) -> None:
    attempt = int(history.private(ATTEMPT) or 1)
    if not await sagas.revive(order_id, attempt):
        history.keep_private(ATTEMPT, str(attempt + 1))
        await sagas.start(order_id, attempt + 1, history.private(TRACEPARENT) or "")
