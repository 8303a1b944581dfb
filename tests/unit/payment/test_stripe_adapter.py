"""The Stripe adapter against the simulator."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from payment.application.ports import ProviderError, WebhookRefused
from payment.domain.charge import (
    Captured,
    Charge,
    Declined,
    Expired,
    Means,
    RefundDone,
    RefundImpossible,
    RefundPending,
    Voided,
    Waiting,
)
from payment.infrastructure.stripe import StripeProvider, StripeSettings, settings_from
from payment.infrastructure.stripe_api import stripe_amount
from shared_kernel.errors import DomainError, Invalid
from shared_kernel.money import EXPONENTS, Money
from tests.providers.http import HttpxHttp
from tests.providers.inbox import Inbox, taking_in
from tests.providers.server import Running, serving

START = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
SECRET_KEY, WEBHOOK_SECRET = "sk_test_local", "whsec_local"
VISA, DECLINED, AUTHENTICATE = (
    Means(token=token) for token in ("pm_card_visa", "pm_card_visa_chargeDeclined", "pm_card_authenticationRequired")
)
T = TypeVar("T")


@dataclass
class Shop:
    """The adapter, the simulator it speaks with, and the time of both."""

    running: Running
    inbox: Inbox
    clock: "Clock"
    http: HttpxHttp = field(default_factory=HttpxHttp)

    def provider(self, return_url: str | None = "https://shop.example", secret_key: str = SECRET_KEY) -> StripeProvider:
        settings = StripeSettings(self.running.url("stripe"), secret_key, WEBHOOK_SECRET, return_url)
        return StripeProvider(self.http, settings, self.clock)

    def control(self, command: str, **options: JsonValue) -> JsonValue:
        return self.running.control("stripe", command, **options)

    def book(self) -> list[tuple[JsonValue, ...]]:
        """Reference, status, what was refunded, and how often the money was taken, of each charge."""
        book = self.control("book")
        assert isinstance(book, dict)
        items = book["items"]
        assert isinstance(items, list)
        columns = ("reference", "status", "refunded_minor", "times_charged")
        return [tuple(item[column] for column in columns) for item in items if isinstance(item, dict)]


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def shop() -> Iterator[Shop]:
    clock = Clock()
    with taking_in() as inbox, serving(notify=inbox.address, clock=clock) as running:
        yield Shop(running, inbox, clock)


def charge(amount: int = 12_50, currency: str = "USD", reference: str = "pay_1") -> Charge:
    money = Money(amount=amount, currency=currency)
    return Charge(f"key-{reference}", reference, money, "card", START + timedelta(minutes=15))


def now(work: Coroutine[object, None, T]) -> T:
    return asyncio.run(work)


def paid(shop: Shop, means: Means = VISA) -> Charge:
    """A charge that was captured, as it is known afterwards."""
    outcome = now(shop.provider().create(charge(), means))
    assert isinstance(outcome, Captured)
    return replace(charge(), provider_reference=outcome.provider_reference)


def refund(shop: Shop, of: Charge, key: str, amount: int, reference: str | None = None) -> object:
    money = Money(amount=amount, currency=of.amount.currency)
    return now(shop.provider().refund(of, key, money, reference))


def test_card_is_charged_once_however_often_it_is_asked_for(shop: Shop) -> None:
    first = now(shop.provider().create(charge(), VISA))
    assert now(shop.provider().create(charge(), VISA)) == first
    assert now(shop.provider().look_up(charge())) == first
    assert shop.book() == [("pay_1", "captured", 0, 1)]


def test_declined_card_stays_declined(shop: Shop) -> None:
    outcome = now(shop.provider().create(charge(), DECLINED))
    assert isinstance(outcome, Declined)
    assert outcome.failure.code == "generic_decline"
    assert now(shop.provider().create(charge(), VISA)) == outcome
    assert now(shop.provider().look_up(charge())) == outcome
    assert shop.book() == [("pay_1", "declined", 0, 0)]


def test_unknown_token_is_declined_without_being_repeated_in_words(shop: Shop) -> None:
    outcome = now(shop.provider().create(charge(), Means(token="pm_4242424242424242")))
    assert isinstance(outcome, Declined)
    assert outcome.failure.code == "resource_missing"
    assert "4242" not in repr(outcome)
    assert now(shop.provider().look_up(charge())) is None


def test_missing_token_and_other_methods_are_invalid_before_stripe_is_asked(shop: Shop) -> None:
    for wanted, means in ((charge(), Means()), (replace(charge(), method="qris"), VISA)):
        with pytest.raises(Invalid) as refusal:
            now(shop.provider().create(wanted, means))
        assert refusal.value.code == "payment_details_invalid"
    assert shop.http.sent == []


def test_amount_below_the_smallest_is_declined(shop: Shop) -> None:
    outcome = now(shop.provider().create(charge(amount=0), VISA))
    assert isinstance(outcome, Declined)
    assert outcome.failure.code == "amount_too_small"
    assert now(shop.provider().cancel(charge(amount=0))) is None


def test_charge_is_found_after_its_answer_was_lost(shop: Shop) -> None:
    shop.control("next", fault="timeout_after_effect")
    with pytest.raises(ProviderError):
        now(shop.provider().create(charge(), VISA))
    assert isinstance(now(shop.provider().look_up(charge())), Captured)
    assert isinstance(now(shop.provider().create(charge(), VISA)), Captured)
    assert shop.book() == [("pay_1", "captured", 0, 1)]


def test_charge_that_broke_down_before_its_effect_can_be_made_again(shop: Shop) -> None:
    shop.control("next", fault="error_500")
    with pytest.raises(ProviderError):
        now(shop.provider().create(charge(), VISA))
    assert now(shop.provider().look_up(charge())) is None
    assert isinstance(now(shop.provider().create(charge(), VISA)), Captured)
    assert shop.book() == [("pay_1", "captured", 0, 1)]


def test_charge_is_found_and_not_repeated_when_its_keys_have_ended(shop: Shop) -> None:
    shop.control("next", fault="timeout_after_effect")
    with pytest.raises(ProviderError):
        now(shop.provider().create(charge(), VISA))
    shop.clock.now += timedelta(hours=25)
    assert isinstance(now(shop.provider().look_up(charge())), Captured)
    assert isinstance(now(shop.provider().create(charge(), VISA)), Captured)
    assert shop.book() == [("pay_1", "captured", 0, 1)]


def test_expired_charge_is_not_begun(shop: Shop) -> None:
    shop.clock.now += timedelta(minutes=15)
    assert now(shop.provider().create(charge(), VISA)) == Expired()
    assert shop.book() == []


def test_authentication_waits_with_a_link_until_it_is_done(shop: Shop) -> None:
    outcome = now(shop.provider().create(charge(), AUTHENTICATE))
    assert isinstance(outcome, Waiting)
    assert outcome.instructions.type == "redirect"
    assert str(outcome.instructions.redirect_url).startswith("https://hooks.stripe.com/")
    assert outcome.instructions.expires_at == "2026-11-21T08:45:00.000Z"
    assert now(shop.provider().create(charge(), AUTHENTICATE)) == outcome
    shop.control("pay", reference="pay_1")
    assert now(shop.provider().look_up(charge())) == Captured(outcome.provider_reference)


def test_webhook_may_come_before_the_answer(shop: Shop) -> None:
    shop.control("next", fault="paid_before_answer")
    assert isinstance(now(shop.provider().create(charge(), AUTHENTICATE)), Waiting)
    assert now(shop.provider().read_webhook(shop.inbox.webhooks[0])).reference == "pay_1"
    assert isinstance(now(shop.provider().look_up(charge())), Captured)


def test_failed_authentication_is_a_decline(shop: Shop) -> None:
    now(shop.provider().create(charge(), AUTHENTICATE))
    shop.control("fail", reference="pay_1")
    outcome = now(shop.provider().look_up(charge()))
    assert isinstance(outcome, Declined)
    assert outcome.failure.code == "payment_intent_authentication_failure"


def test_authentication_without_a_way_back_declines_and_ends_the_charge(shop: Shop) -> None:
    outcome = now(shop.provider(return_url=None).create(charge(), AUTHENTICATE))
    assert isinstance(outcome, Declined)
    assert outcome.failure.code == "authentication_required"
    assert shop.book() == [("pay_1", "cancelled", 0, 0)]


def test_charge_that_waited_too_long_is_ended_by_the_look_up(shop: Shop) -> None:
    now(shop.provider().create(charge(), AUTHENTICATE))
    shop.clock.now += timedelta(minutes=15)
    assert now(shop.provider().look_up(charge())) == Expired()
    assert now(shop.provider().look_up(charge())) == Expired()
    assert shop.book() == [("pay_1", "cancelled", 0, 0)]


def test_charge_that_stripe_ended_is_expired(shop: Shop) -> None:
    now(shop.provider().create(charge(), AUTHENTICATE))
    shop.control("expire", reference="pay_1")
    assert now(shop.provider().look_up(charge())) == Expired()


def test_cancelled_charge_cannot_be_made_any_more(shop: Shop) -> None:
    assert now(shop.provider().cancel(charge())) == Voided()
    assert now(shop.provider().create(charge(), VISA)) == Voided()
    assert now(shop.provider().look_up(charge())) == Voided()
    assert shop.book() == []


def test_cancelling_ends_a_charge_that_waits(shop: Shop) -> None:
    waiting = now(shop.provider().create(charge(), AUTHENTICATE))
    assert isinstance(waiting, Waiting)
    known = replace(charge(), provider_reference=waiting.provider_reference)
    assert now(shop.provider().cancel(known)) == Voided()
    assert now(shop.provider().cancel(known)) == Voided()
    assert shop.book() == [("pay_1", "cancelled", 0, 0)]


def test_cancelling_answers_what_came_first(shop: Shop) -> None:
    known = paid(shop)
    assert isinstance(now(shop.provider().cancel(known)), Captured)
    declined = charge(reference="pay_2")
    outcome = now(shop.provider().create(declined, DECLINED))
    assert now(shop.provider().cancel(declined)) == outcome


def test_another_amount_under_the_same_reference_is_no_clear_answer(shop: Shop) -> None:
    known = paid(shop)
    with pytest.raises(ProviderError):
        now(shop.provider().look_up(replace(known, amount=Money(amount=12_51, currency="USD"))))


def test_whole_refund_is_made_once_for_its_key(shop: Shop) -> None:
    known = paid(shop)
    done = refund(shop, known, "r1", 12_50)
    assert isinstance(done, RefundDone)
    assert refund(shop, known, "r1", 12_50) == done
    assert refund(shop, known, "r1", 12_50, done.provider_reference) == done
    shop.clock.now += timedelta(days=40)
    assert refund(shop, known, "r1", 12_50) == done
    assert shop.book() == [("pay_1", "captured", 12_50, 1)]


def test_equal_partial_refunds_with_different_keys_are_two(shop: Shop) -> None:
    known = paid(shop)
    assert refund(shop, known, "r1", 5_00) != refund(shop, known, "r2", 5_00)
    assert isinstance(refund(shop, known, "r3", 5_00), RefundImpossible)
    assert shop.book() == [("pay_1", "captured", 10_00, 1)]


def test_refund_is_found_beyond_the_first_page(shop: Shop) -> None:
    known = paid(shop)
    first = refund(shop, known, "first", 1)
    for number in range(100):
        refund(shop, known, f"r{number}", 1)
    shop.clock.now += timedelta(days=2)
    assert refund(shop, known, "first", 1) == first
    assert shop.book() == [("pay_1", "captured", 101, 1)]


def test_refund_is_found_after_its_answer_was_lost(shop: Shop) -> None:
    known = paid(shop)
    shop.control("next", fault="timeout_after_effect", kind="refund")
    with pytest.raises(ProviderError):
        refund(shop, known, "r1", 5_00)
    assert isinstance(refund(shop, known, "r1", 5_00), RefundDone)
    assert shop.book() == [("pay_1", "captured", 5_00, 1)]


def test_refund_on_its_way_is_pending_until_stripe_has_made_it(shop: Shop) -> None:
    known = paid(shop, Means(token="pm_card_pendingRefund"))
    pending = refund(shop, known, "r1", 5_00)
    assert isinstance(pending, RefundPending)
    assert refund(shop, known, "r1", 5_00, pending.provider_reference) == RefundDone(pending.provider_reference)


def test_failed_refund_has_to_be_made_by_hand(shop: Shop) -> None:
    known = paid(shop)
    shop.control("next", fault="decline", kind="refund")
    assert isinstance(refund(shop, known, "r1", 5_00), RefundImpossible)


def test_refund_of_a_fraction_that_stripe_does_not_take_has_to_be_made_by_hand(shop: Shop) -> None:
    known = paid(shop)
    sent = len(shop.http.sent)
    dinars = replace(known, amount=Money(amount=12_500, currency="KWD"))
    assert isinstance(refund(shop, dinars, "r1", 5_001), RefundImpossible)
    assert [method for method, _ in shop.http.sent[sent:]] == ["GET"]


@pytest.mark.parametrize("webhook", ["once", "twice"])
def test_signed_webhook_tells_which_charge(shop: Shop, webhook: str) -> None:
    now(shop.provider().create(charge(), AUTHENTICATE))
    shop.control("pay", reference="pay_1", webhook=webhook)
    notices = [now(shop.provider().read_webhook(each)) for each in shop.inbox.webhooks]
    assert {notice.reference for notice in notices} == {"pay_1"}
    assert len({notice.event_id for notice in notices}) == 1
    assert str(notices[0].provider_reference).startswith("pi_")
    assert not notices[0].disputed


def test_webhook_of_a_refund_tells_which_refund(shop: Shop) -> None:
    done = refund(shop, paid(shop), "r1", 5_00)
    assert isinstance(done, RefundDone)
    notices = [now(shop.provider().read_webhook(each)) for each in shop.inbox.wait_for(2)]
    assert {notice.refund_reference for notice in notices} == {None, done.provider_reference}
    assert {notice.reference for notice in notices} == {"pay_1"}


@pytest.mark.parametrize("proof", ["wrong", "missing"])
def test_webhook_that_is_not_signed_is_refused(shop: Shop, proof: str) -> None:
    now(shop.provider().create(charge(), AUTHENTICATE))
    shop.control("pay", reference="pay_1", proof=proof)
    with pytest.raises(WebhookRefused):
        now(shop.provider().read_webhook(shop.inbox.webhooks[0]))


def test_wrong_key_is_no_clear_answer_and_no_secret_is_told(shop: Shop) -> None:
    provider = shop.provider(secret_key="sk_live_do_not_tell")
    with pytest.raises(ProviderError) as refusal:
        now(provider.create(charge(), Means(token="pm_do_not_tell")))
    assert "do_not_tell" not in f"{refusal.value!r} {refusal.value.details} {refusal.value.__cause__!r}"
    settings = settings_from({"STRIPE_SECRET_KEY": "sk_x", "STRIPE_WEBHOOK_SECRET": "whsec_x"}.get)
    assert settings is not None
    assert settings.base_url == "https://api.stripe.com"
    assert not {"sk_x", "whsec_x"} & set(repr(settings).split("'"))


@pytest.mark.parametrize("missing", ["STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"])
def test_without_a_secret_there_are_no_settings(missing: str) -> None:
    secrets = {"STRIPE_SECRET_KEY": "sk_x", "STRIPE_WEBHOOK_SECRET": "whsec_x", missing: ""}
    assert settings_from(secrets.get) is None


@pytest.mark.parametrize(
    ("amount", "currency", "sent"),
    [(12_50, "USD", 1250), (500, "JPY", 500), (5, "UGX", 500), (5_120, "KWD", 5120), (125_000_00, "IDR", 12500000)],
)
def test_amounts_are_sent_in_stripes_units(amount: int, currency: str, sent: int) -> None:
    assert stripe_amount(Money(amount=amount, currency=currency)) == sent


@given(st.sampled_from(sorted(EXPONENTS)), st.integers(min_value=1, max_value=10**11))
def test_amount_is_the_same_in_stripes_units_or_refused(currency: str, amount: int) -> None:
    money = Money(amount=amount, currency=currency)
    units_per_whole = {"JPY": 1, "KRW": 1, "VND": 1, "KWD": 1000}.get(currency, 100)
    try:
        sent = stripe_amount(money)
    except DomainError:
        assert currency == "KWD"
        assert amount % 10
    else:
        assert Decimal(sent) / units_per_whole == Decimal(amount) / 10 ** EXPONENTS[currency]


@pytest.mark.parametrize(("amount", "currency"), [(5, "UGX"), (500, "JPY"), (5_120, "KWD"), (99_99, "EUR")])
def test_books_of_both_sides_agree_in_every_exponent(shop: Shop, amount: int, currency: str) -> None:
    outcome = now(shop.provider().create(charge(amount, currency), VISA))
    assert isinstance(outcome, Captured)
    known = replace(charge(amount, currency), provider_reference=outcome.provider_reference)
    assert isinstance(refund(shop, known, "r1", amount), RefundDone)
    (entry,) = shop.running.providers.simulators["stripe"].entries.values()
    assert (entry.amount_minor, entry.currency, entry.refunded_minor) == (amount, currency, amount)
