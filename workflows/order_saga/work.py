"""What the work of every step has in common: what it calls, and how it looks at the order and the clock."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from order.application.messages import CarryOut
from order.application.ports import Aggregate
from order.domain.commands import Command
from shared_kernel.clock import Clock
from shared_kernel.contracts.company import Spending
from shared_kernel.contracts.inventory import Reservations
from shared_kernel.contracts.order import PlacedOrder
from shared_kernel.contracts.payment import Charges
from shared_kernel.contracts.product import Pricing
from shared_kernel.errors import Conflict


@dataclass(frozen=True)
class Services:
    """What the steps call, for one attempt at one step; `approval_seconds` is how long an approver has."""

    orders: Aggregate
    pricing: Pricing
    spending: Spending
    reservations: Reservations
    charges: Charges
    clock: Clock
    approval_seconds: int

    async def carry_out(self, command: Command) -> PlacedOrder:
        """The order after the command; Conflict when its state does not allow it."""
        return await self.orders.carry_out(CarryOut(command=command))


Work = Callable[[Services, PlacedOrder], Awaitable[int]]
"""One step's work. It answers how many seconds somebody still has to act, 0 for a step that is done."""


def require_standing(order: PlacedOrder) -> None:
    """Conflict, with its reason, for an order whose rejection is decided."""
    if order.rejection is not None:
        raise Conflict(order.rejection.detail, code=order.rejection.code)


def seconds_left(services: Services, until: str | None) -> int:
    """How many seconds there are until then (RFC 3339), rounded up; 0 for the past and for no time at all."""
    if until is None:
        return 0
    return max(0, math.ceil((datetime.fromisoformat(until) - services.clock()).total_seconds()))
