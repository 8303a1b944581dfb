"""A client and a server of one contract, wired to each other: both validate, refusals cross, faults are hidden."""

import asyncio
import logging
import operator
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from shared_kernel.clock import to_milliseconds
from shared_kernel.contracts.model import Message
from shared_kernel.errors import FAMILIES, Conflict, Fault, Forbidden, Invalid, Unauthenticated, Unavailable
from shared_kernel.rpc import Call, CallFailed, CircuitBreaker, Json, Principal, object_serves, remote, serves

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


def test_a_call_is_answered_and_its_context_arrives() -> None:
    wire = Wire()
    assert wire.greet() == Greeting(text="hello Ana")
    (call,) = wire.calls
    assert (call.principal, call.traceparent) == (
        Principal(kind="guest", id="guest", credential="token"),
        TRACEPARENT,
    )
    assert wire.took_ms == [7]


def test_json_text_is_passed_on_as_it_is() -> None:
    wire = Wire()
    assert run(wire.client().greet_all(Greet(name="Ana"))) == '[{"text":"hello Ana","note":null}]'


def test_absent_values_do_not_cross_as_null() -> None:
    wire = Wire()
    wire.greet()
    _, call, request, _ = wire.sent[0]
    answer = run(wire.entrypoint.greet(call, request))
    assert answer == '+{"text":"hello Ana"}'


def test_a_method_that_the_contract_does_not_have_does_not_exist_on_either_side() -> None:
    wire = Wire()
    with pytest.raises(AttributeError, match="secret"):
        operator.attrgetter("secret")(wire.client())
    assert not hasattr(wire.entrypoint, "secret")


def test_the_server_refuses_a_request_that_is_not_valid_and_names_each_field() -> None:
    wire = Wire()
    wire.rewritten = '{"name":1,"more":2}'
    with pytest.raises(Invalid) as refusal:
        wire.greet()
    assert refusal.value.code == "invalid"
    errors = refusal.value.details["errors"]
    assert isinstance(errors, list)
    assert [(each["field"], each["code"]) for each in errors if isinstance(each, dict)] == [
        ("name", "string_type"),
        ("more", "extra_forbidden"),
    ]
    assert wire.breaker.state(0) == "closed"


@pytest.mark.parametrize("answer", ["", "hello", "+", "+1", '+{"text":1}', '+{"text":"a","more":1}', "-", "-{}"])
def test_the_client_refuses_an_answer_that_is_not_valid(answer: str) -> None:
    wire = Wire()
    wire.replaced = answer
    with pytest.raises(Fault) as refusal:
        wire.greet()
    assert type(refusal.value) is Fault


@pytest.mark.parametrize("call", ["", "{}", '{"principal": {"kind": "root", "id": "x"}}'])
def test_a_call_without_a_proper_context_is_a_fault(call: str) -> None:
    wire = Wire()
    assert run(wire.entrypoint.greet(call, '{"name":"Ana"}')).startswith('-{"family":"internal"')
    assert wire.calls == []


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_refusal_arrives_as_its_family_with_code_and_details(family: str) -> None:
    wire = Wire(refusing(FAMILIES[family]("no", code="my_code", details={"ids": ["a"]})))
    with pytest.raises(FAMILIES[family]) as refusal:
        wire.greet()
    assert type(refusal.value) is FAMILIES[family]
    assert (refusal.value.code, refusal.value.message, refusal.value.details) == ("my_code", "no", {"ids": ["a"]})


