"""The sandbox provider: what its book decided first for a key stands, whatever is asked afterwards."""

import json
from dataclasses import replace

from payment.application.ports import ProviderError
from payment.domain.charge import Captured, Charge, Declined, Voided
from payment.infrastructure.sandbox import SandboxProvider
from shared_kernel.contracts.payment import Failure
from shared_kernel.money import LARGEST_AMOUNT_MINOR, Money
from shared_kernel.sql import Database
from tests.workerd.cases.expecting import raises

CHARGE = Charge("order-1", "pay_1", Money(amount=LARGEST_AMOUNT_MINOR, currency="IDR"))
CARD_DECLINED = Declined(Failure(code="card_declined", detail="the card was declined by its issuer"))
BAD_TOKEN = Declined(Failure(code="invalid_token", detail="the token does not stand for a card"))


def charge(key: str) -> Charge:
    return replace(CHARGE, idempotency_key=key)


def idr(amount_minor: int) -> Money:
    return Money(amount=amount_minor, currency="IDR")


async def test_each_token_has_its_fate(payment_db: Database) -> None:
    sandbox = SandboxProvider(payment_db)
    for token, outcome in (("tok_ok", Captured()), ("tok_declined", CARD_DECLINED), ("tok_typo", BAD_TOKEN)):
        for _ in range(2):
            assert await sandbox.charge(charge(token), token) == outcome
        assert await sandbox.look_up(charge(token)) == outcome
    for token, later in (("tok_error", None), ("tok_error_once", Captured()), ("tok_lost", Captured())):
        with raises(ProviderError):
            await sandbox.charge(charge(token), token)
        if token == "tok_error_once":
            assert await sandbox.look_up(charge(token)) is None
            assert await sandbox.charge(charge(token), token) == Captured()
        assert await sandbox.look_up(charge(token)) == later


async def test_a_voided_key_is_never_charged_and_a_charged_one_never_voided(payment_db: Database) -> None:
    sandbox = SandboxProvider(payment_db)
    assert await sandbox.void(charge("first")) == Voided()
    assert await sandbox.charge(charge("first"), "tok_ok") == Voided()
    with raises(ProviderError):
        await sandbox.charge(charge("broken"), "tok_error")
    assert await sandbox.void(charge("broken")) == Voided()
    assert await sandbox.charge(CHARGE, "tok_ok") == Captured()
    assert await sandbox.void(CHARGE) == Captured()


async def test_a_key_of_another_charge_is_refused(payment_db: Database) -> None:
    sandbox = SandboxProvider(payment_db)
    await sandbox.charge(CHARGE, "tok_ok")
    for other in (
        replace(CHARGE, amount=idr(LARGEST_AMOUNT_MINOR - 1)),
        replace(CHARGE, amount=Money(amount=LARGEST_AMOUNT_MINOR, currency="USD")),
        replace(CHARGE, reference="pay_2"),
    ):
        with raises(ProviderError):
            await sandbox.charge(other, "tok_ok")
        with raises(ProviderError):
            await sandbox.void(other)


async def test_a_refund_is_given_once_for_its_key_and_never_beyond_the_charge(payment_db: Database) -> None:
    sandbox = SandboxProvider(payment_db)
    with raises(ProviderError):
        await sandbox.refund(CHARGE, "rfd_1", idr(1))
    await sandbox.charge(CHARGE, "tok_ok")
    for _ in range(2):
        await sandbox.refund(CHARGE, "rfd_1", idr(600))
    for key, amount_minor in (("rfd_1", 1), ("rfd_2", LARGEST_AMOUNT_MINOR - 599)):
        with raises(ProviderError):
            await sandbox.refund(CHARGE, key, idr(amount_minor))
    await sandbox.refund(CHARGE, "rfd_2", idr(LARGEST_AMOUNT_MINOR - 600))
    (item,) = json.loads(await sandbox.charges())["items"]
    assert item == {
        "reference": "pay_1",
        "idempotency_key": "order-1",
        "status": "charged",
        "amount": CHARGE.amount.model_dump(),
        "refunded": CHARGE.amount.model_dump(),
    }


async def test_an_empty_book_is_an_empty_list(payment_db: Database) -> None:
    assert json.loads(await SandboxProvider(payment_db).charges()) == {"items": []}
