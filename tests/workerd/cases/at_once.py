"""Several calls in flight at the same moment, without a task for each: in a Worker tasks can wedge the isolate."""

from asyncio import Future
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

Answer = TypeVar("Answer")


async def at_once(calls: Sequence[Coroutine[Any, Any, Answer]]) -> list[Answer | Exception]:
    """What each call answers or raises, in their order; each step of all of them is asked for before any is heard."""
    answers: dict[int, Answer | Exception] = {}
    awaited: dict[int, Future[Any]] = {}

    def step(number: int) -> None:
        try:
            awaited[number] = calls[number].send(None)
        except StopIteration as end:
            answers[number] = end.value
        except Exception as raised:
            answers[number] = raised

    for number in range(len(calls)):
        step(number)
    while awaited:
        number, future = next(iter(awaited.items()))
        del awaited[number]
        # The mark says that an event loop is to wait for it, which here is done below.
        future._asyncio_future_blocking = False
        await _settled(future)
        step(number)
    return [answers[number] for number in range(len(calls))]


async def _settled(future: Future[Any]) -> None:
    """Wait for its end; whether it failed is told to the call that waits for it, when that goes on."""
    try:
        await future
    except Exception:
        assert future.done()
