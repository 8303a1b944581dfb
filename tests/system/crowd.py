"""What a crowd of customers does, drawn by chance from one seed before any of them begins.

Each pays in some way and has some fate. What happens to the charges of many of them, and what is told of it, comes in
one shuffled order, so that webhooks come early, twice, late, in the wrong order, or never.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

import httpx
from pydantic import JsonValue

from shared_kernel.contracts.order import PlacedOrder
from shared_kernel.contracts.product import Product
from shared_kernel.ids import derived_id
from tests.system.payment_ways import WAYS, Way, order_by
from tests.system.providers import Providers, Verb, payment_id_of
from tests.system.shop import ENDED, Shop

Fate = Literal["paid", "refused", "expired", "never paid"]
FATES: Mapping[Fate, int] = {"paid": 70, "refused": 12, "expired": 10, "never paid": 8}
FAULTS: Mapping[str | None, int] = {
    None: 75,
    "decline": 7,
    "timeout_after_effect": 7,
    "error_500": 4,
    "paid_before_answer": 7,
}
WEBHOOKS = ("once", "once", "once", "twice", "late", "never", "before_answer")
SENT_TWICE = 0.05
PRODUCTS_OF_A_CURRENCY = 20
PRICE_MINOR: Mapping[str, int] = {"IDR": 10_000_00, "USD": 9_99, "KES": 150_00}
_CHARGED_WITHIN_SECONDS = 60
_HEARD_WITHIN_SECONDS = 300
_SOON_SECONDS = 6
_PAUSE_SECONDS = 2


@dataclass(frozen=True)
class Customer:
    """One who orders once, maybe by pressing the button twice; `fault` is the provider's for some next create."""

    name: str
    way: Way
    product: int
    fate: Fate
    fault: str | None
    requests: int

    @property
    def verb(self) -> Verb | None:
        """What he does with a charge that waits for him."""
        verbs: Mapping[Fate, Verb | None] = {"paid": "pay", "refused": "fail", "expired": "expire", "never paid": None}
        return verbs[self.fate]


@dataclass(frozen=True)
class Act:
    """Something that happens at the provider to a customer's charge, or is told of it."""

    customer: Customer
    verb: Verb
    options: Mapping[str, JsonValue]


@dataclass(frozen=True)
class Sale:
    """A customer's order."""

    customer: Customer
    order: PlacedOrder

    @property
    def payment_id(self) -> str:
        """The payment that it asks for, if it comes so far."""
        return payment_id_of(self.order.id)


def drawn(chance: Random, count: int) -> list[Customer]:
    """So many customers. Who never pays is among the first, as his order ends only with its hold."""
    return [_customer(chance, number, early=number < count // 2) for number in range(count)]


def _customer(chance: Random, number: int, early: bool) -> Customer:
    way = chance.choice(WAYS)
    (fate,) = chance.choices(tuple(FATES), tuple(FATES.values()))
    (fault,) = chance.choices(tuple(FAULTS), tuple(FAULTS.values()))
    if (fate == "expired" and not way.expires_by_itself) or (fate == "never paid" and not early):
        fate = "paid"
    if way.answer_is_lost and fault in ("timeout_after_effect", "error_500"):
        # Such a charge is known again by its webhook only, which a customer who does nothing never causes.
        fault = None
    requests = 2 if chance.random() < SENT_TWICE else 1
    return Customer(f"crowd-{number}", way, chance.randrange(PRODUCTS_OF_A_CURRENCY), fate, fault, requests)


def acts(chance: Random, customers: Sequence[Customer]) -> list[Act]:
    """All that happens to these customers' charges, and is told of them, shuffled."""
    happening = []
    for customer in customers:
        if customer.way.instructs is not None and customer.verb is not None:
            # See `play` for why M-Pesa's comes at least once.
            webhook = chance.choice(WEBHOOKS[:5] if customer.way.answer_is_lost else WEBHOOKS)
            options: dict[str, JsonValue] = {"webhook": webhook, "delay_seconds": chance.random() * 5}
            happening.append(Act(customer, customer.verb, options))
        told = chance.choice((0, 0, 0, 0, 1, 2)) if customer.fate != "never paid" else 0
        happening += [Act(customer, "webhook", {"webhook": "once"})] * told
    chance.shuffle(happening)
    return happening


def stocked(shop: Shop, pieces: int) -> dict[str, list[Product]]:
    """Cheap products in every currency, enough of each for all."""
    return {
        currency: [shop.make_product(pieces, price=price, currency=currency) for _ in range(PRODUCTS_OF_A_CURRENCY)]
        for currency, price in PRICE_MINOR.items()
    }


def buy(shop: Shop, providers: Providers, customer: Customer, shelves: Mapping[str, Sequence[Product]]) -> Sale:
    """The customer's order; asked for again under the same key it must be the same."""
    if customer.fault is not None:
        providers.next(customer.way.provider, customer.fault)
    body = order_by(customer.way, shelves[customer.way.currency][customer.product], quantity=1)
    key = derived_id("key", customer.name)
    orders = [shop.place_order(body, key) for _ in range(customer.requests)]
    assert len({order.id for order in orders}) == 1
    return Sale(customer, orders[0])


def play(shop: Shop, providers: Providers, act: Act, sale: Sale) -> None:
    """Have it happen, once there is a charge; one that has ended stays as it is, one that is never made too."""
    started, way = time.monotonic(), act.customer.way
    while (answers := providers.try_tell(way.provider, act.verb, sale.payment_id, **act.options)) is None:
        waited_seconds = time.monotonic() - started
        if waited_seconds > _CHARGED_WITHIN_SECONDS:
            return
        if waited_seconds > _SOON_SECONDS and shop.order(sale.order.id).status in ENDED:
            return
        time.sleep(_PAUSE_SECONDS)
    # What M-Pesa's callback tells nobody can be asked for later, so there it is sent until it is heard.
    while way.answer_is_lost and act.options["webhook"] != "late" and httpx.codes.OK not in answers:
        assert time.monotonic() < started + _HEARD_WITHIN_SECONDS, f"the callback for {sale} is not taken"
        time.sleep(_PAUSE_SECONDS)
        answers = providers.tell(way.provider, "webhook", sale.payment_id)
