"""A company's order and what surrounds it: the user service that counts spending, and the people who answer."""

from collections.abc import Callable
from typing import cast

from order.application.orders import Orders
from order.application.ports import Aggregate
from order_saga import saga
from shared_kernel.contracts.company import ApproveSpending, OrderSpending, SpendingDecision, SpendOnOrder
from shared_kernel.contracts.model import Nothing
from shared_kernel.contracts.order import ApproveOrder, GetOrder, Order, PlacedOrder, RefuseOrder
from shared_kernel.errors import Conflict, Forbidden, NotFound
from shared_kernel.ids import derived_id
from shared_kernel.rpc import Principal
from tests.unit.order.durable_steps import DurableSteps
from tests.unit.order.order_world import (
    BUYER,
    COMPANY_ID,
    ORDER_ID,
    Breaking,
    OrderWorld,
    Shop,
    now_and_then,
    services,
)
from tests.unit.order.test_order_reconciler import OrderList

APPROVER = Principal(kind="buyer", id=derived_id("usr", "approver"), company_id=COMPANY_ID)
SECOND_APPROVER = Principal(kind="buyer", id=derived_id("usr", "second"), company_id=COMPANY_ID)
COLLEAGUE = Principal(kind="buyer", id=derived_id("usr", "colleague"), company_id=COMPANY_ID)
STRANGER = Principal(kind="buyer", id=derived_id("usr", "stranger"), company_id=derived_id("com", "other"))
PIECES = 10


class Budget:
    """What the buyer may spend, as the user service keeps it: every answer is recorded, and so is a release."""

    def __init__(self, limit_minor: int, faults: Breaking | None = None) -> None:
        self.limit_minor = limit_minor
        self.faults = faults or Breaking()
        self.spent_minor: int | None = None
        self.approver_id: str | None = None
        self.is_released = False
        self.is_buyer = True
        self.before_approve: Callable[[], object] = lambda: None

    async def authorise(self, request: SpendOnOrder) -> SpendingDecision:
        call = self.faults.before()
        if self.is_released:
            raise Conflict("it was given back before", code="spending_released")
        if not self.is_buyer or (request.user_id, request.company_id) != (BUYER.id, COMPANY_ID):
            raise Conflict("he is no buyer of this company", code="not_a_buyer")
        self.spent_minor = request.amount.amount
        self.faults.after(call)
        return self._decision()

    async def approve(self, request: ApproveSpending) -> SpendingDecision:
        self.before_approve()
        call = self.faults.before()
        self._require_approver(request)
        if self.is_released:
            raise Conflict("it was given back before", code="spending_released")
        self.approver_id = self.approver_id or request.approver_id
        self.faults.after(call)
        return self._decision()

    async def may_approve(self, request: ApproveSpending) -> Nothing:
        call = self.faults.before()
        self._require_approver(request)
        if self.is_released:
            raise Conflict("it was given back before", code="spending_released")
        self.faults.after(call)
        return Nothing()

    async def release(self, request: OrderSpending) -> Nothing:
        call = self.faults.before()
        self.is_released = True
        self.faults.after(call)
        return Nothing()

    @property
    def counted_minor(self) -> int:
        return 0 if self.is_released or self.spent_minor is None else self.spent_minor

    def _decision(self) -> SpendingDecision:
        if self.approver_id is not None:
            return SpendingDecision(decision="approved", approver_id=self.approver_id)
        over = self.spent_minor is not None and self.spent_minor > self.limit_minor
        return SpendingDecision(decision="needs_approval" if over else "within_limit")

    def _require_approver(self, request: ApproveSpending) -> None:
        if self.spent_minor is None:
            raise NotFound("no such order was counted", code="spending_not_found")
        if request.approver_id == BUYER.id:
            raise Forbidden("it is his own order", code="own_order")
        if request.approver_id not in (APPROVER.id, SECOND_APPROVER.id):
            raise Forbidden("he is no approver", code="not_an_approver")


class Buying:
    """A buyer's order for his company, its shop, its budget, and its saga's steps, all by one clock."""

    def __init__(self, limit_minor: int = 0, token: str = "tok_ok", faults: Breaking | None = None) -> None:
        self.faults = faults or Breaking()
        self.world = OrderWorld()
        self.shop = Shop(PIECES, self.faults, self.world.clock)
        self.budget = Budget(limit_minor, self.faults)
        self.steps = DurableSteps(self.world.clock)
        self.world.place_by(BUYER, token)

    def run(self) -> str:
        return now_and_then(
            saga.run(ORDER_ID, self.steps, lambda: services(self.world, self.shop, spending=self.budget))
        )

    def on_wait(self, *happens: Callable[[], object]) -> None:
        """What happens in the first wait, the second, ...: each ends by a nudge, all others when their time is over."""

        def in_wait(look: int) -> bool:
            if look <= len(happens):
                happens[look - 1]()
            return look <= len(happens)

        self.steps.on_wait = in_wait

    def orders(self, principal: Principal) -> Orders:
        order_object = cast(Aggregate, self.world.order_for(principal))
        return Orders(lambda _id: order_object, self.shop, self.budget, OrderList(), principal)

    def approve(self, by: Principal = APPROVER) -> Order:
        return now_and_then(self.orders(by).approve_order(ApproveOrder(id=ORDER_ID)))

    def refuse(self, by: Principal = APPROVER, reason: str = "too dear") -> Order:
        return now_and_then(self.orders(by).refuse_order(RefuseOrder(id=ORDER_ID, reason=reason)))

    def order(self) -> PlacedOrder:
        return now_and_then(self.world.order().get_placed(GetOrder(id=ORDER_ID)))

    def rejected_for(self) -> str | None:
        rejection = self.order().rejection
        return None if rejection is None else rejection.code

    def assert_books_agree(self) -> None:
        """Order, stock, money and budget say the same."""
        order, shop, budget = self.order(), self.shop, self.budget
        if order.status == "confirmed":
            assert (shop.reservation, shop.on_hand) == ("confirmed", PIECES - 2)
            assert shop.charged - shop.refunded == budget.counted_minor == order.total.amount
            assert order.approval is None or order.approval.approved_by == budget.approver_id is not None
        else:
            assert order.status == "rejected"
            assert (shop.reservation, shop.on_hand) == ("released", PIECES)
            assert shop.charged == shop.refunded
            assert budget.is_released
