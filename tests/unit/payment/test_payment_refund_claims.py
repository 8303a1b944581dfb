"""One at a time asks a provider for a refund: staff, the cron and a webhook may all come at once.

Xendit knows no refund by a key: asked twice it gives back twice, or refuses what it has done before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping

import pytest

from payment.application.changes import ASKING
from payment.application.ports import HttpAnswer, ProviderError
from payment.domain.charge import Charge, RefundDone, RefundImpossible, RefundOutcome
from payment.domain.payment import payment_id
from payment.infrastructure.http_calls import TIME_FOR_ALL_SECONDS
from payment.infrastructure.xendit import XenditProvider
from shared_kernel.clock import to_milliseconds
from shared_kernel.contracts import payment as contract
from shared_kernel.ids import derived_id
from shared_kernel.money import Money
from tests.providers.http import HttpxHttp
from tests.unit.payment.bank import REQUEST, Bank, told
from tests.unit.payment.schedules import Answer, Scene, Story, every_schedule
from tests.unit.payment.world import START, World, go_on, idr, pause, refund, request_qris
from tests.unit.payment.xendit_shop import Shop, opened

LARGEST_COUNT = 20_000
ID = payment_id("order-1")


class Forgetful(Bank):
    """A bank that gives back whatever it is asked for, as often as it is asked; who asks looks first."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.made: list[tuple[str, int]] = []
        self.loses_refund = False

    async def refund(
        self, charge: Charge, refund_key: str, amount: Money, provider_reference: str | None
    ) -> RefundOutcome:
        known = await self.find_refund(charge, refund_key, amount)
        if known is not None or provider_reference is not None:
            return known or RefundImpossible("it does not know the refund")
        await self.world.database.before_step()
        if sum(amount_minor for _, amount_minor in self.made) + amount.amount > charge.amount.amount:
            return RefundImpossible("nothing is left of the payment")
        self.made.append((refund_key, amount.amount))
        if self.loses_refund:
            raise ProviderError("no answer")
        return RefundDone(f"r_{refund_key}")

    async def find_refund(self, charge: Charge, refund_key: str, amount: Money) -> RefundOutcome | None:
        await self.world.database.before_step()
        found = RefundDone(f"r_{refund_key}") if refund_key in dict(self.made) else None
        self.world.database.last_answer = repr(found)
        return found


async def _paid() -> tuple[World, Forgetful]:
    world = World()
    bank = Forgetful(world)
    world.providers["xendit"] = bank
    await world.charges().request_payment(REQUEST)
    bank.standing[ID] = "paid"
    await world.charges().check_payment(contract.CheckPayment(idempotency_key="order-1"))
    return world, bank


async def _begun(world: World, amount_minor: int) -> None:
    """The refund is recorded, and its caller gone before he asked for it; the time of its first look has come."""
    refund_id = derived_id("rfd", "staff", ID, "a")
    await world.changes().change(
        await world.payment(), lambda now, at: now.refunding(refund_id, idr(amount_minor), "damaged", at), "staff staff"
    )
    world.later(seconds=61)


def _by_staff(world: World, amount_minor: int) -> Story:
    return world.admin().refund(refund(amount_minor, key="a"))


def _by_cron(world: World, amount_minor: int) -> Story:
    return world.reconcile()


def _by_webhook(world: World, amount_minor: int) -> Story:
    return world.webhooks().receive(told("evt_again", reference=ID))


@pytest.mark.parametrize(
    ("one", "other", "amount_minor"),
    [
        (_by_staff, _by_staff, 1000),
        (_by_staff, _by_staff, 300),
        (_by_staff, _by_cron, 1000),
        (_by_staff, _by_cron, 300),
        (_by_staff, _by_webhook, 300),
    ],
)
def test_two_who_bring_on_one_refund_in_every_order_have_it_made_once(
    one: Callable[[World, int], Story], other: Callable[[World, int], Story], amount_minor: int
) -> None:
    last: list[tuple[World, Forgetful]] = []

    def start() -> Scene:
        world, bank = asyncio.run(_paid())
        if (one, other) != (_by_staff, _by_staff):
            asyncio.run(_begun(world, amount_minor))
        last[:] = [(world, bank)]
        world.database.before_step = pause
        stories = [one(world, amount_minor), other(world, amount_minor)]
        return Scene(stories, lambda: world.database.last_answer, lambda: (world.database.stored(), tuple(bank.made)))

    orders = 0
    for answers in every_schedule(start, LARGEST_COUNT):
        orders += 1
        ((world, bank),) = last
        assert [amount for _, amount in bank.made] == [amount_minor]
        row = world.stored()
        assert (row["refunded_minor"], row["status"] == "refund_due") == (amount_minor, False)
        assert not any(isinstance(answer, Exception) for answer in answers), answers
        assert {_status(answer) for answer in answers} <= {"succeeded", "pending", "done"}
    assert orders > 10


