"""The sandbox provider by itself: its book decides, once for each key."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from payment.application.ports import Notice, ProviderError, Webhook, WebhookRefused
from payment.domain.charge import Captured, Charge, Declined, Expired, Means, RefundDone, Voided, Waiting
from payment.domain.errors import SandboxNotWaiting
from payment.infrastructure import sandbox as smallest
from payment.infrastructure.sandbox import SandboxProvider
from payment.infrastructure.sandbox_bank import SIGNATURE_HEADER, SandboxBank
from shared_kernel.contracts.payment import Failure
from shared_kernel.money import Money
from tests.unit.payment.world import START, WEBHOOK_SECRET, SteppedDatabase, idr

CHARGE = Charge("order-1", "pay_1", idr(1000), "card", START + timedelta(minutes=10))
QRIS = replace(CHARGE, method="qris")
CAPTURED = Captured("sandbox_pay_1")
CARD_DECLINED = Declined(Failure(code="card_declined", detail="the card was declined by its issuer"))


def _sandbox(database: SteppedDatabase, now: datetime = START) -> SandboxProvider:
    return SandboxProvider(SandboxBank(database, WEBHOOK_SECRET, lambda: now), WEBHOOK_SECRET)


def _tell(story: Callable[[SandboxProvider, SteppedDatabase], Awaitable[None]]) -> None:
    async def told() -> None:
        database = SteppedDatabase()
        await story(_sandbox(database), database)

    asyncio.run(told())


def test_first_decision_for_a_key_stands_whatever_token_follows() -> None:
    async def story(sandbox: SandboxProvider, _: SteppedDatabase) -> None:
        assert await sandbox.look_up(CHARGE) is None
        assert await sandbox.create(CHARGE, Means(token="tok_declined")) == CARD_DECLINED
        assert await sandbox.create(CHARGE, Means(token="tok_ok")) == CARD_DECLINED
        assert await sandbox.look_up(CHARGE) == CARD_DECLINED
        assert await sandbox.cancel(CHARGE) == CARD_DECLINED

    _tell(story)


def test_failed_attempt_leaves_nothing_to_look_up_and_the_next_decides() -> None:
    async def story(sandbox: SandboxProvider, database: SteppedDatabase) -> None:
        for token in ("tok_error", "tok_error", "tok_error_once"):
            if token == "tok_error_once":
                assert await sandbox.create(CHARGE, Means(token=token)) == CAPTURED
                continue
            with pytest.raises(ProviderError):
                await sandbox.create(CHARGE, Means(token=token))
            assert await sandbox.look_up(CHARGE) is None
        assert await sandbox.create(CHARGE, Means(token="tok_error")) == CAPTURED
        assert database.look("SELECT attempts FROM sandbox_charges") == [{"attempts": 4}]

    _tell(story)


def test_lost_answer_shows_in_the_look_up() -> None:
    async def story(sandbox: SandboxProvider, _: SteppedDatabase) -> None:
        with pytest.raises(ProviderError):
            await sandbox.create(CHARGE, Means(token="tok_lost"))
        assert await sandbox.look_up(CHARGE) == CAPTURED

    _tell(story)


@pytest.mark.parametrize("failed_before", [False, True])
def test_voided_key_is_never_charged(failed_before: bool) -> None:
    async def story(sandbox: SandboxProvider, database: SteppedDatabase) -> None:
        if failed_before:
            with pytest.raises(ProviderError):
                await sandbox.create(CHARGE, Means(token="tok_error_once"))
        assert await sandbox.cancel(CHARGE) == Voided()
        assert await sandbox.cancel(CHARGE) == Voided()
        for token in ("tok_ok", "tok_lost", "tok_error", "tok_error_once", "tok_declined"):
            assert await sandbox.create(CHARGE, Means(token=token)) == Voided()
        assert database.look("SELECT status FROM sandbox_charges") == [{"status": "voided"}]

    _tell(story)


def test_void_that_comes_after_the_charge_says_so_and_leaves_it() -> None:
    async def story(sandbox: SandboxProvider, _: SteppedDatabase) -> None:
        await sandbox.create(CHARGE, Means(token="tok_ok"))
        assert await sandbox.cancel(CHARGE) == CAPTURED
        assert await sandbox.look_up(CHARGE) == CAPTURED

    _tell(story)


def test_key_of_another_charge_is_refused_and_changes_nothing() -> None:
    async def story(sandbox: SandboxProvider, database: SteppedDatabase) -> None:
        await sandbox.create(CHARGE, Means(token="tok_ok"))
        before = database.stored()
        for other in (
            replace(CHARGE, amount=idr(1)),
            replace(CHARGE, amount=Money(amount=1000, currency="USD")),
            replace(CHARGE, reference="pay_2"),
        ):
            with pytest.raises(ProviderError):
                await sandbox.create(other, Means(token="tok_ok"))
            with pytest.raises(ProviderError):
                await sandbox.cancel(other)
        assert database.stored() == before

    _tell(story)


def test_refund_is_given_once_for_its_key_and_never_beyond_the_charge() -> None:
    async def story(sandbox: SandboxProvider, database: SteppedDatabase) -> None:
        with pytest.raises(ProviderError):
            await sandbox.refund(CHARGE, "rfd_1", idr(1), None)
        await sandbox.create(CHARGE, Means(token="tok_ok"))
        for _ in range(2):
            done = await sandbox.refund(CHARGE, "rfd_1", idr(600), None)
            assert done == RefundDone("sandbox_rfd_1")
        for key, amount in (("rfd_1", idr(1)), ("rfd_2", idr(401))):
            with pytest.raises(ProviderError):
                await sandbox.refund(CHARGE, key, amount, None)
        await sandbox.refund(CHARGE, "rfd_2", idr(400), None)
        await sandbox.refund(CHARGE, "rfd_1", idr(600), None)
        assert database.look("SELECT sum(amount_minor) AS given FROM sandbox_refunds") == [{"given": 1000}]

    _tell(story)


def test_declined_charge_cannot_be_refunded() -> None:
    async def story(sandbox: SandboxProvider, _: SteppedDatabase) -> None:
        await sandbox.create(CHARGE, Means(token="tok_declined"))
        with pytest.raises(ProviderError):
            await sandbox.refund(CHARGE, "rfd_1", idr(1), None)

    _tell(story)


def test_charge_by_qris_waits_until_its_customer_pays_or_fails() -> None:
    async def story(sandbox: SandboxProvider, database: SteppedDatabase) -> None:
        for number, token in enumerate((None, "tok_declined")):
            waiting = await sandbox.create(_other(number), Means(token=token))
            assert isinstance(waiting, Waiting)
            assert waiting.instructions.type == "qr_code"
            assert waiting.instructions.qr_string
            assert await sandbox.look_up(_other(number)) == waiting
            assert await sandbox.create(_other(number), Means()) == waiting
        for _ in range(2):
            await sandbox.settle(_other(0), "paid")
            await sandbox.settle(_other(1), "failed")
        assert await sandbox.look_up(_other(0)) == Captured("sandbox_pay_0")
        failed = Failure(code="payment_failed", detail="the customer's payment failed")
        assert await sandbox.look_up(_other(1)) == Declined(failed)
        assert len(database.look("SELECT 1 FROM sandbox_charges")) == 2
        for number, outcome in enumerate(_OTHER_WAY_ROUND):
            with pytest.raises(SandboxNotWaiting):
                await sandbox.settle(_other(number), outcome)

    _tell(story)


_OTHER_WAY_ROUND: tuple[Literal["paid", "failed"], ...] = ("failed", "paid")


def _other(number: int) -> Charge:
    return replace(QRIS, idempotency_key=f"order-{number}", reference=f"pay_{number}")


def test_cancelled_or_expired_charge_cannot_be_paid_any_more() -> None:
    async def story(sandbox: SandboxProvider, database: SteppedDatabase) -> None:
        await sandbox.create(_other(0), Means())
        assert await sandbox.cancel(_other(0)) == Voided()
        await sandbox.create(_other(1), Means())
        a_moment_too_late = _sandbox(database, QRIS.expires_at)
        for number in (0, 1, 2):
            with pytest.raises(SandboxNotWaiting):
                await a_moment_too_late.settle(_other(number), "paid")
        assert await a_moment_too_late.look_up(_other(1)) == Expired()
        assert await a_moment_too_late.cancel(_other(1)) == Expired()
        assert await a_moment_too_late.create(_other(1), Means()) == Expired()

    _tell(story)


def test_method_that_the_sandbox_does_not_know_is_declined() -> None:
    async def story(sandbox: SandboxProvider, _: SteppedDatabase) -> None:
        outcome = await sandbox.create(replace(CHARGE, method="virtual_account"), Means(bank="bca"))
        assert isinstance(outcome, Declined)
        assert outcome.failure.code == "unsupported_method"

    _tell(story)


def test_webhook_is_read_with_its_signature_only() -> None:
    async def story(sandbox: SandboxProvider, _: SteppedDatabase) -> None:
        await sandbox.create(QRIS, Means())
        sent = await sandbox.settle(QRIS, "paid")
        assert await sandbox.read_webhook(sent) == Notice(event_id="pay_1_paid", reference="pay_1")
        good = sent.headers[SIGNATURE_HEADER]
        for forged in (
            replace(sent, headers={}),
            replace(sent, headers={SIGNATURE_HEADER: ""}),
            replace(sent, headers={SIGNATURE_HEADER: "0" * 64}),
            replace(sent, headers={SIGNATURE_HEADER: good + "0"}),
            replace(sent, headers={SIGNATURE_HEADER: "\u00e9"}),
            replace(sent, body=sent.body.replace("pay_1", "pay_2")),
            replace(sent, body=""),
        ):
            with pytest.raises(WebhookRefused):
                await sandbox.read_webhook(forged)

    _tell(story)


def test_webhook_of_another_secret_is_refused() -> None:
    async def story(sandbox: SandboxProvider, database: SteppedDatabase) -> None:
        await sandbox.create(QRIS, Means())
        another = SandboxProvider(SandboxBank(database, "another", lambda: START), "another")
        sent: Webhook = await another.settle(QRIS, "paid")
        with pytest.raises(WebhookRefused):
            await sandbox.read_webhook(sent)

    _tell(story)


def test_adapter_to_read_first_is_under_150_lines() -> None:
    assert len(Path(str(smallest.__file__)).read_text().splitlines()) < 150
