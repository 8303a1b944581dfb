"""A client and a server of one contract, wired to each other by hand."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from shared_kernel.clock import to_milliseconds
from shared_kernel.contracts.model import Message
from shared_kernel.rpc import Call, CallFailed, CircuitBreaker, Json, NoAnswerInTime, Principal, remote, serves

START = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Greet(Message):
    """Whom to greet."""

    name: str


class Greeting(Message):
    """A greeting."""

    text: str
    note: str | None = None


class Greeter(Protocol):
    """The contract of these tests."""

    async def greet(self, request: Greet) -> Greeting: ...

    async def greet_all(self, request: Greet) -> Json: ...


Answer = Callable[[Greet], Greeting]


class FixedGreeter:
    """Answers as the test says."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def greet(self, request: Greet) -> Greeting:
        return self._answer(request)

    async def greet_all(self, request: Greet) -> Json:
        return Json(f"[{self._answer(request).model_dump_json()}]")

    async def secret(self, request: Greet) -> Greeting:
        return self._answer(request)


class Wire:
    """Both ends in one process: a clock that the test turns, and a transport that it can cut or replace."""

    def __init__(self, answer: Answer = lambda request: Greeting(text=f"hello {request.name}")) -> None:
        self.now = START
        self.sent: list[tuple[str, str, str, int]] = []
        self.calls: list[Call] = []
        self.took_ms: list[int] = []
        self.replaced: str | None = None
        self.rewritten: str | None = None
        self.is_cut = False
        self.is_silent = False
        self.breaker = CircuitBreaker()
        self.entrypoint = self._entrypoint(answer)

    def clock(self) -> datetime:
        return self.now

    def client(self, *, deadline: timedelta = timedelta(hours=1)) -> Greeter:
        principal = Principal(kind="guest", id="guest", credential="token")
        call = Call(principal=principal, traceparent=TRACEPARENT, deadline_ms=to_milliseconds(self.now + deadline))
        return remote(Greeter, self._send, call, self.breaker, clock=self.clock, observe=self.took_ms.append)

    def greet(self, name: str = "Ana") -> Greeting:
        greeting: Greeting = run(self.client().greet(Greet(name=name)))
        return greeting

    async def _send(self, method: str, call: str, request: str, timeout_ms: int) -> str:
        self.sent.append((method, call, request, timeout_ms))
        self.now += timedelta(milliseconds=7)
        if self.is_cut:
            raise CallFailed("cut")
        if self.is_silent:
            raise NoAnswerInTime("silence")
        if self.replaced is not None:
            return self.replaced
        text: str = await getattr(self.entrypoint, method)(call, self.rewritten or request)
        return text

    def _entrypoint(self, answer: Answer) -> Any:
        def build(call: Call) -> FixedGreeter:
            self.calls.append(call)
            return FixedGreeter(answer)

        @serves(Greeter, build, clock=self.clock)
        class Entrypoint:
            pass

        return Entrypoint()


def run(work: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await work

    return asyncio.run(wait())


def refusing(error: Exception) -> Answer:
    def answer(_request: Greet) -> Greeting:
        raise error

    return answer
