"""What every service of the fake shop does when it is called."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from shared_kernel.contracts.model import Health, Nothing
from shared_kernel.rpc import Principal

if TYPE_CHECKING:
    from tests.unit.gateway.shop import Shop


class Service:
    """A service as one call reaches it; each takes 7 ms."""

    def __init__(self, shop: "Shop", principal: Principal, observe: Callable[[int], None]) -> None:
        self._shop = shop
        self._principal = principal
        self._observe = observe

    def _note(self, method: str) -> None:
        self._observe(7)
        self._shop.noted(method, self._principal)

    async def health(self, request: Nothing) -> Health:
        """What the shop says of every service."""
        self._note(f"{type(self).__name__}.health")
        return self._shop.health
