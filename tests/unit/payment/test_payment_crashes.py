"""A crash before or after any step, and what a repeat of the same call, or the sweep, makes of it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from payment.application.ports import ProviderError
from payment.domain.errors import PaymentCancelled
from shared_kernel.contracts import payment as contract
from tests.unit.payment.world import Crash, World, cancel, go_on, refund, request

MOST_STEPS = 40
Call = Callable[[World], Awaitable[contract.Payment | contract.Refund]]


def _request(token: str) -> Call:
    return lambda world: world.charges().request_payment(request(token))


def _cancel(world: World) -> Awaitable[contract.Payment]:
    return world.charges().cancel_payment(cancel())


def _refund(world: World) -> Awaitable[contract.Refund]:
    return world.admin().refund(refund(300, key="a"))


@dataclass(frozen=True)
class Scenario:
    """What happened before, the call that crashes and is repeated, and how it all must end."""

    before: tuple[Call, ...]
    call: Call
    status: str
    kept_minor: int
    charged: int
    events: tuple[str, ...]


SCENARIOS = {
    "request": Scenario((), _request("tok_ok"), "captured", 1000, 1, ("captured",)),
    "declined request": Scenario((), _request("tok_declined"), "declined", 0, 0, ("declined",)),
    "request whose answer is lost": Scenario((), _request("tok_lost"), "captured", 1000, 1, ("captured",)),
    "request that fails once": Scenario((), _request("tok_error_once"), "captured", 1000, 1, ("captured",)),
    "cancel of nothing": Scenario((), _cancel, "cancelled", 0, 0, ("cancelled",)),
    "cancel of a captured one": Scenario((_request("tok_ok"),), _cancel, "refunded", 0, 1, ("captured", "refunded")),
    "cancel of a lost one": Scenario((_request("tok_lost"),), _cancel, "refunded", 0, 1, ("captured", "refunded")),
    "cancel of a failed one": Scenario((_request("tok_error"),), _cancel, "cancelled", 0, 0, ("cancelled",)),
    "cancel of a partly refunded one": Scenario(
        (_request("tok_ok"), _refund), _cancel, "refunded", 0, 1, ("captured", "refunded", "refunded")
    ),
    "refund": Scenario((_request("tok_ok"),), _refund, "partially_refunded", 700, 1, ("captured", "refunded")),
}


def _crash_at(step: int) -> Callable[[], Awaitable[None]]:
    left = step

    async def hook() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Crash

    return hook


async def _call(call: Call, world: World) -> Exception | None:
    try:
        await call(world)
    except (Crash, ProviderError) as fault:
        return fault
    return None


async def _half_cancelled(world: World, key: str) -> None:
    """A captured payment that was marked as cancelled, and then the process was gone."""
    await world.charges().request_payment(request(key=key))
    world.database.before_step = _crash_at(3)
    with pytest.raises(Crash):
        await world.charges().cancel_payment(cancel(key=key))
    world.database.before_step = go_on


async def _prepared(scenario: Scenario) -> World:
    world = World()
    for call in scenario.before:
        await _call(call, world)
    return world


async def _crashed(scenario: Scenario, step: int, *, after: bool) -> World | None:
    """A world in which the call crashed at this step; None when it has no such step."""
    world = await _prepared(scenario)
    if after:
        world.database.after_step = _crash_at(step)
    else:
        world.database.before_step = _crash_at(step)
    fault = await _call(scenario.call, world)
    world.database.before_step = world.database.after_step = go_on
    return world if isinstance(fault, Crash) else None


def _assert_ended(world: World, scenario: Scenario) -> None:
    assert world.stored()["status"] == scenario.status
    assert (world.kept_minor(), world.charged()) == (scenario.kept_minor, scenario.charged)
    assert world.events() == [f"payment.{event}" for event in scenario.events]
    assert world.ledger().get("provider:sandbox", 0) == scenario.kept_minor


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", SCENARIOS)
def test_call_that_crashed_anywhere_is_made_good_by_its_repeat(name: str, after: bool) -> None:
    async def story() -> int:
        scenario = SCENARIOS[name]
        for step in range(1, MOST_STEPS):
            world = await _crashed(scenario, step, after=after)
            if world is None:
                return step - 1
            # A token that fails once or loses its answer may still do so in the first repeat, and who crashed may have
            # been the one who asks for the refund.
            for _ in range(3):
                if await _call(scenario.call, world) is None and not (await world.payment()).pending_refunds:
                    break
                world.later(seconds=91)
            _assert_ended(world, scenario)
        raise AssertionError("the call has more steps than were tried")

    assert asyncio.run(story()) >= 2


@pytest.mark.parametrize("name", ["cancel of a captured one", "cancel of a lost one", "refund"])
def test_call_that_crashed_after_its_promise_was_written_is_made_good_by_reconciliation(name: str) -> None:
    async def story() -> None:
        scenario = SCENARIOS[name]
        compared = 0
        for step in range(1, MOST_STEPS):
            world = await _crashed(scenario, step, after=True)
            if world is None:
                break
            row = world.stored()
            promised = row["cancellation"] is not None or world.database.look("SELECT 1 FROM refunds") != []
            assert await world.reconcile() == 0
            world.later(seconds=91)
            compared += await world.reconcile()
            if promised:
                _assert_ended(world, scenario)
            else:
                assert (world.stored()["status"], world.kept_minor()) == ("captured", 1000)
            assert await world.reconcile() == 0
            world.later(seconds=86_400)
            assert await world.reconcile() == 0
        assert compared >= 2

    asyncio.run(story())


def test_reconciliation_goes_on_after_one_that_fails() -> None:
    async def story() -> None:
        world = World()
        for key in ("one", "two"):
            await _half_cancelled(world, key)
        broken = world.database
        broken.look("UPDATE sandbox_charges SET status = 'voided' WHERE idempotency_key = 'one'")
        world.later(seconds=61)
        assert await world.reconcile() == 1
        assert (world.stored("one")["status"], world.stored("two")["status"]) == ("captured", "refunded")

    asyncio.run(story())


def test_lost_answer_that_nobody_asks_for_again_is_found_by_reconciliation() -> None:
    async def story() -> None:
        world = World()
        with pytest.raises(ProviderError):
            await world.charges().request_payment(request("tok_lost"))
        world.later(seconds=61)
        assert await world.reconcile() == 1
        assert world.causes() == [(None, "created", "saga"), ("created", "captured", "reconciliation")]

    asyncio.run(story())


def test_request_after_a_cancel_that_crashed_anywhere_is_refused_with_no_money_kept() -> None:
    async def story() -> None:
        refused = 0
        for step in range(1, MOST_STEPS):
            world = await _crashed(SCENARIOS["cancel of a lost one"], step, after=True)
            if world is None:
                break
            if world.stored()["cancellation"] is None:
                continue
            world.later(seconds=91)
            with pytest.raises(PaymentCancelled):
                await world.charges().request_payment(request("tok_lost"))
            assert (world.kept_minor(), world.stored()["status"]) == (0, "refunded")
            refused += 1
        assert refused >= 4

    asyncio.run(story())
