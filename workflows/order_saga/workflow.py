"""The saga on Cloudflare Workflows."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from order_saga.saga import Retries, StepFailed
from shared_kernel.errors import Fault

STEP_TIMEOUT = "60 seconds"
PAYMENT_SETTLED = "payment-settled"


class StepBroke(Exception):
    """One attempt at a step was a fault."""


class WorkflowSteps:
    """Durable steps by the SDK's `step.do`.

    The engine raises out of a step both when our work broke on its last attempt and when the engine itself is
    paused or going down; only the first is a failed step, on which the saga may turn back. It is known by the
    name of our own exception, which the engine passes on in its text, or by the number of attempts seen here: an
    attempt before a restart is counted by the engine alone.
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
            except Fault as fault:
                broken += 1
                raise StepBroke(f"{name}: {fault.code}") from fault

        delay = f"{retries.first_delay_seconds} second"
        config = {
            "retries": {"limit": retries.limit, "delay": delay, "backoff": "exponential"},
            "timeout": STEP_TIMEOUT,
        }
        try:
            return str(await self._step.do(name, config=config)(attempt)())
        except Exception as failure:
            if broken > retries.limit or StepBroke.__name__ in str(failure):
                raise StepFailed(name) from failure
            raise

    async def wait(self, name: str, timeout_seconds: int) -> None:
        """Wait for PAYMENT_SETTLED, at most so long; an engine that is going down raises here too."""
        try:
            await self._step.wait_for_event(name, PAYMENT_SETTLED, timeout=f"{timeout_seconds} seconds")
        except Exception as failure:
            if not re.search(r"timed?[ _-]?out", str(failure), re.IGNORECASE):
                raise
