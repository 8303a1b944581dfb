"""The sandbox provider by itself: its book decides, once for each key."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from payment.application.ports import ProviderError
from payment.domain.charge import Captured, Charge, Declined, Voided
from payment.infrastructure.sandbox import SandboxProvider
from shared_kernel.contracts.payment import Failure
from shared_kernel.money import Money
from tests.unit.payment.world import SteppedDatabase, idr

CHARGE = Charge("order-1", "pay_1", idr(1000))
CARD_DECLINED = Declined(Failure(code="card_declined", detail="the card was declined by its issuer"))


def _tell(story: Callable[[SandboxProvider, SteppedDatabase], Awaitable[None]]) -> None:
    async def told() -> None:
        database = SteppedDatabase()
        await story(SandboxProvider(database), database)

    asyncio.run(told())


def test_first_decision_for_a_key_stands_whatever_token_follows() -> None:
    async def story(sandbox: SandboxProvider, _: SteppedDatabase) -> None:
        assert await sandbox.look_up(CHARGE) is None
        assert await sandbox.charge(CHARGE, "tok_declined") == CARD_DECLINED
        assert await sandbox.charge(CHARGE, "tok_ok") == CARD_DECLINED
        assert await sandbox.look_up(CHARGE) == CARD_DECLINED
        assert await sandbox.void(CHARGE) == CARD_DECLINED

    _tell(story)


def test_failed_attempt_leaves_nothing_to_look_up_and_the_next_decides() -> None:
    async def story(sandbox: SandboxProvider, database: SteppedDatabase) -> None:
        for token in ("tok_error", "tok_error", "tok_error_once"):
            if token == "tok_error_once":
                assert await sandbox.charge(CHARGE, token) == Captured()
                continue
            with pytest.raises(ProviderError):
                await sandbox.charge(CHARGE, token)
            assert await sandbox.look_up(CHARGE) is None
        assert await sandbox.charge(CHARGE, "tok_error") == Captured()
        assert database.look("SELECT attempts FROM sandbox_charges") == [{"attempts": 4}]

    _tell(story)


def test_lost_answer_shows_in_the_look_up() -> None:
    async def story(sandbox: SandboxProvider, _: SteppedDatabase) -> None:
        with pytest.raises(ProviderError):
            await sandbox.charge(CHARGE, "tok_lost")
        assert await sandbox.look_up(CHARGE) == Captured()

    _tell(story)


@pytest.mark.parametrize("failed_before", [False, True])
def test_voided_key_is_never_charged(failed_before: bool) -> None:
    async def story(sandbox: SandboxProvider, database: SteppedDatabase) -> None:
        if failed_before:
            with pytest.raises(ProviderError):
                await sandbox.charge(CHARGE, "tok_error_once")
        assert await sandbox.void(CHARGE) == Voided()
        assert await sandbox.void(CHARGE) == Voided()
        for token in ("tok_ok", "tok_lost", "tok_error", "tok_error_once", "tok_declined"):
            assert await sandbox.charge(CHARGE, token) == Voided()
        assert database.look("SELECT status FROM sandbox_charges") == [{"status": "voided"}]

    _tell(story)


def test_void_that_comes_after_the_charge_says_so_and_leaves_it() -> None:
    async def story(sandbox: SandboxProvider, _: SteppedDatabase) -> None:
        await sandbox.charge(CHARGE, "tok_ok")
        assert await sandbox.void(CHARGE) == Captured()
        assert await sandbox.look_up(CHARGE) == Captured()

    _tell(story)


def test_key_of_another_charge_is_refused_and_changes_nothing() -> None:
    async def story(sandbox: SandboxProvider, database: SteppedDatabase) -> None:
        await sandbox.charge(CHARGE, "tok_ok")
        before = database.stored()
        for other in (
            replace(CHARGE, amount=idr(1)),
            replace(CHARGE, amount=Money(amount=1000, currency="USD")),
            replace(CHARGE, reference="pay_2"),
        ):
            with pytest.raises(ProviderError):
                await sandbox.charge(other, "tok_ok")
            with pytest.raises(ProviderError):
                await sandbox.void(other)
        assert database.stored() == before

    _tell(story)


def test_refund_is_given_once_for_its_key_and_never_beyond_the_charge() -> None:
    async def story(sandbox: SandboxProvider, database: SteppedDatabase) -> None:
        with pytest.raises(ProviderError):
            await sandbox.refund(CHARGE, "rfd_1", idr(1))
        await sandbox.charge(CHARGE, "tok_ok")
        for _ in range(2):
            await sandbox.refund(CHARGE, "rfd_1", idr(600))
        for key, amount in (("rfd_1", idr(1)), ("rfd_2", idr(401))):
            with pytest.raises(ProviderError):
                await sandbox.refund(CHARGE, key, amount)
        await sandbox.refund(CHARGE, "rfd_2", idr(400))
        await sandbox.refund(CHARGE, "rfd_1", idr(600))
        assert database.look("SELECT sum(amount_minor) AS given FROM sandbox_refunds") == [{"given": 1000}]

    _tell(story)


def test_declined_charge_cannot_be_refunded() -> None:
    async def story(sandbox: SandboxProvider, _: SteppedDatabase) -> None:
        await sandbox.charge(CHARGE, "tok_declined")
        with pytest.raises(ProviderError):
            await sandbox.refund(CHARGE, "rfd_1", idr(1))

    _tell(story)
