"""Taking and undoing payments, one call after another."""

import asyncio
from collections.abc import Awaitable

import pytest

from payment.application.ports import ProviderError
from payment.domain.errors import AmountNotPositive, IdempotencyKeyReused, PaymentCancelled, ProviderNotAvailable
from payment.domain.payment import payment_id
from shared_kernel.contracts import payment as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from shared_kernel.money import Money
from tests.unit.payment.world import GUEST, SERVICE, STAFF, World, cancel, idr, refund, request


def test_good_token_is_captured_once_and_told() -> None:
    async def story() -> None:
        world = World()
        first = await world.charges().request_payment(request())
        again = await world.charges().request_payment(request())
        assert first == again
        assert (first.status, first.captured, first.refunded) == ("captured", idr(1000), idr(0))
        assert first.id == payment_id("order-1")
        assert (world.charged(), world.events(), world.published) == (1, ["payment.captured"], 1)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("token", "code"), [("tok_declined", "card_declined"), ("tok_nobody_knows", "invalid_token"), ("", "invalid_token")]
)
def test_declined_token_stays_declined_even_when_a_better_one_follows(token: str, code: str) -> None:
    async def story() -> None:
        world = World()
        first = await world.charges().request_payment(request(token))
        assert first.failure is not None
        assert (first.status, first.failure.code, first.captured) == ("declined", code, idr(0))
        assert await world.charges().request_payment(request("tok_ok")) == first
        assert (world.charged(), world.events()) == (0, ["payment.declined"])

    asyncio.run(story())


def test_error_once_is_unavailable_and_then_charged_once() -> None:
    async def story() -> None:
        world = World()
        with pytest.raises(ProviderError):
            await world.charges().request_payment(request("tok_error_once"))
        assert (world.stored()["status"], world.events()) == ("created", [])
        answer = await world.charges().request_payment(request("tok_error_once"))
        assert (answer.status, world.charged()) == ("captured", 1)

    asyncio.run(story())


def test_error_for_ever_never_charges_and_can_be_cancelled() -> None:
    async def story() -> None:
        world = World()
        for _ in range(4):
            with pytest.raises(Unavailable):
                await world.charges().request_payment(request("tok_error"))
        answer = await world.charges().cancel_payment(cancel())
        assert (answer.status, world.charged(), world.events()) == ("cancelled", 0, ["payment.cancelled"])

    asyncio.run(story())


def test_lost_answer_is_found_by_the_repeat_and_not_charged_again() -> None:
    async def story() -> None:
        world = World()
        with pytest.raises(Unavailable):
            await world.charges().request_payment(request("tok_lost"))
        assert (world.stored()["status"], world.charged()) == ("created", 1)
        answer = await world.charges().request_payment(request("tok_lost"))
        assert (answer.status, world.charged(), world.kept_minor()) == ("captured", 1, 1000)

    asyncio.run(story())


def test_lost_answer_that_is_cancelled_is_refunded() -> None:
    async def story() -> None:
        world = World()
        with pytest.raises(Unavailable):
            await world.charges().request_payment(request("tok_lost"))
        answer = await world.charges().cancel_payment(cancel())
        assert (answer.status, answer.refunded, world.kept_minor()) == ("refunded", idr(1000), 0)
        assert world.events() == ["payment.captured", "payment.refunded"]

    asyncio.run(story())


def test_cancelling_what_was_never_requested_refuses_the_late_request() -> None:
    async def story() -> None:
        world = World()
        first = await world.charges().cancel_payment(cancel())
        assert (first.status, first.captured) == ("cancelled", idr(0))
        for _ in range(2):
            with pytest.raises(PaymentCancelled) as refusal:
                await world.charges().request_payment(request())
            assert refusal.value.code == "payment_cancelled"
        assert await world.charges().cancel_payment(cancel()) == first
        assert (world.charged(), await world.book(), world.events()) == (0, [], ["payment.cancelled"])

    asyncio.run(story())


def test_cancelling_a_captured_payment_returns_all_of_it_once() -> None:
    async def story() -> None:
        world = World()
        await world.charges().request_payment(request())
        first = await world.charges().cancel_payment(cancel())
        assert await world.charges().cancel_payment(cancel()) == first
        assert (first.status, first.refunded, world.kept_minor()) == ("refunded", idr(1000), 0)
        with pytest.raises(PaymentCancelled):
            await world.charges().request_payment(request())
        assert world.events() == ["payment.captured", "payment.refunded"]

    asyncio.run(story())


def test_cancelling_after_a_partial_refund_returns_what_is_left() -> None:
    async def story() -> None:
        world = World()
        await world.charges().request_payment(request())
        await world.admin().refund(refund(300, key="a"))
        answer = await world.charges().cancel_payment(cancel())
        assert (answer.status, answer.refunded, world.kept_minor()) == ("refunded", idr(1000), 0)
        assert [each.amount for each in (await world.payment()).refunds] == [idr(300), idr(700)]

    asyncio.run(story())


def test_cancelling_what_was_declined_or_wholly_refunded_changes_nothing() -> None:
    async def story() -> None:
        world = World()
        declined = await world.charges().request_payment(request("tok_declined", key="declined"))
        assert await world.charges().cancel_payment(cancel(key="declined")) == declined
        await world.charges().request_payment(request(key="refunded"))
        by_staff = await world.admin().refund(refund(1000, key="a", of="refunded"))
        assert await world.charges().cancel_payment(cancel(key="refunded")) == by_staff.payment
        assert await world.charges().request_payment(request(key="refunded")) == by_staff.payment
        assert world.events() == ["payment.declined", "payment.captured", "payment.refunded"]

    asyncio.run(story())


