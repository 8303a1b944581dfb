"""Waiting for what the platform does in its own time: bounded, and without a timing that decides."""

from collections.abc import Awaitable, Callable

import js

_POLL_MS = 50
_POLLS = 600


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    """Return once it has happened; AssertionError after half a minute."""
    for _ in range(_POLLS):
        if await happened():
            return
        await js.scheduler.wait(_POLL_MS)
    raise AssertionError("it did not happen within half a minute")
