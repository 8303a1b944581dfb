"""Requests, cancellations and refunds of one payment at the same time, in every order of their steps."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payment.application.changes import ATTEMPTS
from payment.application.ports import LostRace, Notice, ProviderError, Webhook
from payment.domain.charge import Charge, Means, Outcome, RefundOutcome
from payment.domain.errors import NotRefundable, PaymentCancelled, RefundExceedsCaptured
from payment.domain.payment import Payment
from payment.infrastructure.d1 import D1Payments
from payment.infrastructure.sandbox import SandboxProvider
from shared_kernel.contracts import payment as contract
from shared_kernel.errors import Unavailable
from shared_kernel.events import Event
from shared_kernel.money import Money
from tests.unit.payment.schedules import Answer, Scene, Story, every_schedule, one_schedule
from tests.unit.payment.world import World, cancel, go_on, idr, pause, refund, request

LARGEST_COUNT = 20_000


class Worlds:
    """Makes a fresh world for each schedule, and remembers the last one."""

    def __init__(self, prepare: Callable[[World], Awaitable[object]] | None = None) -> None:
        self._prepare = prepare
        self.last = World()

    def scene(self, stories: Callable[[World], list[Story]]) -> Callable[[], Scene]:
        """What starts the stories in a fresh world."""

        def start() -> Scene:
            world = self.last = World()
            if self._prepare is not None:
                asyncio.run(_awaited(self._prepare(world)))
            world.database.before_step = pause
            return Scene(stories(world), lambda: world.database.last_answer, world.database.stored)

        return start


async def _awaited(work: Awaitable[object]) -> None:
    await work


def _captured(world: World) -> Awaitable[object]:
    return world.charges().request_payment(request())


def _told(answer: Answer) -> str:
    return answer.status if isinstance(answer, contract.Payment | contract.Refund) else type(answer).__name__


def _assert_book_agrees(world: World) -> None:
    """The payment's row and the events say the same as the provider's book."""
    row, events = world.stored(), world.events()
    assert int(str(row["captured_minor"])) - int(str(row["refunded_minor"])) == world.kept_minor()
    assert events.count("payment.captured") == (1 if row["captured_minor"] else 0)
    assert events.count("payment.declined") == (1 if row["status"] == "declined" else 0)
    assert events.count("payment.cancelled") == (1 if row["status"] == "cancelled" else 0)
    assert events.count("payment.refunded") == len(world.database.look("SELECT 1 FROM sandbox_refunds"))
    assert world.charged() <= 1
    assert world.ledger().get("provider:sandbox", 0) == world.kept_minor() == -world.ledger().get("orders", 0)


@pytest.mark.parametrize(
    ("token", "outcomes"),
    [
        (
            "tok_ok",
            {
                ("PaymentCancelled", "cancelled"),
                ("PaymentCancelled", "refunded"),
                # The request, which comes too late, is the one that asks for the refund.
                ("PaymentCancelled", "captured"),
                ("captured", "refunded"),
            },
        ),
        ("tok_lost", {("PaymentCancelled", "cancelled"), ("ProviderError", "refunded")}),
        ("tok_declined", {("PaymentCancelled", "cancelled"), ("declined", "declined")}),
        ("tok_error", {("PaymentCancelled", "cancelled"), ("ProviderError", "cancelled")}),
        ("tok_error_once", {("PaymentCancelled", "cancelled"), ("ProviderError", "cancelled")}),
    ],
)
def test_request_and_cancel_in_every_order_keep_no_money(token: str, outcomes: set[tuple[str, str]]) -> None:
    worlds = Worlds()

    def stories(world: World) -> list[Story]:
        return [world.charges().request_payment(request(token)), world.charges().cancel_payment(cancel())]

    seen = set()
    for requested, cancelled in every_schedule(worlds.scene(stories), LARGEST_COUNT):
        seen.add((_told(requested), _told(cancelled)))
        assert worlds.last.kept_minor() == 0
        _assert_book_agrees(worlds.last)
    assert seen == outcomes


def test_repeated_request_after_a_lost_answer_and_cancel_in_every_order_keep_no_money() -> None:
    async def lose_the_answer(world: World) -> None:
        with pytest.raises(ProviderError):
            await world.charges().request_payment(request("tok_lost"))

    worlds = Worlds(lose_the_answer)

    def stories(world: World) -> list[Story]:
        return [world.charges().request_payment(request("tok_lost")), world.charges().cancel_payment(cancel())]

    seen = set()
    for requested, cancelled in every_schedule(worlds.scene(stories), LARGEST_COUNT):
        seen.add((_told(requested), _told(cancelled)))
        assert worlds.last.kept_minor() == 0
        _assert_book_agrees(worlds.last)
    assert seen == {("PaymentCancelled", "refunded"), ("PaymentCancelled", "captured"), ("captured", "refunded")}


def test_same_request_twice_in_every_order_charges_once() -> None:
    worlds = Worlds()

    def stories(world: World) -> list[Story]:
        return [world.charges().request_payment(request()), world.charges().request_payment(request())]

    for first, second in every_schedule(worlds.scene(stories), LARGEST_COUNT):
        assert isinstance(first, contract.Payment)
        assert first == second
        assert worlds.last.kept_minor() == 1000
        _assert_book_agrees(worlds.last)


def test_two_cancellations_of_a_captured_payment_in_every_order_refund_once() -> None:
    worlds = Worlds(_captured)

    def stories(world: World) -> list[Story]:
        return [world.charges().cancel_payment(cancel()), world.charges().cancel_payment(cancel())]

    for answers in every_schedule(worlds.scene(stories), LARGEST_COUNT):
        # Who does not ask may be answered while the other still does.
        assert "refunded" in {_told(answer) for answer in answers} <= {"refunded", "captured"}
        assert worlds.last.kept_minor() == 0
        _assert_book_agrees(worlds.last)


@pytest.mark.parametrize(
    ("amounts_minor", "keys", "kept_minor"),
    [((600, 600), ("a", "b"), {400}), ((400, 400), ("a", "b"), {200}), ((600, 600), ("a", "a"), {400})],
)
def test_two_refunds_in_every_order_never_exceed_what_was_captured(
    amounts_minor: tuple[int, int], keys: tuple[str, str], kept_minor: set[int]
) -> None:
    worlds = Worlds(_captured)

    def stories(world: World) -> list[Story]:
        return [
            world.admin().refund(refund(amount_minor, key=key))
            for amount_minor, key in zip(amounts_minor, keys, strict=True)
        ]

    seen = set()
    for answers in every_schedule(worlds.scene(stories), LARGEST_COUNT):
        refused = [answer for answer in answers if not isinstance(answer, contract.Refund)]
        assert all(isinstance(answer, RefundExceedsCaptured) for answer in refused)
        assert len(refused) == (1 if kept_minor == {400} and keys[0] != keys[1] else 0)
        seen.add(worlds.last.kept_minor())
        _assert_book_agrees(worlds.last)
    assert seen == kept_minor


def test_refund_by_staff_and_cancel_in_every_order_return_exactly_everything() -> None:
    worlds = Worlds(_captured)

    def stories(world: World) -> list[Story]:
        return [world.admin().refund(refund(300, key="a")), world.charges().cancel_payment(cancel())]

    for by_staff, cancelled in every_schedule(worlds.scene(stories), LARGEST_COUNT):
        assert isinstance(by_staff, contract.Refund | NotRefundable)
        assert _told(cancelled) in {"refunded", "partially_refunded"}
        assert (worlds.last.kept_minor(), worlds.last.stored()["status"]) == (0, "refunded")
        _assert_book_agrees(worlds.last)


@settings(deadline=None, max_examples=150)
@given(
    token=st.sampled_from(["tok_ok", "tok_lost", "tok_error_once", "tok_declined"]),
    choices=st.lists(st.integers(min_value=0, max_value=3), max_size=60),
)
def test_two_requests_and_two_cancellations_in_any_order_keep_no_money(token: str, choices: list[int]) -> None:
    worlds = Worlds()

    def stories(world: World) -> list[Story]:
        charges = world.charges()
        return [
            charges.request_payment(request(token)),
            charges.cancel_payment(cancel()),
            charges.request_payment(request(token)),
            charges.cancel_payment(cancel()),
        ]

    one_schedule(worlds.scene(stories)(), choices)
    world = worlds.last
    world.database.before_step = go_on
    last = asyncio.run(_awaited_payment(world.charges().cancel_payment(cancel())))
    assert last.status in {"cancelled", "declined", "refunded"}
    assert world.kept_minor() == 0
    _assert_book_agrees(world)


async def _awaited_payment(work: Awaitable[contract.Payment]) -> contract.Payment:
    return await work


class MeddledProvider:
    """The sandbox, with something happening just before or just after it charges or refunds."""

    def __init__(self, sandbox: SandboxProvider) -> None:
        self._sandbox = sandbox
        self.before_charge: Callable[[], Awaitable[object]] = go_on
        self.after_charge: Callable[[], Awaitable[object]] = go_on
        self.before_refund: Callable[[], Awaitable[object]] = go_on

    async def create(self, charge: Charge, means: Means) -> Outcome:
        await self.before_charge()
        outcome = await self._sandbox.create(charge, means)
        await self.after_charge()
        return outcome

    async def look_up(self, charge: Charge) -> Outcome | None:
        return await self._sandbox.look_up(charge)

    async def cancel(self, charge: Charge) -> Outcome | None:
        return await self._sandbox.cancel(charge)

    async def refund(
        self, charge: Charge, refund_key: str, amount: Money, provider_reference: str | None
    ) -> RefundOutcome:
        await self.before_refund()
        return await self._sandbox.refund(charge, refund_key, amount, provider_reference)

    async def find_refund(self, charge: Charge, refund_key: str, amount: Money) -> RefundOutcome | None:
        return await self._sandbox.find_refund(charge, refund_key, amount)

    async def read_webhook(self, webhook: Webhook) -> Notice:
        return await self._sandbox.read_webhook(webhook)


def _meddled() -> tuple[World, MeddledProvider]:
    world = World()
    provider = MeddledProvider(world.sandbox)
    world.providers = {"sandbox": provider}
    return world, provider


def test_cancel_that_passes_a_charge_on_its_way_leaves_it_refused() -> None:
    async def story() -> None:
        world, provider = _meddled()
        provider.before_charge = lambda: world.charges().cancel_payment(cancel())
        with pytest.raises(PaymentCancelled):
            await world.charges().request_payment(request())
        assert (world.stored()["status"], world.charged()) == ("cancelled", 0)
        _assert_book_agrees(world)

    asyncio.run(story())


def test_cancel_that_comes_before_the_charges_answer_gives_the_money_back() -> None:
    async def story() -> None:
        world, provider = _meddled()
        provider.after_charge = lambda: world.charges().cancel_payment(cancel())
        with pytest.raises(PaymentCancelled):
            await world.charges().request_payment(request())
        assert (world.stored()["status"], world.charged(), world.kept_minor()) == ("refunded", 1, 0)
        _assert_book_agrees(world)

    asyncio.run(story())


def test_late_request_finishes_the_cancellation_that_stopped_before_its_refund() -> None:
    async def fail() -> None:
        raise ProviderError("down")

    async def story() -> None:
        world, provider = _meddled()
        await world.charges().request_payment(request())
        provider.before_refund = fail
        with pytest.raises(ProviderError):
            await world.charges().cancel_payment(cancel())
        with pytest.raises(PaymentCancelled):
            await world.charges().request_payment(request())
        world.later(seconds=91)
        with pytest.raises(ProviderError):
            await world.charges().request_payment(request())
        assert world.kept_minor() == 1000
        provider.before_refund = go_on
        world.later(seconds=91)
        with pytest.raises(PaymentCancelled):
            await world.charges().request_payment(request())
        assert (world.stored()["status"], world.kept_minor()) == ("refunded", 0)

    asyncio.run(story())


def test_staff_refund_under_way_while_the_payment_is_cancelled_is_given_back_once() -> None:
    async def story() -> None:
        world, provider = _meddled()
        await world.charges().request_payment(request())

        async def cancel_meanwhile() -> None:
            provider.before_refund = go_on
            await world.charges().cancel_payment(cancel())

        provider.before_refund = cancel_meanwhile
        answer = await world.admin().refund(refund(300, key="a"))
        assert (answer.amount, answer.payment.refunded, world.kept_minor()) == (idr(300), idr(1000), 0)
        _assert_book_agrees(world)

    asyncio.run(story())


def test_request_gives_up_when_others_are_quicker_every_time() -> None:
    class Busy(D1Payments):
        tries = 0

        async def save(self, before: Payment, after: Payment, cause: str, event: Event | None) -> None:
            self.tries += 1
            raise LostRace

    async def story() -> None:
        world = World()
        busy = world.payments = Busy(world.database)
        with pytest.raises(Unavailable) as refusal:
            await world.charges().request_payment(request())
        assert (refusal.value.code, busy.tries) == ("payment_busy", ATTEMPTS)
        world.payments = D1Payments(world.database)
        assert (await world.charges().request_payment(request())).status == "captured"
        _assert_book_agrees(world)

    asyncio.run(story())
