"""Refunds by staff: idempotent by key, and never more than was captured."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payment.domain.errors import AmountNotPositive, IdempotencyKeyReused, NotRefundable, RefundExceedsCaptured
from payment.domain.payment import payment_id
from shared_kernel.errors import NotFound
from shared_kernel.ids import is_id
from shared_kernel.money import LARGEST_AMOUNT_MINOR, CurrencyMismatch, Money
from tests.unit.payment.world import World, cancel, go_on, idr, refund, request


def test_same_key_is_one_refund_and_another_key_is_another() -> None:
    async def story() -> None:
        world = World()
        await world.charges().request_payment(request())
        first = await world.admin().refund(refund(300, key="a"))
        assert is_id("rfd", first.id)
        assert not first.replayed
        assert await world.admin().refund(refund(300, key="a")) == first.model_copy(update={"replayed": True})
        second = await world.admin().refund(refund(300, key="b"))
        assert (second.id != first.id, second.replayed) == (True, False)
        assert (second.payment.status, second.payment.refunded, world.kept_minor()) == (
            "partially_refunded",
            idr(600),
            400,
        )
        again = await world.admin().refund(refund(300, key="a"))
        assert (again.id, again.payment, again.replayed) == (first.id, second.payment, True)
        assert world.events() == ["payment.captured", "payment.refunded", "payment.refunded"]

    asyncio.run(story())


def test_of_two_requests_with_one_key_at_the_same_moment_one_says_that_it_was_replayed() -> None:
    async def story() -> None:
        world = World()
        await world.charges().request_payment(request())
        others: list[bool] = []

        async def meanwhile() -> None:
            world.database.after_step = go_on
            others.append((await world.admin().refund(refund(300, key="a"))).replayed)

        world.database.after_step = meanwhile
        late = await world.admin().refund(refund(300, key="a"))
        assert (others, late.replayed, world.kept_minor()) == ([False], True, 700)

    asyncio.run(story())


def test_whole_refund_ends_the_payment() -> None:
    async def story() -> None:
        world = World()
        await world.charges().request_payment(request())
        done = await world.admin().refund(refund(1000, key="a"))
        assert (done.payment.status, world.kept_minor()) == ("refunded", 0)
        with pytest.raises(NotRefundable):
            await world.admin().refund(refund(1, key="b"))

    asyncio.run(story())


def test_key_of_another_refund_is_refused() -> None:
    async def story() -> None:
        world = World()
        await world.charges().request_payment(request())
        await world.admin().refund(refund(300, key="a"))
        with pytest.raises(IdempotencyKeyReused):
            await world.admin().refund(refund(301, key="a"))
        with pytest.raises(IdempotencyKeyReused):
            await world.admin().refund(refund(300, key="a", reason="another"))
        assert world.kept_minor() == 700

    asyncio.run(story())


def test_refund_that_cannot_be_is_refused_and_changes_nothing() -> None:
    async def story() -> None:
        world = World()
        await world.charges().request_payment(request())
        await world.charges().request_payment(request("tok_declined", key="declined"))
        await world.charges().cancel_payment(cancel(key="cancelled"))
        before = world.database.stored()
        dollars = refund(10, key="a").model_copy(update={"amount": Money(amount=10, currency="USD")})
        for wrong, refusal in (
            (refund(1001, key="a"), RefundExceedsCaptured),
            (refund(0, key="a"), AmountNotPositive),
            (refund(-1, key="a"), AmountNotPositive),
            (dollars, CurrencyMismatch),
            (refund(10, key="a", of="declined"), NotRefundable),
            (refund(10, key="a", of="cancelled"), NotRefundable),
            (refund(10, key="a", of="nobody"), NotFound),
        ):
            with pytest.raises(refusal):
                await world.admin().refund(wrong)
        assert world.database.stored() == before

    asyncio.run(story())


def test_cancelled_payment_takes_no_new_refund_but_finishes_an_old_one() -> None:
    async def story() -> None:
        world = World()
        await world.charges().request_payment(request())
        old = await world.admin().refund(refund(300, key="a"))
        await world.charges().cancel_payment(cancel())
        again = await world.admin().refund(refund(300, key="a"))
        assert (again.id, again.payment.status) == (old.id, "refunded")
        with pytest.raises(NotRefundable):
            await world.admin().refund(refund(1, key="b"))

    asyncio.run(story())


@settings(deadline=None, max_examples=60)
@given(
    captured_minor=st.integers(min_value=1, max_value=LARGEST_AMOUNT_MINOR),
    shares=st.lists(st.tuples(st.integers(min_value=0, max_value=120), st.sampled_from("abcdef")), max_size=12),
)
def test_any_sequence_of_partial_refunds_gives_back_what_it_says_and_no_more(
    captured_minor: int, shares: list[tuple[int, str]]
) -> None:
    async def story() -> None:
        world = World()
        await world.charges().request_payment(request(amount=idr(captured_minor)))
        done: dict[str, int] = {}
        for percent, key in shares:
            amount_minor = min(captured_minor * percent // 100, LARGEST_AMOUNT_MINOR)
            known = done.get(key)
            left_minor = captured_minor - sum(done.values())
            try:
                answer = await world.admin().refund(refund(amount_minor, key=key))
            except IdempotencyKeyReused:
                assert known not in (None, amount_minor)
            except AmountNotPositive:
                assert (known, amount_minor) == (None, 0)
            except NotRefundable:
                assert (known, left_minor) == (None, 0)
            except RefundExceedsCaptured:
                assert known is None
                assert amount_minor > left_minor > 0
            else:
                assert known in (None, amount_minor)
                done[key] = amount_minor
                assert answer.payment.refunded.amount == sum(done.values())
        assert world.kept_minor() == captured_minor - sum(done.values())
        assert len((await world.payment()).refunds) == len(done)
        last = await world.charges().cancel_payment(cancel(amount=idr(captured_minor)))
        assert (last.status, world.kept_minor()) == ("refunded", 0)

    asyncio.run(story())


def test_refunds_of_two_payments_with_one_key_are_two() -> None:
    async def story() -> None:
        world = World()
        for key in ("one", "two"):
            await world.charges().request_payment(request(key=key))
        first = await world.admin().refund(refund(10, key="a", of="one"))
        second = await world.admin().refund(refund(10, key="a", of="two"))
        assert first.id != second.id
        assert (first.payment.id, second.payment.id) == (payment_id("one"), payment_id("two"))
        assert world.kept_minor() == 1980

    asyncio.run(story())