def test_an_unexpected_exception_is_logged_and_hidden(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(refusing(RuntimeError("the password is hunter2")))
    with caplog.at_level(logging.ERROR), pytest.raises(Fault) as refusal:
        wire.greet()
    assert (refusal.value.code, refusal.value.details) == ("internal_error", {})
    assert "hunter2" not in str(refusal.value)
    assert "hunter2" in caplog.text


def test_the_transport_is_told_how_long_somebody_waits() -> None:
    wire = Wire()
    run(wire.client(deadline=timedelta(milliseconds=250)).greet(Greet(name="Ana")))
    assert wire.sent[0][3] == 250


def test_nothing_is_sent_after_the_deadline() -> None:
    wire = Wire()
    client = wire.client(deadline=timedelta(seconds=1))
    wire.now += timedelta(seconds=1)
    with pytest.raises(Unavailable) as refusal:
        run(client.greet(Greet(name="Ana")))
    assert (refusal.value.code, wire.sent) == ("deadline_exceeded", [])


def test_a_call_that_arrives_after_its_deadline_is_not_carried_out() -> None:
    wire = Wire()
    with pytest.raises(Unavailable) as refusal:
        run(wire.client(deadline=timedelta(milliseconds=7)).greet(Greet(name="Ana")))
    assert (refusal.value.code, wire.calls) == ("deadline_exceeded", [])


def test_a_call_without_an_answer_is_unavailable_and_its_time_is_told() -> None:
    wire = Wire()
    wire.is_cut = True
    with pytest.raises(Unavailable) as refusal:
        wire.greet()
    assert (refusal.value.code, wire.took_ms) == ("unavailable", [7])


def _cut_until_open(wire: Wire) -> None:
    wire.is_cut = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            wire.greet()


def _is_refused_at_once(wire: Wire) -> bool:
    sent = len(wire.sent)
    with pytest.raises(Unavailable) as refusal:
        wire.greet()
    return refusal.value.code == "circuit_open" and len(wire.sent) == sent


def test_three_failures_open_the_circuit_for_sixty_seconds() -> None:
    wire = Wire()
    _cut_until_open(wire)
    opened = wire.now
    wire.is_cut = False
    assert wire.breaker.state(to_milliseconds(wire.now)) == "open"
    assert _is_refused_at_once(wire)
    wire.now = opened + timedelta(seconds=59, milliseconds=999)
    assert _is_refused_at_once(wire)
    wire.now = opened + timedelta(seconds=60)
    assert wire.breaker.state(to_milliseconds(wire.now)) == "half-open"
    assert wire.greet() == Greeting(text="hello Ana")
    assert wire.breaker.state(to_milliseconds(wire.now)) == "closed"


def test_a_failed_trial_opens_the_circuit_again() -> None:
    wire = Wire()
    _cut_until_open(wire)
    wire.now += timedelta(seconds=60)
    with pytest.raises(Unavailable, match="cut"):
        wire.greet()
    assert _is_refused_at_once(wire)
    wire.now += timedelta(seconds=60)
    wire.is_cut = False
    assert wire.greet() == Greeting(text="hello Ana")


def test_only_one_call_is_the_trial() -> None:
    breaker = CircuitBreaker()
    for _ in range(3):
        breaker.failed(0)
    assert [breaker.admit(60_000), breaker.admit(60_000), breaker.admit(119_999)] == [True, False, False]
    assert breaker.admit(120_000)


def test_an_answer_between_failures_keeps_the_circuit_closed() -> None:
    wire = Wire()
    for _ in range(3):
        for is_cut in (True, True, False):
            wire.is_cut = is_cut
            if is_cut:
                with pytest.raises(Unavailable, match="cut"):
                    wire.greet()
            else:
                wire.greet()
    assert wire.breaker.state(to_milliseconds(wire.now)) == "closed"


def test_a_refusal_is_an_answer_and_opens_nothing() -> None:
    wire = Wire(refusing(Conflict("no")))
    for _ in range(5):
        with pytest.raises(Conflict):
            wire.greet()
    assert len(wire.sent) == 5


def test_an_object_serves_with_its_own_state() -> None:
    class Guestbook:
        def __init__(self, owner: str) -> None:
            self.owner = owner

    def build(book: Guestbook, _call: Call) -> FixedGreeter:
        return FixedGreeter(lambda request: Greeting(text=f"{book.owner} greets {request.name}"))

    wire = Wire()
    wire.entrypoint = object_serves(Greeter, build, clock=wire.clock)(Guestbook)("Budi")
    assert wire.greet().text == "Budi greets Ana"


def test_only_staff_pass_where_staff_are_required() -> None:
    Principal(kind="staff", id="s").require_staff()
    with pytest.raises(Unauthenticated):
        Principal(kind="guest", id="g").require_staff()
    with pytest.raises(Forbidden):
        Principal(kind="service", id="order").require_staff()