def _status(answer: Answer) -> str:
    return answer.status if isinstance(answer, contract.Refund | contract.WebhookReceipt) else "done"


def test_refund_whose_answer_was_lost_is_found_while_nobody_may_ask_for_it() -> None:
    async def story() -> None:
        world, bank = await _paid()
        bank.loses_refund = True
        with pytest.raises(ProviderError):
            await world.admin().refund(refund(300, key="a"))
        again = await world.admin().refund(refund(300, key="a"))
        assert (again.status, again.payment.refunded, len(bank.made)) == ("succeeded", idr(300), 1)

    asyncio.run(story())


def test_refund_that_nobody_answered_is_not_asked_for_before_its_claim_has_ended() -> None:
    class Late(Forgetful):
        """What it was asked for it does much later, after its answer was given up."""

        asked_for = 0

        async def refund(
            self, charge: Charge, refund_key: str, amount: Money, provider_reference: str | None
        ) -> RefundOutcome:
            if await self.find_refund(charge, refund_key, amount) is None:
                self.asked_for += 1
                raise ProviderError("no answer")
            return await super().refund(charge, refund_key, amount, provider_reference)

    async def story() -> None:
        world, _ = await _paid()
        late = Late(world)
        world.providers["xendit"] = late
        with pytest.raises(ProviderError):
            await world.admin().refund(refund(300, key="a"))
        world.later(seconds=int(ASKING.total_seconds()) - 1)
        waiting = await world.admin().refund(refund(300, key="a"))
        assert (waiting.status, waiting.replayed, late.asked_for) == ("pending", True, 1)
        assert await world.reconcile() == 0
        late.made.append((waiting.id, 300))
        world.later(seconds=1)
        assert await world.reconcile() == 1
        assert (late.asked_for, world.stored()["refunded_minor"]) == (1, 300)

    asyncio.run(story())


def test_claim_is_longer_than_asking_takes() -> None:
    assert ASKING.total_seconds() > 4 * TIME_FOR_ALL_SECONDS + 2 * 10


class Meanwhile(HttpxHttp):
    """Something happens once, before the first refund is posted."""

    def __init__(self) -> None:
        super().__init__()
        self.happens: Callable[[], Awaitable[object]] = go_on

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None, timeout_seconds: float = 10
    ) -> HttpAnswer:
        if (method, url.endswith("/v3/refunds")) == ("POST", True):
            happens, self.happens = self.happens, go_on
            await happens()
        return await super().send(method, url, headers=headers, body=body, timeout_seconds=timeout_seconds)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with opened() as shop:
        yield shop


@pytest.mark.parametrize("amount_minor", [1000, 300])
def test_same_request_twice_at_once_is_one_refund_at_xendit(shop: Shop, amount_minor: int) -> None:
    async def story() -> None:
        world, http = World(), Meanwhile()
        world.providers["xendit"] = XenditProvider(http, shop.settings)
        await world.charges().request_payment(request_qris(provider="xendit"))
        shop.control("pay", reference=ID, webhook="never")
        await world.charges().check_payment(contract.CheckPayment(idempotency_key="order-1"))
        others: list[contract.Refund] = []

        async def again() -> None:
            others.append(await world.admin().refund(refund(amount_minor, key="a")))

        http.happens = again
        first = await world.admin().refund(refund(amount_minor, key="a"))
        assert [(other.id, other.amount, other.status) for other in others] == [(first.id, first.amount, "pending")]
        done = await world.admin().refund(refund(amount_minor, key="a"))
        assert (done.status, done.payment.refunded) == ("succeeded", idr(amount_minor))
        assert [row["refunded_minor"] for row in shop.book()] == [amount_minor]

    assert to_milliseconds(START) == to_milliseconds(shop.now)
    asyncio.run(story())
