"""A thousand payments of mixed fate at once, with duplicates and reorderings, on a system of their own.

Nobody decides how a single one has to end: faults strike whoever comes next, and who is slow may pay too late. But in
the end all books agree (the provider's, the payment's, the order's events, the ledger), and nobody was charged twice.
"""

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Literal

import httpx
import pytest

from shared_kernel.contracts.payment import Payment
from shared_kernel.ids import derived_id
from shared_kernel.money import Money
from tests.system.crowd import Customer, Sale, acts, buy, drawn, play, stocked
from tests.system.payment_ways import assert_agree
from tests.system.providers import Providers, Row
from tests.system.shop import ENDED, EventRecord, Input, Result, Shop
from tests.system.wedged import assert_never_wedged
from wrangler import running

SEED = 20261121
CUSTOMERS = int(os.environ.get("PASAR_CROWD_CUSTOMERS", "1000"))
AT_ONCE = 32
HOLD_SECONDS = 60
REFUNDED_SHARE = 0.25
# Orders and their ends, and then the events of refunds, on two slow cores.
_ENDED_WITHIN_SECONDS = 600
_TOLD_WITHIN_SECONDS = 300
_PAUSE_SECONDS = 3

Manner = Literal["whole", "part", "two parts", "same key again", "two wholes at once"]
MANNERS: tuple[Manner, ...] = ("whole", "part", "two parts", "same key again", "two wholes at once")


@dataclass(frozen=True)
class Account:
    """What is known of one sale by everybody who keeps a book; no payment where it never came so far."""

    sale: Sale
    payment: Payment | None
    events: Sequence[EventRecord]
    rows: Sequence[Row]


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, Providers]]:
    """A shop that holds stock for a minute, and its providers."""
    folder = tmp_path_factory.mktemp("crowded")
    options = ["--no-sample", "--set", f"inventory.HOLD_SECONDS={HOLD_SECONDS}"]
    with running.started(folder / "state", options, folder / "system.log") as system:
        connection = system.connection
        assert connection.providers_url is not None
        with Shop(connection.url, connection.staff_token) as shop, Providers(connection.providers_url) as providers:
            yield shop, providers
    assert_never_wedged(folder / "state")


def test_all_books_of_a_thousand_payments_agree(crowded: tuple[Shop, Providers]) -> None:
    shop, providers = crowded
    print(f"the crowd's seed is {SEED}")
    chance = Random(SEED)
    sales = _sell(shop, providers, chance)
    _wait(lambda: len(_ended(shop)) == len(sales), _ENDED_WITHIN_SECONDS, "orders have not ended")
    ended = _ended(shop)
    _refund(shop, chance, [sale for sale in sales if ended[sale.order.id] == "confirmed"])
    accounts = _agreeing_accounts(shop, providers, sales)
    _assert_ledger_agrees(shop, accounts)
    _assert_every_fate_was_met(accounts)


def _sell(shop: Shop, providers: Providers, chance: Random) -> list[Sale]:
    shelves = stocked(shop, CUSTOMERS)
    customers = drawn(chance, CUSTOMERS)
    sales: dict[str, Sale] = {}

    def one_buys(customer: Customer) -> None:
        sales[customer.name] = buy(shop, providers, customer, shelves)

    # Each part of them pays while the next one orders, so before their holds end.
    work: list[Callable[[], None]] = []
    for start in range(0, CUSTOMERS + AT_ONCE * 2, AT_ONCE * 2):
        some = customers[start : start + AT_ONCE * 2]
        work += [partial(one_buys, customer) for customer in some]
        chance.shuffle(work)
        _at_once(work, lambda happens: happens())
        work = [partial(play, shop, providers, act, sales[act.customer.name]) for act in acts(chance, some)]
    return list(sales.values())


