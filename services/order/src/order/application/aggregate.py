"""One order's use cases, as its Durable Object carries them out.

Each is: load the events, decide, append. Nothing waits in between, so no other call comes in between, and a
crash leaves all of a use case's statements or none.
"""

import hmac
import itertools
import json
import secrets
from collections.abc import Callable, Sequence

from order.application.messages import (
    AnswerApproval,
    CarryOut,
    FindPlaced,
    Found,
    GetPaymentMeans,
    HearOfPayment,
    PaymentMeans,
    PaymentOffer,
    PlaceAtPrices,
)
from order.application.ports import History, Recorded
from order.application.view import announcement, placed_version, placed_view, view
from order.domain.events import OrderEvent, write_event
from order.domain.order import ENDED, decide, replay
from order.domain.order import Order as OrderState
from shared_kernel.clock import Clock, rfc3339
from shared_kernel.contracts.model import Nothing
from shared_kernel.contracts.order import GetEvents, GetOrder, Order, Placed, PlacedOrder
from shared_kernel.errors import Forbidden, Invalid, NotFound, Unauthenticated
from shared_kernel.rpc import Call, Json, Principal

FINGERPRINT = "fingerprint"
ACCESS_TOKEN = "access_token"
PAYMENT_MEANS = "payment_means"
# The value is older than approvals, and objects hold it.
HEARD = "heard_of_payment"
_FINAL = frozenset({"captured", "declined", "expired", "cancelled", "refunded"})
TRACEPARENT = "traceparent"


