"""Calls to a provider: repeated only where that is safe, bounded in time, stopped when nobody answers, and silent."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import pytest

from payment.application.ports import HttpAnswer, NoAnswer, NotSent
from payment.infrastructure.http_calls import TIME_FOR_ALL_SECONDS, TRIES, Calls
from shared_kernel.rpc import CircuitBreaker
from tests.unit.payment.world import START

WELL = HttpAnswer(200, {}, "well")
BUSY = HttpAnswer(503, {}, "busy")
SECRET = "a-secret-of-the-shop"


class Provider:
    """Answers as it is told, in turn; None is no answer within the time that it was given."""

    def __init__(self, *answers: HttpAnswer | None) -> None:
        self.answers = list(answers)
        self.now = START
        self.timeouts_seconds: list[float] = []
        self.pauses_seconds: list[float] = []
        self.breaker = CircuitBreaker()

    def clock(self) -> datetime:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.pauses_seconds.append(seconds)
        self.now += timedelta(seconds=seconds)

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None, timeout_seconds: float = 10
    ) -> HttpAnswer:
        self.timeouts_seconds.append(timeout_seconds)
        answer = self.answers.pop(0)
        if answer is None:
            self.now += timedelta(seconds=timeout_seconds)
            raise NoAnswer(f"{url} {SECRET}")
        return answer

    def ask(self, method: str = "GET", *, repeatable: bool = False, chance: Callable[[], float] = lambda: 1) -> str:
        calls = Calls(self, "acme", self.breaker, self.clock, self.pause, chance)
        headers = {"authorization": SECRET}
        sending = calls.send(method, f"https://x/{SECRET}", headers=headers, body=SECRET, repeatable=repeatable)
        answer = asyncio.run(sending)
        return f"{answer.status} {answer.text}"


@pytest.mark.parametrize(("method", "repeatable"), [("GET", False), ("POST", True)])
@pytest.mark.parametrize("trouble", [BUSY, HttpAnswer(429, {}, "slow down")])
def test_call_that_is_safe_to_repeat_is_repeated(method: str, repeatable: bool, trouble: HttpAnswer) -> None:
    provider = Provider(trouble, trouble, WELL)
    assert provider.ask(method, repeatable=repeatable) == "200 well"
    assert provider.pauses_seconds == [0.25, 0.5]


def test_call_that_is_not_safe_to_repeat_is_made_once() -> None:
    provider = Provider(BUSY, WELL)
    assert provider.ask("POST") == "503 busy"
    assert len(provider.answers) == 1
    with pytest.raises(NoAnswer):
        Provider(None, WELL).ask("POST")


def test_refusal_is_an_answer() -> None:
    provider = Provider(HttpAnswer(422, {}, "no"), WELL)
    assert provider.ask() == "422 no"


def test_tries_are_bounded_in_number_and_in_time() -> None:
    provider = Provider(*[BUSY] * 9)
    assert provider.ask() == "503 busy"
    assert len(provider.timeouts_seconds) == TRIES
    slow = Provider(*[None] * 9)
    with pytest.raises(NoAnswer):
        slow.ask()
    assert slow.now - START <= timedelta(seconds=TIME_FOR_ALL_SECONDS)
    assert slow.timeouts_seconds[0] == 10
    assert slow.timeouts_seconds[1] < 2


def test_half_of_a_pause_is_chance() -> None:
    provider = Provider(BUSY, BUSY, WELL)
    provider.ask(chance=lambda: 0)
    assert provider.pauses_seconds == [0.125, 0.25]


def test_provider_that_does_not_answer_is_left_alone_for_a_minute() -> None:
    provider = Provider(None, None, BUSY, WELL, WELL)
    for _ in range(2):
        with pytest.raises(NoAnswer):
            provider.ask("POST")
    assert provider.ask("POST") == "503 busy"
    with pytest.raises(NoAnswer, match="is not called"):
        provider.ask("POST")
    assert len(provider.answers) == 2
    provider.now += timedelta(seconds=61)
    assert [provider.ask("POST"), provider.ask("POST")] == ["200 well", "200 well"]


def test_error_that_is_an_answer_does_not_stop_the_calls() -> None:
    provider = Provider(*[HttpAnswer(500, {}, "still open")] * 5)
    for _ in range(5):
        assert provider.ask("POST") == "500 still open"


def test_call_that_was_not_made_is_told_apart_from_one_without_an_answer() -> None:
    provider = Provider(None, None, None, WELL)
    for _ in range(3):
        with pytest.raises(NoAnswer) as silence:
            provider.ask("POST")
        assert not isinstance(silence.value, NotSent)
    with pytest.raises(NotSent):
        provider.ask("POST")
    assert provider.answers == [WELL]


def test_nothing_of_a_call_is_in_its_errors_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for provider in (Provider(*[None] * 3), Provider(BUSY, BUSY, None)):
            with pytest.raises(NoAnswer) as failure:
                provider.ask()
            assert SECRET not in str(failure.value)
            assert failure.value.__cause__ is None
    assert "acme" in caplog.text
    assert SECRET not in caplog.text
