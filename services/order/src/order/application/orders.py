"""What the gateway asks of the order service: placing orders, reading them, and answering those over a limit."""

import hashlib
import logging
from collections.abc import Callable

from order.application.messages import AnswerApproval, FindPlaced, PaymentMeans, PlaceAtPrices
from order.application.ports import Aggregate, OrderList, Owner
from order.domain.commands import Approve, Place, Refuse
from order.domain.order import IllegalTransition
from shared_kernel.clock import system_clock, to_milliseconds
from shared_kernel.contracts.company import ApproveSpending, Spending
from shared_kernel.contracts.model import Health, Nothing
from shared_kernel.contracts.order import (
    ApproveOrder,
    GetEvents,
    GetOrder,
    ListOrders,
    Order,
    Placed,
    PlaceOrder,
    RefuseOrder,
)
from shared_kernel.contracts.product import PriceLines, Pricing, market_of
from shared_kernel.errors import Conflict, Forbidden
from shared_kernel.ids import derived_id
from shared_kernel.rpc import Json, Principal

SPENDING_RELEASED = "spending_released"
_log = logging.getLogger(__name__)


class Orders:
    """The use cases behind the public routes of one call."""

    def __init__(
        self,
        aggregate: Callable[[str], Aggregate],
        pricing: Pricing,
        spending: Spending,
        list_: OrderList,
        principal: Principal,
    ) -> None:
        self._aggregate = aggregate
        self._pricing = pricing
        self._spending = spending
        self._list = list_
        self._principal = principal

    async def place_order(self, request: PlaceOrder) -> Placed:
        """Freeze the prices and place the order.

        Its id comes from the caller and his key, so the same request always meets the same object, which
        answers it as before even when a product has gone since.
        """
        order_id = derived_id("ord", *_scope(self._principal), request.idempotency_key)
        fingerprint = hashlib.sha256(request.request.model_dump_json().encode()).hexdigest()
        aggregate = self._aggregate(order_id)
        found = await aggregate.find_placed(FindPlaced(fingerprint=fingerprint))
        if found.placed is not None:
            return found.placed
        wanted = request.request
        market, company_id = market_of(self._principal.kind), _company_of(self._principal)
        priced = await self._pricing.price_lines(PriceLines(market=market, lines=wanted.items))
        command = Place(
            market=market,
            customer_id=self._principal.id if _is_person(self._principal) else None,
            company_id=company_id,
            lines=tuple(priced.lines),
            total=priced.total,
            email=wanted.email,
            shipping_address=wanted.shipping_address,
            provider=wanted.payment.provider,
            method=wanted.payment.method,
        )
        paid = wanted.payment
        means = PaymentMeans(token=paid.token, phone=paid.phone, bank=paid.bank)
        return await aggregate.place(
            PlaceAtPrices(order_id=order_id, fingerprint=fingerprint, means=means, command=command)
        )

    async def get_order(self, request: GetOrder) -> Order:
        """The order as it is, or as it was."""
        return await self._aggregate(request.id).get_order(request)

    async def list_own_orders(self, request: ListOrders) -> Json:
        """A page of the caller's orders, and of his company's, newest first."""
        self._principal.require("account:use")
        return await self._list.page(request, Owner(self._principal.id, _company_of(self._principal)))

    async def approve_order(self, request: ApproveOrder) -> Order:
        """Count the yes at the user service, which knows who may give it, then at the order.

        What ends between the two has approved the order all the same: the saga asks the user service again.
        """
        self._principal.require("company:use")
        aggregate = self._aggregate(request.id)
        order = await aggregate.get_order(GetOrder(id=request.id))
        answer = self._answer_to(order)
        approved_by = order.approval.approved_by if order.approval is not None else None
        if approved_by == self._principal.id:
            return order
        if order.rejection is not None:
            raise IllegalTransition(f"the order does not wait for an approver any more: {order.rejection.code}")
        try:
            decision = await self._spending.approve(answer)
        except Conflict as refusal:
            if refusal.code != SPENDING_RELEASED:
                raise
            raise IllegalTransition("the order has come to nothing meanwhile") from refusal
        command = Approve(approver_id=decision.approver_id or self._principal.id)
        return await aggregate.answer_approval(AnswerApproval(command=command))

    async def refuse_order(self, request: RefuseOrder) -> Order:
        """Turn the order back, if the user service says that the caller may."""
        self._principal.require("company:use")
        aggregate = self._aggregate(request.id)
        answer = self._answer_to(await aggregate.get_order(GetOrder(id=request.id)))
        try:
            await self._spending.may_approve(answer)
        except Conflict as refusal:
            # He may; that the order counts no more is no news to it, and it knows what became of it.
            if refusal.code != SPENDING_RELEASED:
                raise
        return await aggregate.answer_approval(AnswerApproval(command=Refuse(reason=request.reason)))

    async def get_events(self, request: GetEvents) -> Json:
        """The order's history."""
        return await self._aggregate(request.id).get_events(request)

    async def health(self, request: Nothing) -> Health:
        """Whether the read model answers."""
        started_ms = to_milliseconds(system_clock())
        try:
            await self._list.version_of("")
        except Exception:
            _log.exception("the list of orders cannot be read")
            return Health(status="degraded", database="unavailable")
        return Health(status="ok", database="ok", database_ms=to_milliseconds(system_clock()) - started_ms)

    def _answer_to(self, order: Order) -> ApproveSpending:
        """Who answers which order; IllegalTransition for one that never waited for it, Forbidden for a stranger."""
        if order.approval is None or order.company_id is None:
            raise IllegalTransition("the order does not wait for an approver")
        if order.company_id != self._principal.company_id:
            raise Forbidden("only the members of its company approve an order", code="not_an_approver")
        return ApproveSpending(order_id=order.id, company_id=order.company_id, approver_id=self._principal.id)


class OrderAdmin:
    """What staff ask of the list of orders."""

    def __init__(self, list_: OrderList, principal: Principal) -> None:
        self._list = list_
        self._principal = principal

    async def list_orders(self, request: ListOrders) -> Json:
        """A page of all orders, newest first."""
        self._principal.require("orders:manage")
        return await self._list.page(request)


def _is_person(principal: Principal) -> bool:
    return principal.kind not in ("guest", "service")


def _scope(principal: Principal) -> tuple[str, str]:
    """Whose keys they are: a person's are his own whatever role he has at the moment."""
    return ("user" if _is_person(principal) else principal.kind, principal.id)


def _company_of(principal: Principal) -> str | None:
    """The company that he orders for; Forbidden for a buyer of none, whose spending nobody would count."""
    if principal.kind != "buyer":
        return None
    if principal.company_id is None:
        raise Forbidden("a buyer orders for his company, and none is known", code="company_not_known")
    return principal.company_id
