"""The saga's workflow instances, through the raw Workflow binding."""

import re
from collections.abc import Callable
from typing import Any

from pyodide.ffi import JsException

from shared_kernel.cloudflare import js_value

_OVER = frozenset({"errored", "terminated", "complete"})


class WorkflowSagas:
    """One instance for each attempt: the first has the order's id, a later one that and its number.

    `awaited` is the type of the event that an instance waits for.
    """

    def __init__(self, binding: Callable[[], Any], awaited: str) -> None:
        self._binding = binding
        self._awaited = awaited

    async def start(self, order_id: str, attempt: int, traceparent: str) -> None:
        """Create the instance; one that exists already is what was wanted."""
        parameters = {"order_id": order_id, "traceparent": traceparent}
        params = {"id": _instance_id(order_id, attempt), "params": parameters}
        try:
            await self._binding().create(js_value(params))
        except JsException as failure:
            if not re.search(r"already[ _.-]?exists", str(failure), re.IGNORECASE):
                raise

    async def nudge(self, order_id: str, attempt: int) -> bool:
        """Send the instance the event that a waiting one waits for, and a busy one keeps for its next wait.

        A local run does not resume by itself what was in flight when its process was killed; an event makes it
        run on behind its finished steps, wherever it was. (Pausing and resuming would do so too, but throws an
        instance that waits out of its wait.)
        """
        try:
            instance = await self._binding().get(_instance_id(order_id, attempt))
            status = str((await instance.status()).status)
            if status in _OVER:
                return False
            if status == "paused":
                await instance.resume()
            await instance.sendEvent(js_value({"type": self._awaited, "payload": {}}))
        except JsException as failure:
            if re.search(r"not[ _.-]?found", str(failure), re.IGNORECASE):
                return False
            raise
        return True


def _instance_id(order_id: str, attempt: int) -> str:
    return order_id if attempt == 1 else f"{order_id}-{attempt}"
