"""What `/health` finds when it looks at the parts that the gateway stands on, all of them at once."""

from collections.abc import Mapping
from typing import Protocol

from shared_kernel.rpc import CircuitBreaker

Look = tuple[str, int, str | None]
"""How a part is (`ok`, `missing`, `failed`, `timeout`), after how many milliseconds that is known, what it said."""


class Parts(Protocol):
    """The bindings of the Worker, and the circuit breakers that stand before some of them."""

    @property
    def breakers(self) -> Mapping[str, CircuitBreaker]:
        """The breakers by their binding."""
        ...

    async def look(self, services: Mapping[str, str], call: str, timeout_ms: int) -> Mapping[str, Look]:
        """Ask the service behind each of these bindings, by a name for it, for its health, and try every other part.

        Nobody is waited for longer than the timeout, and no circuit breaker hears of it: whoever asks for the health
        must not be able to close a service to others.
        """
        ...
