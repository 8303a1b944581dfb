"""What the adapters make of disputes and of refunds that fail afterwards, each against its simulator."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from payment.application.ports import HttpAnswer, PaymentProvider, ProviderError, TellsDisputes
from payment.domain.charge import (
    Captured,
    Charge,
    Chargeback,
    Disputes,
    Means,
    Outcome,
    RefundDone,
    RefundImpossible,
    RefundPending,
)
from payment.infrastructure.midtrans import MidtransProvider, MidtransSettings
from payment.infrastructure.paypal import PayPalProvider, PayPalSettings
from payment.infrastructure.paypal_api import Amount, PayPalApi, Tokens, paypal_amount
from payment.infrastructure.paypal_api import money_of as of_paypal
from payment.infrastructure.paypal_disputes import look_up as look_up_paypal
from payment.infrastructure.stripe import StripeProvider, StripeSettings
from payment.infrastructure.stripe_api import StripeApi, stripe_amount
from payment.infrastructure.stripe_api import money_of as of_stripe
from payment.infrastructure.stripe_disputes import look_up as look_up_stripe
from payment.infrastructure.xendit import XenditProvider, XenditSettings
from shared_kernel.contracts.payment import Method
from shared_kernel.errors import Invalid
from shared_kernel.money import EXPONENTS, Money
from tests.providers.http import HttpxHttp
from tests.providers.inbox import Inbox, taking_in
from tests.providers.midtrans import SERVER_KEY
from tests.providers.server import Running, serving
from tests.providers.xendit import CALLBACK_TOKEN, SECRET_KEY

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
HERE = "https://shop.example"
NOTHING = Means()
T = TypeVar("T")


def run(work: Coroutine[object, object, T]) -> T:
    return asyncio.run(work)


@dataclass(frozen=True)
class Side:
    """A provider, and how its customer pays."""

    name: str
    make: Callable[[str], PaymentProvider]
    method: Method
    currency: str
    means: Means = NOTHING
    waits: bool = True
    told_when_paid: int = 1
    told_when_refunded: int = 1
    """How many webhooks tell of it, of which some come when they will."""


STRIPE = Side(
    "stripe",
    lambda url: StripeProvider(
        HttpxHttp(), StripeSettings(url, "sk_test_local", "whsec_local", HERE), lambda: NOW
    ),
    "card", "USD", Means(token="pm_card_visa"), waits=False,
)  # fmt: skip
PAYPAL = Side(
    "paypal",
    lambda url: PayPalProvider(
        HttpxHttp(),
        PayPalSettings(url, "paypal-client-local", "paypal-secret-local", "paypal-webhook-local", HERE),
        lambda: NOW,
    ),
    "paypal", "USD", told_when_paid=2,
)  # fmt: skip
XENDIT = Side(
    "xendit",
    lambda url: XenditProvider(HttpxHttp(), XenditSettings(url, HERE, SECRET_KEY, CALLBACK_TOKEN)),
    "ewallet", "IDR", told_when_refunded=0,
)  # fmt: skip
MIDTRANS = Side(
    "midtrans",
    lambda url: MidtransProvider(HttpxHttp(), MidtransSettings(url, SERVER_KEY, HERE), lambda: NOW),
    "qris", "IDR",
)  # fmt: skip


@dataclass
class Paid:
    """A charge that was captured, the provider, and what it tells."""

    running: Running
    inbox: Inbox
    side: Side
    provider: PaymentProvider
    charge: Charge

    def control(self, command: str, **options: JsonValue) -> JsonValue:
        return self.running.control(self.side.name, command, reference="pay_1", **options)

    def disputes(self) -> Disputes | None:
        assert isinstance(self.provider, TellsDisputes)
        return run(self.provider.disputes(self.charge))

    def lost(self) -> Chargeback:
        """The one dispute that was lost."""
        stand = self.disputes()
        assert stand is not None
        (lost,) = stand.lost
        return lost

    def refund(self, key: str, amount_minor: int, reference: str | None = None) -> object:
        money = Money(amount=amount_minor, currency=self.side.currency)
        return run(self.provider.refund(self.charge, key, money, reference))


@contextlib.contextmanager
def paid(side: Side) -> Iterator[Paid]:
    """Such a charge of a hundred units, at a provider of its own."""
    with taking_in() as inbox, serving(notify=inbox.address, clock=lambda: NOW) as running:
        provider = side.make(running.url(side.name))
        money = Money(amount=100_00, currency=side.currency)
        charge = Charge("key-1", "pay_1", money, side.method, NOW + timedelta(minutes=15))
        made: Outcome | None = run(provider.create(charge, side.means))
        if side.waits:
            charge = replace(charge, provider_reference=getattr(made, "provider_reference", None))
            running.control(side.name, "pay", reference="pay_1")
            made = run(provider.look_up(charge))
        assert isinstance(made, Captured)
        inbox.wait_for(side.told_when_paid)
        yield Paid(running, inbox, side, provider, replace(charge, provider_reference=made.provider_reference))


both = pytest.mark.parametrize("side", [STRIPE, PAYPAL], ids=lambda side: side.name)


@both
def test_dispute_is_told_and_asked_about_until_it_ends(side: Side) -> None:
    with paid(side) as one:
        assert one.disputes() is None
        for status, expected in (("inquiry", False), ("open", True), ("won", False)):
            seen = len(one.inbox.webhooks)
            one.control("dispute", status=status)
            notice = run(one.provider.read_webhook(one.inbox.wait_for(seen + 1)[-1]))
            assert notice.disputed
            assert notice.reference == "pay_1" or notice.provider_reference == one.charge.provider_reference
            assert one.disputes() == Disputes(expected)


@both
def test_dispute_that_is_lost_names_its_amount(side: Side) -> None:
    with paid(side) as one:
        assert isinstance(one.refund("ref_1", 30_00), RefundDone)
        one.control("dispute", status="lost", amount_minor=55_00)
        lost = one.lost()
        assert (lost.amount, bool(lost.provider_reference)) == (Money(amount=55_00, currency="USD"), True)
        assert one.disputes() == Disputes(False, (lost,))


@both
def test_refund_during_a_dispute_is_to_be_tried_again(side: Side) -> None:
    with paid(side) as one:
        one.control("dispute")
        with pytest.raises(ProviderError):
            one.refund("ref_1", 30_00)
        one.control("dispute", status="won")
        assert isinstance(one.refund("ref_1", 30_00), RefundDone)


def test_rest_of_a_charge_that_was_charged_back_cannot_be_refunded_at_stripe() -> None:
    with paid(STRIPE) as one:
        one.control("dispute", status="lost", amount_minor=30_00)
        refused = one.refund("ref_1", 70_00)
        assert isinstance(refused, RefundImpossible)
        assert "charge_disputed" in refused.reason


def test_chargeback_at_midtrans_has_taken_what_was_left() -> None:
    with paid(MIDTRANS) as one:
        assert isinstance(one.refund("ref_1", 30_00), RefundDone)
        one.control("dispute")
        assert one.disputes() == Disputes(False)
        one.control("dispute", status="lost")
        assert run(one.provider.read_webhook(one.inbox.webhooks[-1])).disputed
        lost = one.lost()
        assert (lost.provider_reference, lost.amount.amount) == (one.charge.provider_reference, 70_00)


def test_partial_chargeback_at_midtrans_stays_open_for_its_amount_is_not_told() -> None:
    with paid(MIDTRANS) as one:
        one.control("dispute", status="lost", amount_minor=40_00)
        assert one.disputes() == Disputes(True)


def test_settlement_that_was_reversed_at_midtrans_has_taken_all_of_it() -> None:
    with paid(MIDTRANS) as one:
        (entry,) = one.running.providers.simulators["midtrans"].entries.values()
        entry.status = "declined"
        one.control("webhook")
        assert run(one.provider.read_webhook(one.inbox.webhooks[-1])).disputed
        assert one.disputes() == Disputes(False, (Chargeback(entry.provider_reference, one.charge.amount),))


@pytest.mark.parametrize("side", [STRIPE, PAYPAL, XENDIT], ids=lambda side: side.name)
def test_refund_that_fails_after_it_was_made_is_told_and_seen(side: Side) -> None:
    with paid(side) as one:
        made = one.refund("ref_1", 30_00)
        assert isinstance(made, RefundDone | RefundPending)
        seen = len(one.inbox.wait_for(side.told_when_paid + side.told_when_refunded))
        one.control("fail_refund", webhook="twice")
        arrived = one.inbox.wait_for(seen + 2)
        notices = [run(one.provider.read_webhook(webhook)) for webhook in arrived[-2:]]
        assert notices[0] == notices[1]
        assert notices[0].refund_reference in (made.provider_reference, "ref_1")
        assert isinstance(one.refund("ref_1", 30_00, made.provider_reference), RefundImpossible)


class Saying:
    """A provider that answers so to whatever it is asked, by the end of the path."""

    def __init__(self, answers: Mapping[str, str], status_of_post: int = 200) -> None:
        self._answers = answers
        self._status_of_post = status_of_post

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None, timeout_seconds: float = 10
    ) -> HttpAnswer:
        text = next(answer for end, answer in self._answers.items() if end in url)
        return HttpAnswer(self._status_of_post if method == "POST" else 200, {}, text)


KNOWN = Charge("key-1", "pay_1", Money(amount=10_00, currency="USD"), "card", NOW, "pi_1.capture")


def _stripe(status: str, amount: int = 1000, currency: str = "usd", more: str = "false") -> Disputes | None:
    dispute = f'{{"id": "dp_1", "status": "{status}", "amount": {amount}, "currency": "{currency}"}}'
    http = Saying({"": f'{{"data": [{dispute}], "has_more": {more}}}'})
    return run(look_up_stripe(StripeApi(http, "https://stripe.example", "sk"), KNOWN))


def _paypal(outcome: str, amount: str = "10.00", currency: str = "USD", status: str = "RESOLVED") -> Disputes | None:
    refunded = f'{{"currency_code": "{currency}", "value": "{amount}"}}'
    dispute = f'{{"dispute_id": "PP-1", "status": "{status}", "dispute_outcome": {{"outcome_code": "{outcome}", '
    answers = {
        "token": '{"access_token": "t", "expires_in": 900}',
        "disputes?": '{"items": [{"dispute_id": "PP-1"}]}',
        "disputes/": dispute + f'"amount_refunded": {refunded}}}}}',
    }
    api = PayPalApi(Saying(answers), "https://paypal.example", "client", "secret", lambda: NOW, Tokens())
    return run(look_up_paypal(api, KNOWN))


@pytest.mark.parametrize(
    "ask",
    [
        lambda: _stripe("astonishing"),
        lambda: _stripe("lost", currency="eur"),
        lambda: _stripe("needs_response", more="true"),
        lambda: _paypal("ASTONISHING"),
        lambda: _paypal(""),
        lambda: _paypal("ACCEPTED", amount="much"),
        lambda: _paypal("ACCEPTED", amount="1.001"),
        lambda: _paypal("ACCEPTED", currency="IDR"),
    ],
)
def test_dispute_in_unknown_words_decides_nothing(ask: Callable[[], Disputes | None]) -> None:
    with pytest.raises(ProviderError):
        ask()


@pytest.mark.parametrize(
    "disputes",
    [
        *map(_stripe, ("won", "warning_closed", "prevented", "charge_refunded")),
        *map(_paypal, ("RESOLVED_SELLER_FAVOUR", "RESOLVED_WITH_PAYOUT", "CANCELED_BY_BUYER", "DENIED", "NONE")),
    ],
)
def test_dispute_that_took_nothing_is_neither_open_nor_lost(disputes: Disputes | None) -> None:
    assert disputes == Disputes(False)


def test_refund_that_is_refused_for_a_dispute_which_is_not_shown_yet_is_to_be_tried_again() -> None:
    nothing = '{"data": [], "has_more": false}'
    refusal = '{"error": {"type": "invalid_request_error", "code": "charge_disputed"}}'
    http = Saying({"refunds?": nothing, "disputes?": nothing, "refunds": refusal}, status_of_post=400)
    stripe = StripeProvider(http, StripeSettings("https://stripe.example", "sk", "whsec"), lambda: NOW)
    with pytest.raises(ProviderError):
        run(stripe.refund(KNOWN, "ref_1", KNOWN.amount, None))


@given(amount=st.integers(min_value=1, max_value=10**12), currency=st.sampled_from(sorted(EXPONENTS)))
def test_amounts_come_back_from_the_providers_as_they_went(amount: int, currency: str) -> None:
    money = Money(amount=amount, currency=currency)
    with contextlib.suppress(Invalid):
        assert of_stripe(stripe_amount(money), currency) == money
    with contextlib.suppress(Invalid):
        assert of_paypal(paypal_amount(money)) == money


def test_amount_with_more_decimals_than_its_currency_has_is_not_read() -> None:
    for value in ("1.001", "0.005"):
        with pytest.raises(Invalid):
            of_paypal(Amount(currency_code="USD", value=value))
