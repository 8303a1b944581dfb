"""What the order saga asks: count an order against its buyer's limit, say somebody's yes to it, give it back."""

from shared_kernel.clock import Clock
from shared_kernel.contracts import company as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.rpc import Call
from user.application.company_ports import Spendings
from user.domain.company_errors import NotABuyer
from user.domain.spending import require_countable


class Spending:
    """Implements contracts.company.Spending for one call."""

    def __init__(self, spendings: Spendings, call: Call, clock: Clock) -> None:
        self._spendings = spendings
        self._principal = call.principal
        self._clock = clock

    async def authorise(self, request: contract.SpendOnOrder) -> contract.SpendingDecision:
        """The decision on the order; NotABuyer, SpendingReleased, SpendingDiffers, NegativeAmount."""
        self._principal.require_service()
        require_countable(request.amount)
        recorded = await self._spendings.authorise(request, self._clock())
        if recorded is None:
            raise NotABuyer
        return recorded.decided(request)

    async def approve(self, request: contract.ApproveSpending) -> contract.SpendingDecision:
        """The decision after the approver's yes; SpendingNotFound, NotAnApprover, OwnOrder, SpendingReleased."""
        self._principal.require_service()
        approval = await self._spendings.approve(request, self._clock())
        return approval.decided(request)

    async def may_approve(self, request: contract.ApproveSpending) -> Nothing:
        """Nothing, and nothing is changed, where `approve` would not refuse; else it raises the same."""
        self._principal.require_service()
        approval = await self._spendings.approval(request)
        approval.decided(request)
        return Nothing()

    async def release(self, request: contract.OrderSpending) -> Nothing:
        """The order counts no more, and one that was never counted never will."""
        self._principal.require_service()
        await self._spendings.release(request.order_id, self._clock())
        return Nothing()
