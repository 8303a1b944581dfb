"""Calls to a provider: how long, how often, and when not at all.

A call whose outcome is unknown is repeated only where repeating is safe: a GET, or one whose caller says so because
the provider knows it by a key. What has not been answering is left alone for a minute. No address, header or body
is part of an error or a log: they hold secrets and personal data.
"""

import logging
import random
from collections.abc import Awaitable, Callable, Mapping

from payment.application.ports import Http, HttpAnswer, NoAnswer, NotSent
from shared_kernel.clock import Clock, to_milliseconds
from shared_kernel.rpc import CircuitBreaker

TRIES = 3
TIME_FOR_ALL_SECONDS = 12
"""Beyond it nobody waits any more: a call between our services has 10 to 15 seconds."""

_FIRST_PAUSE_SECONDS = 0.25
_UNREACHED = (502, 503, 504)
_log = logging.getLogger(__name__)


class Calls:
    """The `Http` of one provider."""

    def __init__(
        self,
        http: Http,
        provider: str,
        breaker: CircuitBreaker,
        clock: Clock,
        pause: Callable[[float], Awaitable[None]],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._http = http
        self._provider = provider
        self._breaker = breaker
        self._clock = clock
        self._pause = pause
        self._jitter = jitter

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: str | None = None,
        timeout_seconds: float = 10,
        repeatable: bool = False,
    ) -> HttpAnswer:
        """The answer, after at most three tries in 12 seconds where the call may be repeated and one where not.

        A server's error (5xx, 429) is answered like any other once no try is left; NoAnswer when none came,
        NotSent when nothing was sent because the provider has not been answering.
        """
        tries = TRIES if repeatable or method == "GET" else 1
        until_ms = self._now_ms() + TIME_FOR_ALL_SECONDS * 1000
        for number in range(1, tries + 1):
            left_seconds = (until_ms - self._now_ms()) / 1000
            answer = await self._once(method, url, headers, body, min(timeout_seconds, left_seconds))
            # Half of the pause is chance, so that those who failed together do not all come back together.
            pause_seconds = _FIRST_PAUSE_SECONDS * 2 ** (number - 1) * (0.5 + self._jitter() / 2)
            is_last = number == tries or self._now_ms() + pause_seconds * 1000 >= until_ms
            if answer is not None and (is_last or not _is_passing(answer.status)):
                return answer
            if is_last:
                break
            await self._pause(pause_seconds)
        raise NoAnswer(f"{self._provider} gave no answer")

    async def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: str | None, timeout_seconds: float
    ) -> HttpAnswer | None:
        if not self._breaker.admit(self._now_ms()):
            raise NotSent(f"{self._provider} is not called: it has not been answering")
        try:
            answer = await self._http.send(method, url, headers=headers, body=body, timeout_seconds=timeout_seconds)
        except NoAnswer:
            self._breaker.failed(self._now_ms())
            _log.warning("%s gave no answer to a %s", self._provider, method)
            return None
        if answer.status in _UNREACHED:
            self._breaker.failed(self._now_ms())
        else:
            # A 500 counts as an answer: M-Pesa says so of every prompt that is still open.
            self._breaker.succeeded()
        if answer.status >= 500:
            _log.warning("%s answered %d to a %s", self._provider, answer.status, method)
        return answer

    def _now_ms(self) -> int:
        return to_milliseconds(self._clock())


def _is_passing(status: int) -> bool:
    return status >= 500 or status == 429
