"""What anyone may read of the stock."""

import logging

from inventory.application.ports import Stock as Levels
from shared_kernel.clock import Clock, to_milliseconds
from shared_kernel.contracts import inventory as contract
from shared_kernel.contracts.model import Health, Nothing
from shared_kernel.rpc import Call

_log = logging.getLogger(__name__)


class Stock:
    """The gateway's side of inventory, for whoever asks."""

    def __init__(self, levels: Levels, call: Call, clock: Clock) -> None:
        self._levels = levels
        self._call = call
        self._clock = clock

    async def get_availability(self, request: contract.GetAvailability) -> contract.Availability:
        """How many pieces can be ordered now; where they are is for staff alone."""
        levels = await self._levels.of_product(request.product_id, self._clock())
        return contract.Availability(
            product_id=request.product_id,
            available=sum(level.available for level in levels),
            warehouses=levels if self._call.principal.may("stock:manage") else None,
        )

    async def health(self, request: Nothing) -> Health:
        """Whether the database answers; a database that does not is an answer too."""
        started_ms = to_milliseconds(self._clock())
        try:
            well = await self._levels.answers()
        except Exception:
            _log.exception("the database does not answer")
            well = False
        if not well:
            return Health(status="degraded", database="unavailable")
        return Health(status="ok", database="ok", database_ms=to_milliseconds(self._clock()) - started_ms)
