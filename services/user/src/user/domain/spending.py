"""What is recorded of an order that was placed for a company, and what may still become of it.

within_limit or needs_approval -> approved, each until it is released, which is for good. Whether an order is within
its buyer's limit is not decided here: many orders at once each have to see the others, so that the one statement that
records an order counts those before it (D1Spendings.authorise).
"""

from dataclasses import dataclass

from shared_kernel.contracts.company import ApproveSpending, Decision, MemberRole, SpendingDecision, SpendOnOrder
from shared_kernel.money import Money
from user.domain.company_errors import (
    NegativeAmount,
    NotAnApprover,
    OwnOrder,
    SpendingDiffers,
    SpendingNotFound,
    SpendingReleased,
)

APPROVERS: frozenset[MemberRole] = frozenset({"approver", "admin"})


@dataclass(frozen=True)
class Spending:
    """The record of one order; one that was released before it was authorised has no order, only the mark."""

    order: SpendOnOrder | None
    decision: Decision | None
    approver_id: str | None
    is_released: bool

    def decided(self, order: SpendOnOrder) -> SpendingDecision:
        """The decision on this order, and whose yes it was.

        SpendingReleased; SpendingDiffers when another order was recorded under its id.
        """
        if self.is_released or self.decision is None:
            raise SpendingReleased
        if order != self.order:
            raise SpendingDiffers
        return SpendingDecision(decision=self.decision, approver_id=self.approver_id)


@dataclass(frozen=True)
class Approval:
    """The record of an order that somebody may say yes to, and his role in the company that he named, or None."""

    spending: Spending | None
    role: MemberRole | None

    def decided(self, asked: ApproveSpending) -> SpendingDecision:
        """What his yes came to, or would; an order that needed none stays within its limit.

        SpendingNotFound, also for another company's order; NotAnApprover, unless the yes on record is his;
        OwnOrder; SpendingReleased.
        """
        spending = self.spending
        if spending is None or spending.order is None or spending.order.company_id != asked.company_id:
            raise SpendingNotFound
        if self.role not in APPROVERS and spending.approver_id != asked.approver_id:
            raise NotAnApprover
        if spending.order.user_id == asked.approver_id:
            raise OwnOrder
        return spending.decided(spending.order)


def require_countable(amount: Money) -> None:
    """NegativeAmount for what no order comes to."""
    if amount.amount < 0:
        raise NegativeAmount("what an order comes to is zero or more")
