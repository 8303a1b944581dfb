"""Durable execution in memory, for the saga's tests."""

from collections.abc import Awaitable, Callable

from order_saga.saga import Retries, StepFailed
from shared_kernel.errors import Fault
from tests.unit.order.order_world import Crash, Hours


class DurableSteps:
    """Durable execution in memory: remembers finished steps, repeats broken ones at once, dies where it is told.

    A wait lasts its whole time unless `on_wait` answers that somebody nudged; it may do things meanwhile.
    """

    def __init__(self, clock: Hours | None = None) -> None:
        self.finished: dict[str, str] = {}
        self.clock = clock or Hours()
        self.on_wait: Callable[[int], bool] = lambda _look: False
        self.waits = 0
        self._dies_at = ("", False)

    def dies_at(self, name: str, after: bool = False) -> None:
        """Die before this step, or after its work but before its end is remembered."""
        self._dies_at = (name, after)

    async def do(self, name: str, work: Callable[[], Awaitable[str]], retries: Retries) -> str:
        if name in self.finished:
            return self.finished[name]
        if self._dies_at == (name, False):
            raise Crash(name)
        for _attempt in range(retries.limit + 1):
            try:
                answer = await work()
                break
            except Fault:
                continue
        else:
            raise StepFailed(name)
        if self._dies_at == (name, True):
            raise Crash(name)
        self.finished[name] = answer
        return answer

    async def wait(self, name: str, timeout_seconds: int) -> None:
        if name in self.finished:
            return
        if self._dies_at == (name, False):
            raise Crash(name)
        self.waits += 1
        if not self.on_wait(self.waits):
            self.clock.move(timeout_seconds)
        if self._dies_at == (name, True):
            raise Crash(name)
        self.finished[name] = ""
