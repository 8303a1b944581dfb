"""A shop that takes money through Midtrans: the adapter and the simulator of its Core API."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pydantic import JsonValue

from payment.domain.charge import Charge, Means, RefundOutcome, Waiting
from payment.infrastructure.midtrans import MidtransProvider, MidtransSettings
from shared_kernel.contracts.payment import Method
from shared_kernel.money import Money
from tests.providers.http import HttpxHttp
from tests.providers.inbox import Inbox, taking_in
from tests.providers.midtrans import SERVER_KEY
from tests.providers.server import Running, serving

START = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
NOTHING = Means()
CARD = Means(token="481111-1114-token")
T = TypeVar("T")


def run(work: Coroutine[object, object, T]) -> T:
    return asyncio.run(work)


@dataclass
class Shop:
    """The adapter, the simulator it speaks with, and the time of both."""

    running: Running
    inbox: Inbox
    now: datetime = START
    http: HttpxHttp = field(default_factory=HttpxHttp)

    def provider(self, server_key: str = SERVER_KEY) -> MidtransProvider:
        settings = MidtransSettings(self.running.url("midtrans"), server_key, "https://shop.example")
        return MidtransProvider(self.http, settings, lambda: self.now)

    def waiting(self, charge: Charge, means: Means = NOTHING) -> Waiting:
        outcome = run(self.provider().create(charge, means))
        assert isinstance(outcome, Waiting)
        return outcome

    def paid(self, method: Method = "qris", means: Means = NOTHING) -> Charge:
        charge = a_charge(method)
        self.waiting(charge, means)
        self.control("pay", reference=charge.reference)
        return charge

    def control(self, command: str, **options: JsonValue) -> JsonValue:
        return self.running.control("midtrans", command, **options)

    def book(self) -> list[tuple[JsonValue, ...]]:
        """Reference, status, what was refunded, and how often the money was taken, of each charge."""
        book = self.control("book")
        assert isinstance(book, dict)
        items = book["items"]
        assert isinstance(items, list)
        columns = ("reference", "status", "refunded_minor", "times_charged")
        return [tuple(item[column] for column in columns) for item in items if isinstance(item, dict)]

    def refund(self, charge: Charge, key: str, rupiah: int) -> RefundOutcome:
        return run(self.provider().refund(charge, key, idr(rupiah * 100), None))


def idr(amount_minor: int) -> Money:
    return Money(amount=amount_minor, currency="IDR")


def a_charge(method: Method = "qris", reference: str = "pay_1") -> Charge:
    return Charge(f"key-{reference}", reference, idr(1_250_000), method, START + timedelta(hours=1))


@contextlib.contextmanager
def opened() -> Iterator[Shop]:
    """A shop with books of its own, until the block ends."""
    with taking_in() as inbox:
        made: list[Shop] = []
        with serving(notify=inbox.address, clock=lambda: made[0].now if made else START) as running:
            made.append(Shop(running, inbox))
            yield made[0]
