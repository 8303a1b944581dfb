"""What an order's alarm does until the order has ended and everybody has been told.

It is the sweep behind every promise that is kept "afterwards": an event that was stored but not sent, a
saga that was never started, one that died with its process or missed that the customer has paid or an
approver has answered, money that came or went after the order had ended, a list that missed an event. Each
order has its own alarm, set in the transaction that makes it necessary, so that no list has to be trusted to
know which orders are stuck.
"""

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from order.application.aggregate import HEARD, TRACEPARENT
from order.application.payments import PASSING, payment_key, returned
from order.application.ports import History, OrderList, Recorded, Sagas
from order.application.view import announced_version, announcement
from order.domain.commands import Command
from order.domain.order import Order, replay
from shared_kernel.clock import Clock, rfc3339
from shared_kernel.contracts.payment import Charges, CheckPayment, Payment
from shared_kernel.events import Event

ATTEMPT = "saga_attempt"
PASSED_ON = "passed_on_to_saga"
CHECKS = "saga_checks"
STALE_AFTER_SECONDS = 30
FIRST_PAUSE_SECONDS = 10
WAITING_PAUSE_SECONDS = 30
LONGEST_PAUSE_SECONDS = 3600
APPROVAL_PAUSE_SECONDS = 6 * 3600
"""How often an order is seen to whose approver has a week: enough for a yes whose record was lost."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reconciler:
    """One ringing of an order's alarm.

    `carry_out` commands the order; `send` relays the outbox, answers whether nothing is left in it, and raises when
    a queue refuses; `publish` puts an event into it once more.
    """

    history: History
    sagas: Sagas
    order_list: OrderList
    charges: Charges
    carry_out: Callable[[Command], Awaitable[object]]
    send: Callable[[], Awaitable[bool]]
    publish: Callable[[Event], None]
    clock: Clock

    async def run(self) -> int | None:
        """Move the order on by what is missing; answers in how many seconds to look again, None for never."""
        recorded = self.history.recorded()
        order = replay(each.event for each in recorded)
        if order is None:
            return None
        heard = self.history.private(HEARD)
        if heard is None:
            # A queue that refuses ends it here: it has the alarm ring often, and each nudge costs the saga a look.
            await self.send()
        if order.ended:
            again = await self._follow(order, heard)
        else:
            again = await self._advance(order, recorded, heard)
        # What is heard of the payment of an order that is being turned back is kept until it has ended.
        left = None if order.ended or _concerns_saga(order) else heard
        if left is None and self.history.private(HEARD) == heard:
            self.history.keep_private(HEARD, None)
            if heard and not order.ended and order.payment != "not_requested":
                # The saga asks only whether the money came. What went back meanwhile is asked for at the order's end.
                self.history.keep_private(PASSED_ON, heard)
        is_all_sent = await self.send()
        # Nothing waits after this look: the alarm that is set now takes the place of the one that news has set.
        if self.history.private(HEARD) != left:
            return 0
        # Who is sending at this moment may end in the middle of it.
        return again if is_all_sent else FIRST_PAUSE_SECONDS

    async def _advance(self, order: Order, recorded: Sequence[Recorded], heard: str | None) -> int:
        now = self.clock()
        stale = _older(recorded[-1].occurred_at, now)
        if order.awaits_approver and order.approval is not None and not _older(order.approval.expires_at, now):
            left = datetime.fromisoformat(order.approval.expires_at) - now
            seldom = min(math.ceil(left.total_seconds()) + STALE_AFTER_SECONDS, APPROVAL_PAUSE_SECONDS)
            # Approvers find it in the list. It is looked there often until it is found, and each nudge costs a look.
            if not await self._is_listed(order.id, recorded):
                return min(seldom, self._pause())
            if stale:
                await self._move_on(order.id)
            return seldom
        if order.awaits_customer and order.instructed is not None and not _older(order.instructed.expires_at, now):
            if (stale or heard) and (await self._payment(order)).status not in PASSING:
                await self._move_on(order.id)
            return WAITING_PAUSE_SECONDS
        if stale or (heard and _concerns_saga(order)):
            await self._move_on(order.id)
        return self._pause()

    async def _follow(self, order: Order, heard: str | None) -> int | None:
        """Record what became of the money of an order that has ended, and see to it that the list shows its end."""
        news = heard or self.history.private(PASSED_ON)
        # An approver's answer is no news of a payment, which an order that was refused never had.
        if order.payment != "not_requested" and (news or order.money_is_out):
            await self.carry_out(returned(await self._payment(order)))
            self.history.keep_private(PASSED_ON, None)
        recorded = self.history.recorded()
        after = replay(each.event for each in recorded)
        is_listed = await self._is_listed(order.id, recorded)
        return None if is_listed and not (after is not None and after.money_is_out) else self._pause()

    async def _is_listed(self, order_id: str, recorded: Sequence[Recorded]) -> bool:
        """Whether the list shows what was published last, which is told again where it was missed."""
        version = announced_version(recorded)
        if version == 0 or await self.order_list.version_of(order_id) >= version:
            return True
        # What was sent a moment ago may still be on its way; sent again, it would only make a long queue longer.
        if _older(recorded[version - 1].occurred_at, self.clock()):
            last = announcement(recorded[:version], self.history.private(TRACEPARENT) or "")
            if last is not None:
                self.publish(last)
        return False

    async def _payment(self, order: Order) -> Payment:
        return await self.charges.check_payment(CheckPayment(idempotency_key=payment_key(order.id)))

    async def _move_on(self, order_id: str) -> None:
        attempt = int(self.history.private(ATTEMPT) or 1)
        if not await self.sagas.nudge(order_id, attempt):
            fields = {"order": order_id, "attempt": attempt + 1}
            _log.warning("a saga was over before its order and is started anew", extra={"fields": fields})
            self.history.keep_private(ATTEMPT, str(attempt + 1))
            await self.sagas.start(order_id, attempt + 1, self.history.private(TRACEPARENT) or "")

    def _pause(self) -> int:
        checks = int(self.history.private(CHECKS) or 0)
        self.history.keep_private(CHECKS, str(checks + 1))
        pause: int = min(FIRST_PAUSE_SECONDS * 2 ** min(checks // 4, 10), LONGEST_PAUSE_SECONDS)
        return pause


def _concerns_saga(order: Order) -> bool:
    """Whether what was heard is for the saga: how a payment stands that it waits for, or an approver's answer."""
    return order.rejection is None or order.payment == "not_requested"


def _older(moment: str, now: datetime) -> bool:
    return moment <= rfc3339(now - timedelta(seconds=STALE_AFTER_SECONDS))
