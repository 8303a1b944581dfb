"""A shop that takes money through M-Pesa: the adapter and the simulator of Daraja."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pydantic import JsonValue

from payment.application.ports import Notice
from payment.domain.charge import Charge, Means, Outcome, RefundOutcome, Waiting
from payment.infrastructure.mpesa import MpesaProvider, MpesaSettings, settings_from
from shared_kernel.money import Money
from tests.providers.http import HttpxHttp
from tests.providers.inbox import Inbox, taking_in
from tests.providers.mpesa import MpesaSimulator
from tests.providers.server import Running, serving

START = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
REFERENCE = "pay_01JBCDEFGHJKMNPQRSTVWXYZ01"
PHONE = Means(phone="+254708374149")
T = TypeVar("T")


def run(work: Coroutine[object, object, T]) -> T:
    return asyncio.run(work)


def kes(amount_minor: int) -> Money:
    return Money(amount=amount_minor, currency="KES")


CHARGE = Charge("key-1", REFERENCE, kes(120_000), "stk_push", START + timedelta(minutes=15))


@dataclass
class Shop:
    """The adapter, the simulator it speaks with, and the time of both."""

    running: Running
    inbox: Inbox
    now: datetime = START
    http: HttpxHttp = field(default_factory=HttpxHttp)

    def settings(self) -> MpesaSettings:
        given = {
            **MpesaSimulator.settings,
            "MPESA_URL": self.running.url("mpesa"),
            "PUBLIC_URL": "https://shop.example/",
        }
        settings = settings_from(given.get)
        assert settings is not None
        return settings

    def provider(self, settings: MpesaSettings | None = None) -> MpesaProvider:
        return MpesaProvider(self.http, settings or self.settings(), lambda: self.now)

    def create(self, means: Means = PHONE) -> Outcome:
        return run(self.provider().create(CHARGE, means))

    def pushed(self) -> Charge:
        outcome = self.create()
        assert isinstance(outcome, Waiting)
        return replace(CHARGE, provider_reference=outcome.provider_reference)

    def paid(self) -> Charge:
        """A charge that was paid, as it is known after its callback."""
        charge = self.pushed()
        self.control("pay", reference=REFERENCE)
        return replace(charge, provider_reference=self.notice(1).provider_reference)

    def look_up(self, charge: Charge) -> Outcome | None:
        return run(self.provider().look_up(charge))

    def refund(self, charge: Charge, known: str | None = None, amount: Money = CHARGE.amount) -> RefundOutcome:
        return run(self.provider().refund(charge, "rfd_1", amount, known))

    def notice(self, count: int) -> Notice:
        """The last one of this many webhooks."""
        return run(self.provider().read_webhook(self.inbox.wait_for(count)[-1]))

    def control(self, command: str, **options: JsonValue) -> JsonValue:
        return self.running.control("mpesa", command, **options)

    def book(self) -> list[tuple[JsonValue, ...]]:
        """Status, what was refunded, and how often the money was taken, of each charge."""
        entries = self.running.providers.simulators["mpesa"].entries.values()
        return [(entry.status, entry.refunded_minor, entry.times_charged) for entry in entries]

    def asked(self, path: str) -> int:
        return sum(url.endswith(path) for _, url in self.http.sent)


@contextlib.contextmanager
def opened() -> Iterator[Shop]:
    """A shop with books of its own, until the block ends."""
    with taking_in() as inbox:
        made: list[Shop] = []
        with serving(notify=inbox.address, clock=lambda: made[0].now if made else START) as running:
            made.append(Shop(running, inbox))
            yield made[0]