class OrderAggregate:
    """The order of one Durable Object, for one call.

    `changed` is told after each change, with the order's id when it has just been placed.
    """

    def __init__(self, history: History, call: Call, clock: Clock, changed: Callable[[str | None], None]) -> None:
        self._history = history
        self._call = call
        self._clock = clock
        self._changed = changed

    async def find_placed(self, request: FindPlaced) -> Found:
        """What the same request was answered before."""
        return Found(placed=self._placed_before(request.fingerprint))

    async def place(self, request: PlaceAtPrices) -> Placed:
        """Place the order once; the same request again is answered as it was the first time."""
        if (before := self._placed_before(request.fingerprint)) is not None:
            return before
        decided = decide(request.order_id, None, request.command)
        # The events come last: they are the order, and it must not exist without its secrets.
        self._history.keep_private(FINGERPRINT, request.fingerprint)
        if self._call.principal.kind == "guest":
            self._history.keep_private(ACCESS_TOKEN, secrets.token_urlsafe(24))
        self._history.keep_private(PAYMENT_MEANS, request.means.model_dump_json())
        self._history.keep_private(TRACEPARENT, self._call.traceparent)
        history = self._append([], decided)
        self._changed(request.order_id)
        return Placed(order=placed_view(history, self._guest_token()), replayed=False)

    async def carry_out(self, request: CarryOut) -> PlacedOrder:
        """Decide the command and store what it gives."""
        self._call.principal.require_service()
        history = self._history.recorded()
        order = _state(history)
        history = self._append(history, decide(order.id, order, request.command))
        after = placed_view(history)
        if after.status in ENDED:
            self._history.keep_private(PAYMENT_MEANS, None)
        self._changed(None)
        return after

    async def answer_approval(self, request: AnswerApproval) -> PlacedOrder:
        """Record the yes or no of a member of the order's company, and wake the alarm, which tells the saga."""
        history = self._seen_history()
        order = _state(history)
        if order.company_id is None or order.company_id != self._call.principal.company_id:
            raise Forbidden("only the members of its company approve an order", code="not_an_approver")
        grown = self._append(history, decide(order.id, order, request.command))
        if len(grown) > len(history):
            self._history.keep_private(HEARD, f"answer-{len(grown)}")
            self._history.wake()
            self._changed(None)
        return placed_view(grown)

    async def get_placed(self, request: GetOrder) -> PlacedOrder:
        """The order as it is now."""
        self._call.principal.require_service()
        return placed_view(self._history.recorded())

    async def get_order(self, request: GetOrder) -> Order:
        """The order as it is, or as it was at a version or a time."""
        history = self._seen_history()
        if request.version is not None and request.version > len(history):
            raise NotFound("the order has not reached that version", code="version_not_found")
        if request.version is not None:
            history = history[: request.version]
        if request.at is not None:
            moment = rfc3339(request.at)
            history = list(itertools.takewhile(lambda recorded: recorded.occurred_at <= moment, history))
        return view(history)

    async def get_events(self, request: GetEvents) -> Json:
        """Every event with when it happened and who caused it."""
        items = [
            {
                "sequence": recorded.sequence,
                "type": recorded.event.type,
                "version": recorded.event.version,
                "occurred_at": recorded.occurred_at,
                "actor": recorded.actor,
                "data": json.loads(write_event(recorded.event)),
            }
            for recorded in self._seen_history()
        ]
        return Json(json.dumps({"items": items}))

    async def get_payment_means(self, request: GetPaymentMeans) -> PaymentOffer:
        """What the customer pays with, and until when."""
        self._call.principal.require_service()
        order = self._order()
        kept = self._history.private(PAYMENT_MEANS) if order is not None else None
        if order is None or kept is None:
            raise NotFound("it is not known any more what the order is paid with", code="payment_means_not_found")
        means = PaymentMeans.model_validate_json(kept)
        return PaymentOffer(**dict(means), hold_ends_at=order.hold_ends_at)

    async def hear_of_payment(self, request: HearOfPayment) -> Nothing:
        """Wake the alarm, unless what was told is no news to the order."""
        self._call.principal.require_service()
        order = self._order()
        if order is None or order.payment == "not_requested":
            return Nothing()
        if order.payment == request.status and request.status in _FINAL:
            return Nothing()
        self._history.keep_private(HEARD, request.event_id)
        self._history.wake()
        return Nothing()

    def _order(self) -> OrderState | None:
        return replay(recorded.event for recorded in self._history.recorded())

    def _append(self, history: Sequence[Recorded], decided: Sequence[OrderEvent]) -> list[Recorded]:
        now = rfc3339(self._clock())
        if history:
            # The object may have moved to a machine whose clock is behind; its history does not run backwards.
            now = max(now, history[-1].occurred_at)
        actor = self._call.principal.id
        grown = list(history)
        outgoing = []
        for event in decided:
            grown.append(Recorded(len(grown) + 1, now, actor, event))
            published = announcement(grown, self._call.traceparent)
            outgoing += [published] if published is not None else []
        if decided:
            self._history.append(grown[len(history) :], outgoing)
        return grown

    def _placed_before(self, fingerprint: str) -> Placed | None:
        history = self._history.recorded()
        if not history:
            return None
        if self._history.private(FINGERPRINT) != fingerprint:
            raise Invalid("this Idempotency-Key was used for another request", code="idempotency_key_reused")
        return Placed(order=placed_view(history[: placed_version(history)], self._guest_token()), replayed=True)

    def _guest_token(self) -> str | None:
        return self._history.private(ACCESS_TOKEN) if self._call.principal.kind == "guest" else None

    def _seen_history(self) -> list[Recorded]:
        principal = self._call.principal
        if principal.kind == "guest" and principal.credential is None:
            raise Unauthenticated("this needs the order's access token or a bearer token")
        history = self._history.recorded()
        if not history or not self._is_seen_by(principal, _state(history)):
            raise NotFound("there is no such order", code="order_not_found")
        return history

    def _is_seen_by(self, principal: Principal, order: OrderState) -> bool:
        if principal.may("orders:manage"):
            return True
        if principal.kind == "guest":
            expected = self._history.private(ACCESS_TOKEN)
            sent = principal.credential or ""
            return expected is not None and hmac.compare_digest(expected.encode(), sent.encode())
        placed_it = order.customer_id is not None and order.customer_id == principal.id
        return placed_it or (order.company_id is not None and order.company_id == principal.company_id)


def _state(history: Sequence[Recorded]) -> OrderState:
    order = replay(recorded.event for recorded in history)
    if order is None:
        raise NotFound("there is no such order", code="order_not_found")
    return order