def _refund(shop: Shop, chance: Random, paid: Sequence[Sale]) -> None:
    """Give back a part of what came in, by several members of staff at once."""
    requests: list[tuple[str, Money, str]] = []
    for sale in paid:
        if chance.random() >= REFUNDED_SHARE:
            continue
        manner, whole = chance.choice(MANNERS), sale.order.total
        part = Money(amount=whole.amount // 400 * 100 or whole.amount, currency=whole.currency)
        keys = [derived_id("key", sale.customer.name, "refund", str(number)) for number in range(2)]
        amount = part if manner in ("part", "two parts") else whole
        again = {"two parts": keys, "two wholes at once": keys, "same key again": [keys[0], keys[0]]}
        requests += [(sale.payment_id, amount, key) for key in again.get(manner, keys[:1])]
    answers = Counter(response.status_code for response in _at_once(requests, lambda asked: shop.send_refund(*asked)))
    # Of two that together are more than was taken, one is refused.
    assert answers.keys() == {httpx.codes.CREATED, httpx.codes.CONFLICT}, answers


def _accounts(shop: Shop, providers: Providers, sales: Sequence[Sale]) -> list[Account]:
    books = {name: _by_reference(providers.book(name)) for name in {sale.customer.way.provider for sale in sales}}

    def account(sale: Sale) -> Account:
        book, payment_id = books[sale.customer.way.provider], sale.payment_id
        rows = [*book.get(payment_id, ()), *book.get(payment_id[-12:], ())]
        asked = shop.ask("GET", f"/api/payments/{payment_id}", headers=shop.as_staff)
        assert asked.status_code in (httpx.codes.OK, httpx.codes.NOT_FOUND), asked.text
        payment = Payment.model_validate_json(asked.text) if asked.status_code == httpx.codes.OK else None
        return Account(sale, payment, shop.events(sale.order.id), rows)

    return _at_once(sales, account)


def _agreeing_accounts(shop: Shop, providers: Providers, sales: Sequence[Sale]) -> list[Account]:
    """All accounts, once no refund is on its way any more and every order has heard of its own."""
    found: dict[str, Account] = {}
    left, give_up = list(sales), time.monotonic() + _TOLD_WITHIN_SECONDS
    while left:
        found |= {one.sale.order.id: one for one in _accounts(shop, providers, left)}
        differing = [(sale, told) for sale in left if (told := _difference(found[sale.order.id]))]
        if time.monotonic() > give_up:
            pytest.fail("\n".join(told for _, told in differing))
        left = [sale for sale, _ in differing]
        time.sleep(_PAUSE_SECONDS if left else 0)
    return [*found.values()]


def _assert_ledger_agrees(shop: Shop, accounts: Sequence[Account]) -> None:
    held: Counter[tuple[str, str]] = Counter()
    for one in accounts:
        if one.payment is not None:
            left = one.payment.captured - one.payment.refunded
            held[f"provider:{one.sale.customer.way.provider}", left.currency] += left.amount
    ledger = shop.ledger()
    assert ledger.balanced
    sums: Counter[str] = Counter()
    for account in ledger.items:
        sums[account.balance.currency] += account.balance.amount
        if account.account.startswith("provider:"):
            assert account.balance.amount == held[account.account, account.balance.currency], (account, held)
    assert set(sums.values()) == {0}, sums
    listed = {(account.account, account.balance.currency) for account in ledger.items}
    assert {name for name, amount in held.items() if amount} <= listed


def _difference(one: Account) -> str | None:
    """In what the books of one sale differ, if they do."""
    if one.payment is None:
        return str(one) if any(row.times_charged for row in one.rows) else None
    try:
        assert_agree(one.payment, one.rows, one.events)
    except AssertionError as difference:
        return f"{one.sale.customer}: {difference}, {[event.type for event in one.events]}"
    return None


def _assert_every_fate_was_met(accounts: Sequence[Account]) -> None:
    """The crowd was no idle one: each end of a payment was among theirs."""
    ends = Counter(one.payment.status for one in accounts if one.payment is not None)
    assert {"captured", "declined", "expired", "cancelled", "partially_refunded", "refunded", "refund_due"} <= {*ends}
    assert ends["captured"] > len(accounts) // 4, ends


def _ended(shop: Shop) -> dict[str, str]:
    """The orders that the list shows as ended, with their statuses."""
    ended: dict[str, str] = {}
    cursor = ""
    while True:
        page = shop.ask("GET", f"/api/orders?limit=100{cursor}", headers=shop.as_staff).json()
        ended |= {item["id"]: item["status"] for item in page["items"] if item["status"] in ENDED}
        if page["next_cursor"] is None:
            return ended
        cursor = f"&cursor={page['next_cursor']}"


def _wait(is_so: Callable[[], bool], seconds: float, otherwise: str) -> None:
    give_up = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < give_up, f"{otherwise} after {seconds} s"
        time.sleep(_PAUSE_SECONDS)


def _by_reference(book: Sequence[Row]) -> Mapping[str, list[Row]]:
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    for row in book:
        rows[row.reference].append(row)
    return rows


def _at_once(work: Sequence[Input], do: Callable[[Input], Result]) -> list[Result]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(do, work))
