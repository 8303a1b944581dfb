"""Deciding anew when another was quicker, so and so often."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from shared_kernel.clock import Clock
from shared_kernel.errors import Unavailable
from shared_kernel.sql import ConstraintViolated

Answer = TypeVar("Answer")

ROUNDS = 32
"""How often a use case reads and decides before it gives up.

A round is lost only to another's committed change of the same rows, so that n rivals cost at most n rounds. An
order of one piece out of w warehouses loses at most w: each loss means that a warehouse was emptied.
"""


async def decided(attempt: Callable[[datetime], Awaitable[Answer | None]], clock: Clock) -> Answer:
    """What the attempt answers, made again when the schema refuses its change or it answers None.

    Unavailable after ROUNDS of them: nothing was changed, and the same call may be repeated.
    """
    refusal: ConstraintViolated | None = None
    for _ in range(ROUNDS):
        try:
            answer = await attempt(clock())
        except ConstraintViolated as lost:
            refusal = lost
            continue
        if answer is not None:
            return answer
    raise Unavailable("others kept changing the same stock; nothing was changed, try again") from refusal
