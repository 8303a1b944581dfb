"""The saga on Cloudflare Workflows."""

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

from order_saga.saga import Retries, StepFailed
from shared_kernel.errors import Fault
from shared_kernel.tracing import traced

STEP_TIMEOUT = "60 seconds"
NUDGE = "payment-settled"
"""The type of the event that ends a wait: the name of what was waited for first, by which running instances know it."""


_log = logging.getLogger(__name__)


class StepBroke(Exception):
    """One attempt at a step was a fault."""


class WorkflowSteps:
    """Durable steps by the SDK's `step.do`.

    The engine raises out of a step both when our work broke on its last attempt and when the engine itself is
    paused or going down; only the first is a failed step, on which the saga may turn back. It is known by the
    name of our own exception, which the engine passes on in its text, or by the number of attempts seen here: an
    attempt before a restart is counted by the engine alone. JavaScript runs an attempt, and hands on no trace.
    """

    def __init__(self, step: Any, traceparent: str) -> None:
        self._step = step
        self._traceparent = traceparent

    async def do(self, name: str, work: Callable[[], Awaitable[str]], retries: Retries) -> str:
        """Run the work, or answer what it answered before; StepFailed when every attempt was a Fault."""
        broken = 0

        async def attempt() -> str:
            nonlocal broken
            with traced(self._traceparent):
                try:
                    answer = await work()
                except Fault as fault:
                    broken += 1
                    _told(name, fault.code)
                    raise StepBroke(f"{name}: {fault.code}") from fault
                _told(name, "ok")
                return answer

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
        """Wait for a NUDGE, at most so long; an engine that is going down raises here too."""
        try:
            await self._step.wait_for_event(name, NUDGE, timeout=f"{timeout_seconds} seconds")
        except Exception as failure:
            if not re.search(r"timed?[ _-]?out", str(failure), re.IGNORECASE):
                raise


def _told(step: str, outcome: str) -> None:
    _log.info("a step was run", extra={"fields": {"step": step, "outcome": outcome}})