def _other(message: contract.RequestPayment | contract.CancelPayment) -> list[dict[str, object]]:
    return [
        {"amount": idr(999)},
        {"amount": Money(amount=1000, currency="USD")},
        {"order_id": message.order_id + "2"},
        {"provider": "another"},
        {"method": "another"},
    ]


@pytest.mark.parametrize("token", ["tok_ok", "tok_declined", "tok_error"])
def test_key_of_another_request_is_refused_and_changes_nothing(token: str) -> None:
    async def story() -> None:
        world = World()
        try:
            await world.charges().request_payment(request(token))
        except ProviderError:
            assert token == "tok_error"
        before = (world.stored(), await world.book())
        for update in _other(request()):
            with pytest.raises(IdempotencyKeyReused):
                await world.charges().request_payment(request(token).model_copy(update=update))
            with pytest.raises(IdempotencyKeyReused):
                await world.charges().cancel_payment(cancel().model_copy(update=update))
        assert (world.stored(), await world.book()) == before

    asyncio.run(story())


def test_amount_of_nothing_is_refused_and_can_still_be_cancelled() -> None:
    async def story() -> None:
        world = World()
        for number, amount in enumerate((idr(0), idr(-5))):
            key = f"order-{number}"
            with pytest.raises(AmountNotPositive):
                await world.charges().request_payment(request(key=key, amount=amount))
            assert (await world.charges().cancel_payment(cancel(key=key, amount=amount))).status == "cancelled"
        assert world.charged() == 0

    asyncio.run(story())


def test_without_a_sandbox_nothing_is_written_but_what_was_recorded_is_answered() -> None:
    async def story() -> None:
        world = World()
        recorded = await world.charges().request_payment(request(key="before"))
        world.providers = {}
        with pytest.raises(ProviderNotAvailable) as refusal:
            await world.charges().request_payment(request())
        assert refusal.value.code == "provider_not_available"
        assert await world.payments.find(payment_id("order-1")) is None
        assert await world.charges().request_payment(request(key="before")) == recorded
        with pytest.raises(ProviderNotAvailable):
            await world.admin().refund(refund(10, key="a", of="before"))
        assert (await world.payment("before")).refunds == ()
        assert (await world.charges().cancel_payment(cancel())).status == "cancelled"
        with pytest.raises(NotFound):
            await world.admin().list_sandbox_charges(Nothing())

    asyncio.run(story())


def test_token_is_nowhere_in_the_database_nor_in_the_requests_text() -> None:
    async def story() -> None:
        world = World()
        secret = "tok_secret_of_a_card"
        assert secret not in repr(request(secret))
        await world.charges().request_payment(request(secret))
        tables = [
            str(row["name"]) for row in world.database.look("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        assert {"payments", "outbox", "sandbox_charges"} <= set(tables)
        assert secret not in str([world.database.look(f"SELECT * FROM {table}") for table in tables])

    asyncio.run(story())


def test_each_entrypoint_serves_only_whom_it_is_for() -> None:
    async def refused(call: Awaitable[object]) -> type[Exception]:
        with pytest.raises((Forbidden, Unauthenticated)) as refusal:
            await call
        return refusal.type

    async def story() -> None:
        world = World()
        asked = contract.GetPayment(id=payment_id("order-1"))
        for principal in (GUEST, STAFF):
            assert await refused(world.charges(principal).request_payment(request())) is Forbidden
            assert await refused(world.charges(principal).cancel_payment(cancel())) is Forbidden
        for principal, kind in ((GUEST, Unauthenticated), (SERVICE, Forbidden)):
            assert await refused(world.admin(principal).refund(refund(1, key="a"))) is kind
            assert await refused(world.admin(principal).list_sandbox_charges(Nothing())) is kind
        assert await refused(world.reading(GUEST).get_payment(asked)) is Unauthenticated
        assert world.database.look("SELECT 1 FROM payments") == []

    asyncio.run(story())


def test_payment_is_read_by_staff_and_services_as_it_was_answered() -> None:
    async def story() -> None:
        world = World()
        answer = await world.charges().request_payment(request())
        for principal in (STAFF, SERVICE):
            assert await world.reading(principal).get_payment(contract.GetPayment(id=answer.id)) == answer
        with pytest.raises(NotFound):
            await world.reading().get_payment(contract.GetPayment(id=payment_id("nobody")))

    asyncio.run(story())


def test_health_tells_a_database_that_does_not_answer() -> None:
    async def fail() -> None:
        raise RuntimeError("no such table")

    async def story() -> None:
        world = World()
        assert (await world.reading(GUEST).health(Nothing())).status == "ok"
        world.database.before_step = fail
        health = await world.reading(GUEST).health(Nothing())
        assert (health.status, health.database) == ("degraded", "unavailable")

    asyncio.run(story())


def test_sandbox_book_shows_each_key_with_what_was_given_back() -> None:
    async def story() -> None:
        world = World()
        await world.charges().request_payment(request(key="ok"))
        await world.admin().refund(refund(250, key="a", of="ok"))
        await world.charges().request_payment(request("tok_declined", key="declined"))
        with pytest.raises(ProviderError):
            await world.charges().request_payment(request("tok_error", key="failed"))
        newest, declined, charged = await world.book()
        assert (newest["idempotency_key"], newest["status"]) == ("failed", "failed")
        assert (declined["idempotency_key"], declined["status"]) == ("declined", "declined")
        assert charged == {
            "reference": payment_id("ok"),
            "idempotency_key": "ok",
            "status": "charged",
            "amount": {"amount": 1000, "currency": "IDR"},
            "refunded": {"amount": 250, "currency": "IDR"},
        }

    asyncio.run(story())
