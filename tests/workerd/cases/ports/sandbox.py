"""The sandbox provider: what its book decided first for a key stands, whatever is asked afterwards."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

from payment.application.ports import ProviderError
from payment.domain.charge import Captured, Charge, Declined, Expired, Means, Voided, Waiting
from payment.domain.errors import SandboxNotWaiting
from payment.infrastructure.sandbox import SandboxProvider
from payment.infrastructure.sandbox_bank import SandboxBank
from shared_kernel.contracts.payment import Failure
from shared_kernel.money import LARGEST_AMOUNT_MINOR, Money
from shared_kernel.sql import Database
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.scratch import NOW

LATER = NOW + timedelta(minutes=10)
CHARGE = Charge("order-1", "pay_1", Money(amount=LARGEST_AMOUNT_MINOR, currency="IDR"), "card", LATER)
CAPTURED = Captured("sandbox_pay_1")
CARD_DECLINED = Declined(Failure(code="card_declined", detail="the card was declined by its issuer"))
BAD_TOKEN = Declined(Failure(code="invalid_token", detail="the token does not stand for a card"))


def the_sandbox(database: Database, now: datetime = NOW) -> SandboxProvider:
    return SandboxProvider(SandboxBank(database, "secret", lambda: now), "secret")


def charge(key: str) -> Charge:
    return replace(CHARGE, idempotency_key=key)


def idr(amount_minor: int) -> Money:
    return Money(amount=amount_minor, currency="IDR")


async def test_each_token_has_its_fate(payment_db: Database) -> None:
    sandbox = the_sandbox(payment_db)
    for token, outcome in (("tok_ok", CAPTURED), ("tok_declined", CARD_DECLINED), ("tok_typo", BAD_TOKEN)):
        for _ in range(2):
            assert await sandbox.create(charge(token), Means(token=token)) == outcome
        assert await sandbox.look_up(charge(token)) == outcome
    for token, later in (("tok_error", None), ("tok_error_once", CAPTURED), ("tok_lost", CAPTURED)):
        with raises(ProviderError):
            await sandbox.create(charge(token), Means(token=token))
        if token == "tok_error_once":
            assert await sandbox.look_up(charge(token)) is None
            assert await sandbox.create(charge(token), Means(token=token)) == CAPTURED
        assert await sandbox.look_up(charge(token)) == later


async def test_a_voided_key_is_never_charged_and_a_charged_one_never_voided(payment_db: Database) -> None:
    sandbox = the_sandbox(payment_db)
    assert await sandbox.cancel(charge("first")) == Voided()
    assert await sandbox.create(charge("first"), Means(token="tok_ok")) == Voided()
    with raises(ProviderError):
        await sandbox.create(charge("broken"), Means(token="tok_error"))
    assert await sandbox.cancel(charge("broken")) == Voided()
    assert await sandbox.create(CHARGE, Means(token="tok_ok")) == CAPTURED
    assert await sandbox.cancel(CHARGE) == CAPTURED


async def test_a_key_of_another_charge_is_refused(payment_db: Database) -> None:
    sandbox = the_sandbox(payment_db)
    await sandbox.create(CHARGE, Means(token="tok_ok"))
    for other in (
        replace(CHARGE, amount=idr(LARGEST_AMOUNT_MINOR - 1)),
        replace(CHARGE, amount=Money(amount=LARGEST_AMOUNT_MINOR, currency="USD")),
        replace(CHARGE, reference="pay_2"),
    ):
        with raises(ProviderError):
            await sandbox.create(other, Means(token="tok_ok"))
        with raises(ProviderError):
            await sandbox.cancel(other)


async def test_a_refund_is_given_once_for_its_key_and_never_beyond_the_charge(payment_db: Database) -> None:
    sandbox = the_sandbox(payment_db)
    with raises(ProviderError):
        await sandbox.refund(CHARGE, "rfd_1", idr(1), None)
    await sandbox.create(CHARGE, Means(token="tok_ok"))
    for _ in range(2):
        await sandbox.refund(CHARGE, "rfd_1", idr(600), None)
    for key, amount_minor in (("rfd_1", 1), ("rfd_2", LARGEST_AMOUNT_MINOR - 599)):
        with raises(ProviderError):
            await sandbox.refund(CHARGE, key, idr(amount_minor), None)
    await sandbox.refund(CHARGE, "rfd_2", idr(LARGEST_AMOUNT_MINOR - 600), None)
    (item,) = json.loads(await sandbox.charges())["items"]
    assert item == {
        "reference": "pay_1",
        "idempotency_key": "order-1",
        "status": "charged",
        "amount": CHARGE.amount.model_dump(),
        "refunded": CHARGE.amount.model_dump(),
    }


async def test_an_empty_book_is_an_empty_list(payment_db: Database) -> None:
    assert json.loads(await the_sandbox(payment_db).charges()) == {"items": []}


async def test_a_charge_by_qris_waits_is_paid_or_expires(payment_db: Database) -> None:
    sandbox = the_sandbox(payment_db)
    first, second = (replace(charge(key), method="qris") for key in ("first", "second"))
    for each in (first, second):
        assert isinstance(await sandbox.create(each, Means()), Waiting)
    assert isinstance(await sandbox.look_up(first), Waiting)
    sent = await sandbox.settle(first, "paid")
    assert (await sandbox.read_webhook(sent)).reference == "pay_1"
    assert await sandbox.look_up(first) == CAPTURED
    late = the_sandbox(payment_db, LATER)
    assert await late.look_up(second) == Expired()
    with raises(SandboxNotWaiting):
        await late.settle(second, "paid")
