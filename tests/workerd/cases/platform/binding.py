"""A Service Binding as a transport: an answer, a refusal, a failure or too long a wait, and never a hang."""

from shared_kernel.clock import system_clock, to_milliseconds
from shared_kernel.errors import Conflict, Fault, Unavailable
from shared_kernel.rpc import Call, CallFailed, CircuitBreaker, Principal, Transport, remote
from tests.workerd.cases.contract import Answer, Ask, Other
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.scratch import TRACEPARENT

LONG_MS = 10_000
SHORT_MS = 100


def now_ms() -> int:
    return to_milliseconds(system_clock())


def other_side(transport: Transport, time_ms: int = LONG_MS) -> Other:
    principal = Principal(kind="service", id="adapters")
    call = Call(principal=principal, traceparent=TRACEPARENT, deadline_ms=now_ms() + time_ms)
    return remote(Other, transport, call, CircuitBreaker())


async def test_words_come_back_as_they_were_sent(other: Transport) -> None:
    words = "naïve \U0001f455 " * 10_000
    answer = await other_side(other).ask(Ask(manner="answer", words=words))
    assert answer == Answer(words=words, principal="adapters")


async def test_a_refusal_keeps_its_code_and_details(other: Transport) -> None:
    with raises(Conflict) as refusals:
        await other_side(other).ask(Ask(manner="refuse", words="é"))
    assert (refusals[0].code, refusals[0].details) == ("refused_as_told", {"words": "é"})


async def test_an_exception_of_the_other_side_is_a_fault_without_its_words(other: Transport) -> None:
    with raises(Fault) as faults:
        await other_side(other).ask(Ask(manner="break"))
    assert faults[0].code == "internal_error"
    assert "secret" not in str(faults[0])


async def test_an_answer_that_comes_too_late_is_not_waited_for(other: Transport) -> None:
    with raises(Unavailable):
        await other_side(other, SHORT_MS).ask(Ask(manner="dawdle"))
    with raises(CallFailed) as failures:
        await other("dawdle", "", "", SHORT_MS)
    assert "no answer within" in str(failures[0])


async def test_whatever_else_goes_wrong_is_a_failed_call(other: Transport) -> None:
    for method in ("explode", "count", "no_such_method"):
        with raises(CallFailed):
            await other(method, "", "", LONG_MS)


async def test_calls_go_on_after_one_failed(other: Transport) -> None:
    for method in ("explode", "dawdle"):
        with raises(CallFailed):
            await other(method, "", "", SHORT_MS)
    assert (await other_side(other).ask(Ask(manner="answer", words="here"))).words == "here"
