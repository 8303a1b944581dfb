"""What the gateway stands on besides the services, by hand: limiter, cache and the parts that health looks at."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from gateway.inspection import Look
from gateway.routes.system import WATCHED
from shared_kernel.contracts.model import Nothing
from shared_kernel.errors import DomainError
from shared_kernel.result import Err, Ok, encode
from shared_kernel.rpc import Call, CircuitBreaker
from tests.unit.gateway.shop import Shop

OTHER_PARTS = ("LIMIT_READ", "LIMIT_WRITE", "LIMIT_SIGN_IN", "LIMIT_CHECKOUT", "LIMIT_WEBHOOK", "CACHE", "ASSETS")


@dataclass
class FakeLimiter:
    """Counts without windows; a class without a limit lets all pass."""

    limits: dict[str, int] = field(default_factory=dict)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    is_broken: bool = False

    async def allows(self, limit: str, key: str) -> bool:
        """Whether this request is within the limit."""
        if self.is_broken:
            raise RuntimeError("the counter is gone")
        if self.counts[limit, key] >= self.limits.get(limit, 1_000_000):
            return False
        self.counts[limit, key] += 1
        return True


@dataclass
class FakeCache:
    """Keeps what it is given for ever."""

    kept: dict[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    is_broken: bool = False

    async def find(self, url: str) -> tuple[str, Mapping[str, str]] | None:
        """What was kept."""
        self._work()
        return self.kept.get(url)

    async def keep(self, url: str, text: str, headers: Mapping[str, str]) -> None:
        """Keep it."""
        self._work()
        self.kept[url] = (text, headers)

    async def forget(self, url: str) -> None:
        """Forget it."""
        self._work()
        self.kept.pop(url, None)

    def _work(self) -> None:
        if self.is_broken:
            raise RuntimeError("the cache is gone")


@dataclass
class FakeParts:
    """Asks the shop's services in turn; `states` are of parts that are not well, `answers` in another form."""

    shop: Shop
    breakers: dict[str, CircuitBreaker] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    timeouts_ms: list[int] = field(default_factory=list)

    async def look(self, services: Mapping[str, str], call: str, timeout_ms: int) -> Mapping[str, Look]:
        """Each takes 7 ms, and the others none."""
        self.timeouts_ms.append(timeout_ms)
        asked = Call.model_validate_json(call)
        looks: dict[str, Look] = {name: (self.states.get(name, "ok"), 0, None) for name in OTHER_PARTS}
        for name in services:
            state = self.states.get(name, "ok")
            text = self.answers.get(name) or await self._health(name, asked)
            looks[name] = (state, 7, text if state == "ok" else None)
        return looks

    async def _health(self, name: str, call: Call) -> str:
        contract = cast(Any, WATCHED[name])
        service = cast(Any, self.shop.connect(contract, call, lambda _took_ms: None))
        try:
            return encode(Ok((await service.health(Nothing())).model_dump_json()))
        except DomainError as refusal:
            return encode(Err.of(refusal))
