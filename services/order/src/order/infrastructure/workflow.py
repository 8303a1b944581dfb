"""The saga's workflow instances, through the raw Workflow binding."""

import re
from collections.abc import Callable
from typing import Any

import js
from pyodide.ffi import JsException, to_js

_OVER = frozenset({"errored", "terminated", "complete"})


class WorkflowSagas:
    """One instance for each attempt: the first has the order's id, a later one that and its number."""

    def __init__(self, binding: Callable[[], Any]) -> None:
        self._binding = binding

    async def start(self, order_id: str, attempt: int, traceparent: str) -> None:
        """Create the instance; one that exists already is what was wanted."""
        parameters = {"order_id": order_id, "traceparent": traceparent}
        params = {"id": _instance_id(order_id, attempt), "params": parameters}
        try:
            await self._binding().create(to_js(params, dict_converter=js.Object.fromEntries))
        except JsException as failure:
            if not re.search(r"already[ _.-]?exists", str(failure), re.IGNORECASE):
                raise

    async def revive(self, order_id: str, attempt: int) -> bool:
        """Pause and resume a stuck instance, which makes it run on behind its finished steps.

        A local run does not resume by itself what was in flight when its process was killed; in
        production it does, and the detour costs a repeated step at most.
        """
        try:
            instance = await self._binding().get(_instance_id(order_id, attempt))
            status = str((await instance.status()).status)
            if status in _OVER:
                return False
            if status != "paused":
                await instance.pause()
            await instance.resume()
        except JsException as failure:
            if re.search(r"not[ _.-]?found", str(failure), re.IGNORECASE):
                return False
            raise
        return True


def _instance_id(order_id: str, attempt: int) -> str:
    return order_id if attempt == 1 else f"{order_id}-{attempt}"
