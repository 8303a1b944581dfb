"""A circuit breaker between a client and a server: what opens it, what it holds back, what closes it again."""

from datetime import timedelta

import pytest

from shared_kernel.clock import to_milliseconds
from shared_kernel.errors import Conflict, Unavailable
from shared_kernel.rpc import FAIR_TIMEOUT_MS, CircuitBreaker
from tests.unit.shared_kernel.wire import Greet, Greeting, Wire, refusing, run


def _cut_until_open(wire: Wire) -> None:
    wire.is_cut = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            wire.greet()


def test_an_open_circuit_says_when_to_come_back_and_takes_no_time() -> None:
    wire = Wire()
    _cut_until_open(wire)
    wire.now += timedelta(seconds=17, milliseconds=500)
    wire.took_ms.clear()
    with pytest.raises(Unavailable) as refusal:
        wire.greet()
    assert (refusal.value.details, wire.took_ms) == ({"retry_after_seconds": 43}, [0])


def test_who_was_given_little_time_has_not_failed() -> None:
    wire = Wire()
    wire.is_silent = True
    for _ in range(5):
        with pytest.raises(Unavailable):
            run(wire.client(deadline=timedelta(milliseconds=FAIR_TIMEOUT_MS - 1)).greet(Greet(name="Ana")))
    assert wire.breaker.state(to_milliseconds(wire.now)) == "closed"
    for _ in range(3):
        with pytest.raises(Unavailable):
            run(wire.client(deadline=timedelta(milliseconds=FAIR_TIMEOUT_MS)).greet(Greet(name="Ana")))
    assert wire.breaker.state(to_milliseconds(wire.now)) == "open"


def test_a_call_that_breaks_off_has_failed_however_little_time_it_had() -> None:
    wire = Wire()
    wire.is_cut = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            run(wire.client(deadline=timedelta(milliseconds=10)).greet(Greet(name="Ana")))
    assert wire.breaker.state(to_milliseconds(wire.now)) == "open"


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
