"""The saga's steps for a buyer's order for his company: whether he may spend so much, or an approver says yes.

The user service counts the order, and knows who has said yes; the order knows that it waits, and for how long.
"""

from datetime import timedelta

from order.domain import commands
from order_saga.work import Services, require_standing, seconds_left
from shared_kernel.clock import rfc3339
from shared_kernel.contracts.company import OrderSpending, SpendingDecision, SpendOnOrder
from shared_kernel.contracts.order import PlacedOrder
from shared_kernel.errors import Fault


async def authorise_spending(services: Services, order: PlacedOrder) -> int:
    """Have the order counted; where it is over the limit, ask for an approver and wait for him."""
    require_standing(order)
    decision = await _decision(services, order)
    if await _is_approved(services, decision) or (decision.decision == "within_limit" and order.approval is None):
        return 0
    expires_at = rfc3339(services.clock() + timedelta(seconds=services.approval_seconds))
    waiting = await services.carry_out(commands.RequestApproval(expires_at=expires_at))
    return max(1, _seconds_left(services, waiting))


async def check_approval(services: Services, order: PlacedOrder) -> int:
    """How the approval stands. The user service is asked too: it may know of a yes whose record was lost."""
    require_standing(order)
    if order.approval is not None and order.approval.approved_by is not None:
        return 0
    seconds = _seconds_left(services, order)
    try:
        decision = await _decision(services, order)
    except Fault:
        if seconds == 0:
            raise
        return seconds
    if await _is_approved(services, decision):
        return 0
    if seconds == 0:
        require_standing(await services.carry_out(commands.ExpireApproval()))
    return seconds


async def release_spending(services: Services, order: PlacedOrder) -> int:
    """Have the order counted no more, be it that it never was."""
    await services.spending.release(OrderSpending(order_id=order.id))
    return 0


async def _decision(services: Services, order: PlacedOrder) -> SpendingDecision:
    if order.customer_id is None or order.company_id is None:
        raise ValueError("only an order that somebody placed for a company is authorised")
    return await services.spending.authorise(
        SpendOnOrder(order_id=order.id, user_id=order.customer_id, company_id=order.company_id, amount=order.total)
    )


async def _is_approved(services: Services, decision: SpendingDecision) -> bool:
    """Whether somebody has said yes, which the order then knows too."""
    if decision.decision != "approved" or decision.approver_id is None:
        return False
    await services.carry_out(commands.Approve(approver_id=decision.approver_id))
    return True


def _seconds_left(services: Services, order: PlacedOrder) -> int:
    return seconds_left(services, order.approval.expires_at if order.approval is not None else None)
