"""The saga on Cloudflare Workflows."""

from collections.abc import Awaitable, Callable
from typing import Any

from order_saga.saga import Retries, StepFailed
from shared_kernel.errors import Fault

STEP_TIMEOUT = "60 seconds"


class WorkflowSteps:
    """Durable steps by the SDK's `step.do`.

    The engine raises out of a step both when our work broke on its last attempt and when the engine
    itself is going down; only the first is a failed step, on which the saga may turn back.
    """

    def __init__(self, step: Any) -> None:
        self._step = step

    async def do(self, name: str, work: Callable[[], Awaitable[str]], retries: Retries) -> str:
        """Run the work, or answer what it answered before; StepFailed when every attempt was a Fault."""
        broken = 0

        async def attempt() -> str:
            nonlocal broken
            try:
                return await work()
            except Fault:
                broken += 1
                raise

        delay = f"{retries.first_delay_seconds} second"
        config = {
            "retries": {"limit": retries.limit, "delay": delay, "backoff": "exponential"},
            "timeout": STEP_TIMEOUT,
        }
        try:
            return str(await self._step.do(name, config=config)(attempt)())
        except Exception as failure:
            if broken > retries.limit:
                raise StepFailed(name) from failure
            raise
