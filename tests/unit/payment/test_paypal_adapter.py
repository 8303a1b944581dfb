"""The PayPal adapter against the simulator."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from pydantic import JsonValue

from payment.application.ports import ProviderError, Webhook, WebhookRefused
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
from payment.infrastructure.paypal import PayPalProvider, PayPalSettings, settings_from
from payment.infrastructure.paypal_api import Tokens
from shared_kernel.errors import Invalid
from shared_kernel.money import Money
from tests.providers.http import HttpxHttp
from tests.providers.inbox import Inbox, taking_in
from tests.providers.server import Running, serving
from tests.providers.simulator import Entry

START = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
T = TypeVar("T")


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Shop:
    """The adapter, the simulator it speaks with, and the time of both."""

    running: Running
    inbox: Inbox
    clock: Clock
    http: HttpxHttp = field(default_factory=HttpxHttp)
    tokens: Tokens = field(default_factory=Tokens)

    def provider(self, client_secret: str = "paypal-secret-local") -> PayPalProvider:
        settings = PayPalSettings(
            self.running.url("paypal"),
            "paypal-client-local",
            client_secret,
            "paypal-webhook-local",
            "https://shop.example",
        )
        return PayPalProvider(self.http, settings, self.clock, self.tokens)

    def control(self, command: str, **options: JsonValue) -> JsonValue:
        return self.running.control("paypal", command, **options)

    def entries(self) -> list[Entry]:
        return list(self.running.providers.simulators["paypal"].entries.values())

    def book(self) -> list[tuple[str, int, int]]:
        """Status, what was refunded, and how often the money was taken, of each order."""
        return [(entry.status, entry.refunded_minor, entry.times_charged) for entry in self.entries()]

    def asked_for_tokens(self) -> int:
        return sum(url.endswith("/v1/oauth2/token") for _, url in self.http.sent)


@pytest.fixture
def shop() -> Iterator[Shop]:
    clock = Clock()
    with taking_in() as inbox, serving(notify=inbox.address, clock=clock) as running:
        yield Shop(running, inbox, clock)


def charge(amount: int = 12_50, currency: str = "USD") -> Charge:
    money = Money(amount=amount, currency=currency)
    return Charge("key-1", "pay_1", money, "paypal", START + timedelta(minutes=15))


def now(work: Coroutine[object, None, T]) -> T:
    return asyncio.run(work)


def waiting(shop: Shop, of: Charge | None = None) -> Charge:
    """A charge whose order waits for its approval, as it is known then."""
    outcome = now(shop.provider().create(of or charge(), Means()))
    assert isinstance(outcome, Waiting)
    return replace(of or charge(), provider_reference=outcome.provider_reference)


def paid(shop: Shop, of: Charge | None = None) -> Charge:
    """A charge that was captured, as it is known afterwards."""
    known = waiting(shop, of)
    shop.control("pay", reference="pay_1", webhook="never")
    outcome = now(shop.provider().look_up(known))
    assert isinstance(outcome, Captured)
    return replace(known, provider_reference=outcome.provider_reference)


def refund(shop: Shop, of: Charge, key: str, amount: int, reference: str | None = None) -> object:
    return now(shop.provider().refund(of, key, Money(amount=amount, currency=of.amount.currency), reference))


def test_order_waits_for_its_approval_at_paypal(shop: Shop) -> None:
    outcome = now(shop.provider().create(charge(), Means()))
    assert isinstance(outcome, Waiting)
    assert outcome.instructions.type == "redirect"
    assert str(outcome.instructions.redirect_url).startswith("https://www.paypal.com/checkoutnow?token=")
    assert outcome.instructions.expires_at == "2026-11-21T08:45:00.000Z"
    assert now(shop.provider().look_up(replace(charge(), provider_reference=outcome.provider_reference))) == outcome


def test_order_is_made_once_however_often_it_is_asked_for(shop: Shop) -> None:
    first = now(shop.provider().create(charge(), Means()))
    assert now(shop.provider().create(charge(), Means())) == first
    assert now(shop.provider().look_up(charge())) == first
    assert len(shop.entries()) == 1


def test_approved_order_is_captured_once_by_the_look_up(shop: Shop) -> None:
    known = paid(shop)
    assert now(shop.provider().look_up(known)) == Captured(str(known.provider_reference))
    order_only = replace(known, provider_reference=str(known.provider_reference).partition(".")[0])
    assert now(shop.provider().look_up(order_only)) == Captured(str(known.provider_reference))
    assert shop.book() == [("captured", 0, 1)]


def test_nothing_is_captured_before_the_order_is_in_our_books(shop: Shop) -> None:
    known = waiting(shop)
    shop.control("pay", reference="pay_1", webhook="never")
    assert isinstance(now(shop.provider().look_up(charge())), Waiting)
    assert shop.book() == [("waiting", 0, 0)]
    assert isinstance(now(shop.provider().look_up(known)), Captured)


def test_order_is_found_after_its_answer_was_lost(shop: Shop) -> None:
    shop.control("next", fault="timeout_after_effect")
    with pytest.raises(ProviderError):
        now(shop.provider().create(charge(), Means()))
    found = now(shop.provider().look_up(charge()))
    assert isinstance(found, Waiting)
    assert [entry.provider_reference for entry in shop.entries()] == [found.provider_reference]


def test_webhook_may_come_before_the_answer(shop: Shop) -> None:
    shop.control("next", fault="paid_before_answer")
    known = waiting(shop)
    assert now(shop.provider().read_webhook(shop.inbox.webhooks[0])).reference == "pay_1"
    assert isinstance(now(shop.provider().look_up(known)), Captured)


def test_capture_is_found_after_its_answer_was_lost(shop: Shop) -> None:
    known = waiting(shop)
    shop.control("pay", reference="pay_1", webhook="never")
    shop.control("next", fault="timeout_after_effect")
    with pytest.raises(ProviderError):
        now(shop.provider().look_up(known))
    assert isinstance(now(shop.provider().look_up(known)), Captured)
    assert shop.book() == [("captured", 0, 1)]


def test_order_that_broke_down_before_its_effect_can_be_made_again(shop: Shop) -> None:
    shop.control("next", fault="error_500")
    with pytest.raises(ProviderError):
        now(shop.provider().create(charge(), Means()))
    assert isinstance(now(shop.provider().create(charge(), Means())), Waiting)
    assert len(shop.entries()) == 1


def test_refused_funding_is_a_decline_for_good(shop: Shop) -> None:
    known = waiting(shop)
    shop.control("fail", reference="pay_1")
    outcome = now(shop.provider().look_up(known))
    assert isinstance(outcome, Declined)
    assert outcome.failure.code == "INSTRUMENT_DECLINED"
    shop.entries()[0].details.pop("refused")
    assert now(shop.provider().look_up(known)) == outcome
    assert now(shop.provider().cancel(known)) == outcome
    assert [entry.times_charged for entry in shop.entries()] == [0]


def test_declined_capture_is_a_decline(shop: Shop) -> None:
    known = waiting(shop)
    shop.control("pay", reference="pay_1", webhook="never")
    shop.control("next", fault="decline")
    outcome = now(shop.provider().look_up(known))
    assert isinstance(outcome, Declined)
    assert now(shop.provider().look_up(known)) == outcome


def test_expired_charge_is_not_captured_though_it_was_approved(shop: Shop) -> None:
    known = waiting(shop)
    shop.control("pay", reference="pay_1", webhook="never")
    shop.clock.now += timedelta(minutes=15)
    assert now(shop.provider().look_up(known)) == Expired()
    assert shop.book() == [("waiting", 0, 0)]


def test_expired_charge_is_not_begun(shop: Shop) -> None:
    shop.clock.now += timedelta(minutes=15)
    assert now(shop.provider().create(charge(), Means())) == Expired()
    assert now(shop.provider().look_up(charge())) == Expired()
    assert shop.entries() == []


def test_order_that_paypal_has_dropped_is_expired(shop: Shop) -> None:
    known = waiting(shop)
    shop.control("expire", reference="pay_1")
    assert now(shop.provider().look_up(known)) == Expired()
    assert now(shop.provider().cancel(known)) == Expired()


def test_cancelled_order_is_never_captured(shop: Shop) -> None:
    known = waiting(shop)
    assert now(shop.provider().cancel(known)) == Voided()
    shop.control("pay", reference="pay_1", webhook="never")
    assert now(shop.provider().look_up(known)) == Voided()
    assert now(shop.provider().cancel(known)) == Voided()
    assert now(shop.provider().create(charge(), Means())) == Voided()
    assert shop.book() == [("waiting", 0, 0)]


def test_cancelling_before_the_order_is_made_meets_the_late_request(shop: Shop) -> None:
    assert now(shop.provider().cancel(charge())) == Voided()
    assert now(shop.provider().create(charge(), Means())) == Voided()


def test_cancelling_a_captured_charge_tells_that_it_was_captured(shop: Shop) -> None:
    known = paid(shop)
    assert now(shop.provider().cancel(known)) == Captured(str(known.provider_reference))


def test_other_methods_and_currencies_are_invalid_before_paypal_is_asked(shop: Shop) -> None:
    for wanted in (replace(charge(), method="card"), charge(currency="IDR"), charge(currency="KWD")):
        with pytest.raises(Invalid) as refusal:
            now(shop.provider().create(wanted, Means()))
        assert refusal.value.code == "payment_details_invalid"
    assert shop.http.sent == []


def test_amount_that_paypal_refuses_is_declined(shop: Shop) -> None:
    outcome = now(shop.provider().create(charge(amount=0), Means()))
    assert isinstance(outcome, Declined)
    assert outcome.failure.code == "CANNOT_BE_ZERO_OR_NEGATIVE"
    assert now(shop.provider().look_up(charge(amount=0))) is None


def test_another_amount_under_the_same_reference_is_no_clear_answer(shop: Shop) -> None:
    known = paid(shop)
    with pytest.raises(ProviderError):
        now(shop.provider().look_up(replace(known, amount=Money(amount=12_51, currency="USD"))))


def test_token_is_asked_for_once_until_it_ends(shop: Shop) -> None:
    known = waiting(shop)
    now(shop.provider().look_up(known))
    assert shop.asked_for_tokens() == 1
    shop.clock.now += timedelta(seconds=32400 - 60)
    now(shop.provider().look_up(known))
    assert shop.asked_for_tokens() == 2


def test_token_that_was_taken_back_is_replaced(shop: Shop) -> None:
    known = waiting(shop)
    shop.tokens.current = "taken-back"
    assert isinstance(now(shop.provider().look_up(known)), Waiting)
    assert shop.asked_for_tokens() == 2


def test_wrong_secret_is_no_clear_answer_and_no_secret_is_told(shop: Shop) -> None:
    with pytest.raises(ProviderError) as refusal:
        now(shop.provider("do-not-tell").create(charge(), Means()))
    assert "do-not-tell" not in f"{refusal.value!r} {refusal.value.details} {refusal.value.__cause__!r}"
    assert "do-not-tell" not in repr(PayPalSettings("https://x", "client", "do-not-tell", "do-not-tell", "https://y"))


@pytest.mark.parametrize("missing", ["PAYPAL_CLIENT_ID", "PAYPAL_CLIENT_SECRET", "PAYPAL_WEBHOOK_ID", "PUBLIC_URL"])
def test_without_a_secret_there_are_no_settings(missing: str) -> None:
    given_settings = dict.fromkeys(("PAYPAL_CLIENT_ID", "PAYPAL_CLIENT_SECRET", "PAYPAL_WEBHOOK_ID"), "x")
    given_settings["PUBLIC_URL"] = "https://shop.example"
    assert settings_from(given_settings.get) is not None
    assert settings_from({**given_settings, missing: ""}.get) is None


def test_whole_refund_is_made_once_for_its_key(shop: Shop) -> None:
    known = paid(shop)
    done = refund(shop, known, "r1", 12_50)
    assert isinstance(done, RefundDone)
    assert refund(shop, known, "r1", 12_50) == done
    assert refund(shop, known, "r1", 12_50, done.provider_reference) == done
    shop.clock.now += timedelta(days=60)
    assert refund(shop, known, "r1", 12_50) == done
    assert shop.book() == [("captured", 12_50, 1)]
    assert isinstance(now(shop.provider().look_up(known)), Captured)


def test_equal_partial_refunds_with_different_keys_are_two(shop: Shop) -> None:
    known = paid(shop)
    order_only = replace(known, provider_reference=str(known.provider_reference).partition(".")[0])
    assert refund(shop, known, "r1", 5_00) != refund(shop, order_only, "r2", 5_00)
    assert isinstance(refund(shop, known, "r3", 5_00), RefundImpossible)
    assert shop.book() == [("captured", 10_00, 1)]


def test_refund_is_found_after_its_answer_was_lost(shop: Shop) -> None:
    known = paid(shop)
    shop.control("next", fault="timeout_after_effect", kind="refund")
    with pytest.raises(ProviderError):
        refund(shop, known, "r1", 5_00)
    assert isinstance(refund(shop, known, "r1", 5_00), RefundDone)
    assert shop.book() == [("captured", 5_00, 1)]


def test_refund_on_its_way_is_pending_until_paypal_has_made_it(shop: Shop) -> None:
    known = paid(shop)
    shop.entries()[0].details["slow_refunds"] = True
    pending = refund(shop, known, "r1", 5_00)
    assert isinstance(pending, RefundPending)
    assert refund(shop, known, "r1", 5_00, pending.provider_reference) == pending
    assert refund(shop, known, "r1", 5_00, pending.provider_reference) == RefundDone(pending.provider_reference)


def test_failed_refund_has_to_be_made_by_hand(shop: Shop) -> None:
    known = paid(shop)
    shop.control("next", fault="decline", kind="refund")
    assert isinstance(refund(shop, known, "r1", 5_00), RefundImpossible)


@pytest.mark.parametrize("webhook", ["once", "twice"])
def test_webhook_that_paypal_confirms_tells_which_charge(shop: Shop, webhook: str) -> None:
    known = waiting(shop)
    shop.control("pay", reference="pay_1", webhook=webhook)
    notices = [now(shop.provider().read_webhook(each)) for each in shop.inbox.webhooks]
    assert len({notice.event_id for notice in notices}) == 1
    assert (notices[0].reference, notices[0].provider_reference) == ("pay_1", known.provider_reference)
    assert not notices[0].disputed


def test_webhooks_of_capture_and_refund_tell_which_charge(shop: Shop) -> None:
    done = refund(shop, paid(shop), "r1", 5_00)
    assert isinstance(done, RefundDone)
    notices = [now(shop.provider().read_webhook(each)) for each in shop.inbox.wait_for(2)]
    assert {notice.reference for notice in notices} == {"pay_1"}
    assert {notice.refund_reference for notice in notices} == {None, done.provider_reference}


@pytest.mark.parametrize("proof", ["wrong", "missing"])
def test_webhook_that_paypal_does_not_confirm_is_refused(shop: Shop, proof: str) -> None:
    waiting(shop)
    shop.control("pay", reference="pay_1", proof=proof)
    with pytest.raises(WebhookRefused):
        now(shop.provider().read_webhook(shop.inbox.webhooks[0]))


@pytest.mark.parametrize("body", ["", "[]", '{"id": "WH-1"}', '{"id": "WH-1", "event_type": "x"}, "webhook_id": "y"'])
def test_nonsense_is_refused_before_paypal_is_asked(shop: Shop, body: str) -> None:
    waiting(shop)
    shop.control("pay", reference="pay_1")
    sent = len(shop.http.sent)
    with pytest.raises(WebhookRefused):
        now(shop.provider().read_webhook(replace(shop.inbox.webhooks[0], body=body)))
    assert len(shop.http.sent) == sent


def test_changed_webhook_is_refused(shop: Shop) -> None:
    waiting(shop)
    shop.control("pay", reference="pay_1")
    webhook: Webhook = shop.inbox.webhooks[0]
    with pytest.raises(WebhookRefused):
        now(shop.provider().read_webhook(replace(webhook, body=webhook.body.replace("pay_1", "pay_2"))))


@pytest.mark.parametrize(("amount", "currency"), [(500, "JPY"), (99_99, "EUR"), (1, "SGD")])
def test_books_of_both_sides_agree_in_every_exponent(shop: Shop, amount: int, currency: str) -> None:
    known = paid(shop, charge(amount, currency))
    assert isinstance(refund(shop, known, "r1", amount), RefundDone)
    (entry,) = shop.entries()
    assert (entry.amount_minor, entry.currency, entry.refunded_minor) == (amount, currency, amount)
