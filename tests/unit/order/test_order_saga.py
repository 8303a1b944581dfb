"""The saga, through refusals, faults and crashes between any two lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from order.application.messages import CarryOut
from order.domain.commands import DecideRejection
from order_saga import saga
from shared_kernel.contracts.order import GetOrder, PlacedOrder
from shared_kernel.contracts.payment import CancelPayment, Payment, RequestPayment
from shared_kernel.errors import Unavailable
from tests.unit.order.durable_steps import DurableSteps
from tests.unit.order.order_world import (
    ORDER_ID,
    Breaking,
    Crash,
    OrderWorld,
    Shop,
    now_and_then,
    services,
)

LONGEST_LIFE = 50


def run(world: OrderWorld, shop: Shop, steps: DurableSteps | None = None, order_faults: Breaking | None = None) -> str:
    return now_and_then(saga.run(ORDER_ID, steps or DurableSteps(), lambda: services(world, shop, order_faults)))


def order_of(world: OrderWorld) -> PlacedOrder:
    return now_and_then(world.order().get_placed(GetOrder(id=ORDER_ID)))


def assert_everything_agrees(world: OrderWorld, shop: Shop, pieces: int) -> None:
    order = order_of(world)
    assert order.status in ("confirmed", "rejected")
    if order.status == "confirmed":
        assert (shop.reservation, shop.on_hand) == ("confirmed", pieces - 2)
        assert (shop.charges, shop.charged - shop.refunded) == (1, order.total.amount)
    else:
        assert (shop.reservation, shop.on_hand) == ("released", pieces)
        assert shop.charged == shop.refunded
        assert order.rejection is not None


def test_an_order_is_confirmed_in_five_steps() -> None:
    world, shop = OrderWorld(), Shop()
    world.place()
    assert run(world, shop) == "confirmed"
    assert_everything_agrees(world, shop, pieces=10)
    assert world.event_types()[3:] == ["InventoryReserved", "PaymentRequested", "PaymentCaptured", "OrderConfirmed"]


def test_a_declined_payment_rejects_the_order_and_gives_the_stock_back() -> None:
    world, shop = OrderWorld(), Shop()
    world.place(token="tok_declined")
    assert run(world, shop) == "rejected"
    assert_everything_agrees(world, shop, pieces=10)
    rejection = order_of(world).rejection
    assert rejection is not None
    assert rejection.code == "payment_declined"
    assert order_of(world).payment.status == "declined"


def test_an_order_for_more_than_there_is_says_what_was_missing() -> None:
    world, shop = OrderWorld(), Shop(pieces=1)
    world.place()
    assert run(world, shop) == "rejected"
    rejection = order_of(world).rejection
    assert rejection is not None
    assert rejection.code == "insufficient_inventory"
    assert rejection.missing is not None
    assert rejection.missing[0]["available"] == 1
    assert shop.charges == 0


def test_a_product_that_is_not_sold_any_more_rejects_the_order() -> None:
    world, shop = OrderWorld(), Shop()
    world.place()
    shop.sold = False
    assert run(world, shop) == "rejected"
    assert_everything_agrees(world, shop, pieces=10)


def test_a_provider_that_never_answers_rejects_the_order_as_unavailable() -> None:
    faults = Breaking()
    world, shop = OrderWorld(), Shop(faults=faults)
    world.place()
    faults.breaks = lambda call: "before" if 3 <= call <= 3 + saga.FORWARD.limit else None
    assert run(world, shop) == "rejected"
    assert_everything_agrees(world, shop, pieces=10)
    rejection = order_of(world).rejection
    assert rejection is not None
    assert rejection.code == "payment_unavailable"
    assert order_of(world).payment.status == "cancelled"


def test_a_charge_whose_answers_are_all_lost_is_refunded() -> None:
    faults = Breaking()
    world, shop = OrderWorld(), Shop(faults=faults)
    world.place()
    faults.breaks = lambda call: "after" if 3 <= call <= 3 + saga.FORWARD.limit else None
    assert run(world, shop) == "rejected"
    assert_everything_agrees(world, shop, pieces=10)
    assert shop.refunded == shop.charged > 0
    assert "RefundIssued" in world.event_types()


def test_a_rejection_that_comes_after_the_confirmation_leaves_the_order_confirmed() -> None:
    world, shop = OrderWorld(), Shop()
    world.place()
    run(world, shop)
    shop.sold = False
    assert run(world, shop) == "confirmed"
    assert_everything_agrees(world, shop, pieces=10)


def test_another_run_carries_a_decided_rejection_to_its_end_with_its_first_reason() -> None:
    world, shop = OrderWorld(), Shop()
    world.place()
    decided = DecideRejection(code="payment_declined", detail="no")
    now_and_then(world.order().carry_out(CarryOut(command=decided)))
    assert run(world, shop) == "rejected"
    rejection = order_of(world).rejection
    assert rejection is not None
    assert rejection.code == "payment_declined"
    assert_everything_agrees(world, shop, pieces=10)


STEP_NAMES = [
    saga.VALIDATE,
    saga.RESERVE_STOCK,
    saga.REQUEST_PAYMENT,
    saga.CONFIRM_STOCK,
    saga.CONFIRM_ORDER,
    saga.DECIDE_REJECTION,
    saga.RELEASE_STOCK,
    saga.CANCEL_PAYMENT,
    saga.REJECT_ORDER,
]


@pytest.mark.parametrize("token", ["tok_ok", "tok_declined"])
@pytest.mark.parametrize("remembers", [True, False], ids=["resumed", "started anew"])
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("name", STEP_NAMES)
def test_a_crash_around_any_step_loses_nothing(name: str, side: str, remembers: bool, token: str) -> None:
    world, shop = OrderWorld(), Shop()
    world.place(token=token)
    steps = DurableSteps()
    steps.dies_at(name, after=side == "after")
    try:
        run(world, shop, steps)
    except Crash:
        steps.dies_at("")
        run(world, shop, steps if remembers else DurableSteps())
    assert_everything_agrees(world, shop, pieces=10)
    rejection = order_of(world).rejection
    assert (rejection.code if rejection else None) == {"tok_ok": None, "tok_declined": "payment_declined"}[token]


def test_a_declined_payment_whose_record_was_answered_to_nobody_never_takes_the_stock_off_the_shelf() -> None:
    world, shop, order_faults = OrderWorld(), Shop(), Breaking()
    world.place(token="tok_declined")
    steps = DurableSteps()
    steps.dies_at(saga.REQUEST_PAYMENT, after=True)
    with pytest.raises(Crash):
        run(world, shop, steps, order_faults)
    steps.dies_at(saga.CONFIRM_STOCK)
    assert run(world, shop, steps, order_faults) == "rejected"
    assert_everything_agrees(world, shop, pieces=10)


def test_a_payment_that_came_too_late_and_goes_back_does_not_confirm_the_order() -> None:
    world, shop = OrderWorld(), Shop()
    world.place()
    shop.given_up = True
    assert run(world, shop) == "rejected"
    rejection = order_of(world).rejection
    assert rejection is not None
    assert rejection.code == "payment_expired"
    assert_everything_agrees(world, shop, pieces=10)


def test_a_payment_that_staff_refunded_before_the_order_heard_of_it_still_ends_the_order() -> None:
    world, shop = OrderWorld(), Shop()
    world.place()
    steps = DurableSteps()
    shop.faults.breaks = lambda call: "crash" if call == 3 else None
    with pytest.raises(Crash):
        run(world, shop, steps)
    assert (shop.payment, order_of(world).payment.status) == ("captured", "requested")
    shop.refund_by_staff()
    assert run(world, shop, steps) == "rejected"
    assert {"LatePaymentCaptured", "RefundIssued"} <= set(world.event_types())
    assert_everything_agrees(world, shop, pieces=10)


class Silent(Shop):
    """A provider that takes a charge on and answers nothing, until it does."""

    lets_go = False

    async def request_payment(self, request: RequestPayment) -> Payment:
        self.payment = "pending"
        raise Unavailable("the provider does not answer")

    async def cancel_payment(self, request: CancelPayment) -> Payment:
        if not self.lets_go:
            raise Unavailable("the provider does not answer")
        return await super().cancel_payment(request)


@pytest.mark.parametrize("comes", [True, False], ids=["paid in the end", "never paid"])
def test_payment_that_cannot_be_cancelled_keeps_the_goods_from_nobody(comes: bool) -> None:
    world, shop = OrderWorld(), Silent()
    world.place()
    for _ in range(2):
        with pytest.raises(saga.StepFailed):
            run(world, shop, DurableSteps())
        assert (shop.reservation, shop.on_hand) == ("released", 10)
        assert order_of(world).status not in ("confirmed", "rejected")
    if comes:
        shop.pay()
    shop.lets_go = True
    assert run(world, shop, DurableSteps()) == "rejected"
    assert_everything_agrees(world, shop, pieces=10)
    assert ("RefundIssued" in world.event_types()) == comes


@given(
    token=st.sampled_from(["tok_ok", "tok_declined"]),
    breaks=st.lists(st.sampled_from([None, None, "before", "after"]), max_size=60),
    order_breaks=st.lists(st.sampled_from([None, None, None, "before", "after"]), max_size=60),
    crashes=st.lists(st.tuples(st.sampled_from(STEP_NAMES), st.booleans(), st.booleans()), max_size=4),
)
def test_any_mix_of_faults_and_crashes_ends_with_order_stock_and_money_in_agreement(
    token: str,
    breaks: list[str | None],
    order_breaks: list[str | None],
    crashes: list[tuple[str, bool, bool]],
) -> None:
    faults, order_faults = Breaking(), Breaking()
    order_faults.breaks = lambda call: order_breaks[call - 1] if call <= len(order_breaks) else None
    faults.breaks = lambda call: breaks[call - 1] if call <= len(breaks) else None
    world, shop = OrderWorld(), Shop(faults=faults)
    world.place(token=token)
    steps = DurableSteps()
    plan = list(crashes)
    for _life in range(LONGEST_LIFE):
        name, after, remembers = plan.pop() if plan else ("", False, False)
        steps.dies_at(name, after)
        try:
            run(world, shop, steps, order_faults)
            break
        except (Crash, saga.StepFailed):
            if not remembers:
                steps = DurableSteps()
    else:
        pytest.fail("the saga did not end")
    assert_everything_agrees(world, shop, pieces=10)


def test_two_runs_at_once_cannot_both_confirm_and_reject() -> None:
    world, shop = OrderWorld(), Shop()
    world.place()
    steps = DurableSteps()
    steps.dies_at(saga.CONFIRM_ORDER)
    with pytest.raises(Crash):
        run(world, shop, steps)
    shop.sold = False
    assert run(world, shop) == "rejected"
    steps.dies_at("")
    assert run(world, shop, steps) == "rejected"
    assert_everything_agrees(world, shop, pieces=10)
