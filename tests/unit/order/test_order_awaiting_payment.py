"""An order whose customer has to do something to pay: waiting, being nudged, being late."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from order.application.payments import returned
from order.domain.commands import DecideRejection
from order_saga import saga
from shared_kernel.contracts.order import GetOrder, PlacedOrder
from shared_kernel.contracts.payment import CheckPayment
from tests.unit.order.durable_steps import DurableSteps
from tests.unit.order.order_world import (
    HOLD_SECONDS,
    INSTRUCTIONS,
    ORDER_ID,
    Breaking,
    Crash,
    OrderWorld,
    Shop,
    command,
    now_and_then,
    services,
)

PIECES = 10
LONGEST_LIFE = 60


class Waiting:
    """An order by QRIS, its shop, and its saga's steps, all by one clock."""

    def __init__(self, pieces: int = PIECES, faults: Breaking | None = None) -> None:
        self.world = OrderWorld()
        self.shop = Shop(pieces, faults, self.world.clock)
        self.steps = DurableSteps(self.world.clock)
        self.world.place(method="qris")

    def run(self) -> str:
        return now_and_then(saga.run(ORDER_ID, self.steps, lambda: services(self.world, self.shop)))

    def on_wait(self, *happens: Callable[[], bool]) -> None:
        """What happens in the first wait, the second, ...; True ends the wait by a nudge."""
        self.steps.on_wait = lambda look: happens[look - 1]() if look <= len(happens) else False

    def order(self) -> PlacedOrder:
        return now_and_then(self.world.order().get_placed(GetOrder(id=ORDER_ID)))

    def hear(self) -> None:
        """The order's alarm looks at the payment of an order that has ended."""
        payment = now_and_then(self.shop.check_payment(CheckPayment(idempotency_key="key")))
        command(self.world, returned(payment))

    def assert_books_agree(self) -> None:
        """Order, stock and money say the same."""
        order, shop = self.order(), self.shop
        assert shop.charges <= 1
        if order.status == "confirmed":
            assert (shop.reservation, shop.on_hand) == ("confirmed", PIECES - 2)
            assert shop.charged - shop.refunded == order.total.amount
            assert order.allocations
        else:
            assert order.status == "rejected"
            assert (shop.reservation, shop.on_hand) == ("released", PIECES)
            assert shop.charged == shop.refunded
            assert shop.cancelled or order.payment.status == "not_requested"

    def paid(self) -> bool:
        self.shop.pay()
        return True

    def paid_without_a_nudge(self) -> bool:
        self.shop.pay()
        return False

    def nudged_for_nothing(self) -> bool:
        return True


def test_an_order_that_waits_shows_how_to_pay_and_until_when() -> None:
    waiting = Waiting()
    seen: list[PlacedOrder] = []

    def look() -> bool:
        seen.append(waiting.order())
        return waiting.paid()

    waiting.on_wait(look)
    ends = waiting.world.clock.now.timestamp() + HOLD_SECONDS
    assert waiting.run() == "confirmed"
    payment = seen[0].payment
    assert (seen[0].status, payment.status, payment.instructions) == ("awaiting_payment", "pending", INSTRUCTIONS)
    assert payment.expires_at == waiting.shop.payment_ends
    assert waiting.shop.hold_ends is not None
    assert waiting.shop.hold_ends.timestamp() == ends
    assert waiting.order().payment.instructions is None
    waiting.assert_books_agree()
    assert waiting.world.event_types()[3:] == [
        "InventoryReserved",
        "PaymentRequested",
        "PaymentInstructed",
        "PaymentCaptured",
        "OrderConfirmed",
    ]


def test_a_nudge_that_comes_for_nothing_or_twice_is_waited_through() -> None:
    waiting = Waiting()
    waiting.on_wait(waiting.nudged_for_nothing, waiting.nudged_for_nothing, waiting.paid)
    assert waiting.run() == "confirmed"
    assert waiting.steps.waits == 3
    waiting.assert_books_agree()


def test_an_order_that_is_not_paid_is_turned_back_when_the_hold_ends() -> None:
    waiting = Waiting()
    began = waiting.world.clock()
    assert waiting.run() == "rejected"
    rejection = waiting.order().rejection
    assert rejection is not None
    assert rejection.code == "payment_expired"
    assert (waiting.world.clock() - began).total_seconds() == HOLD_SECONDS
    assert waiting.order().payment.status == "cancelled"
    waiting.assert_books_agree()


@pytest.mark.parametrize(("status", "code"), [("declined", "payment_declined"), ("expired", "payment_expired")])
def test_a_payment_that_fails_while_it_is_awaited_turns_the_order_back(status: str, code: str) -> None:
    waiting = Waiting()

    def fails() -> bool:
        waiting.shop.payment = "declined" if status == "declined" else "expired"
        return True

    waiting.on_wait(fails)
    assert waiting.run() == "rejected"
    rejection = waiting.order().rejection
    assert rejection is not None
    assert rejection.code == code
    assert waiting.order().payment.status == status
    waiting.assert_books_agree()


def test_a_payment_whose_nudge_was_lost_is_seen_at_the_end_and_holds_the_stock_anew() -> None:
    waiting = Waiting()
    waiting.on_wait(waiting.paid_without_a_nudge)
    assert waiting.run() == "confirmed"
    assert waiting.shop.holds == 2
    waiting.assert_books_agree()
    assert waiting.world.event_types()[6:] == ["PaymentCaptured", "HoldEnded", "InventoryReserved", "OrderConfirmed"]


def test_a_payment_that_is_seen_when_the_stock_has_gone_is_given_back() -> None:
    waiting = Waiting()

    def paid_and_sold_out() -> bool:
        waiting.shop.pay()
        waiting.shop.on_hand = 1
        return False

    waiting.on_wait(paid_and_sold_out)
    assert waiting.run() == "rejected"
    rejection = waiting.order().rejection
    assert rejection is not None
    assert (rejection.code, rejection.missing) != ("insufficient_inventory", None)
    assert waiting.shop.refunded == waiting.shop.charged > 0
    types = waiting.world.event_types()
    assert types[6:9] == ["PaymentCaptured", "HoldEnded", "RejectionDecided"]
    assert "RefundIssued" in types


def test_a_new_hold_whose_answer_was_lost_is_recorded_by_the_next_attempt() -> None:
    faults = Breaking()
    waiting = Waiting(faults=faults)

    def paid_and_about_to_break() -> bool:
        waiting.shop.pay()
        # The look at the payment and the refused confirmation come before the new hold.
        breaking = faults.calls + 3
        faults.breaks = lambda call: "after" if call == breaking else None
        return False

    waiting.on_wait(paid_and_about_to_break)
    assert waiting.run() == "confirmed"
    assert waiting.shop.holds == 2
    waiting.assert_books_agree()
    assert waiting.world.event_types()[7:] == ["HoldEnded", "InventoryReserved", "OrderConfirmed"]


def test_a_saga_that_is_started_anew_after_the_hold_says_that_it_holds_other_pieces() -> None:
    waiting = Waiting()
    waiting.steps.dies_at(f"{saga.AWAIT_PAYMENT} 1")
    with pytest.raises(Crash):
        waiting.run()
    waiting.shop.pay()
    waiting.world.clock.move(2 * HOLD_SECONDS)
    waiting.steps = DurableSteps(waiting.world.clock)
    assert waiting.run() == "confirmed"
    assert waiting.world.event_types()[6:] == ["PaymentCaptured", "HoldEnded", "InventoryReserved", "OrderConfirmed"]


def test_a_provider_that_cannot_be_asked_for_a_while_does_not_cost_the_customer_his_order() -> None:
    faults = Breaking()
    waiting = Waiting(faults=faults)
    broken_until = 4

    def nudged() -> bool:
        if waiting.steps.waits == broken_until:
            faults.breaks = lambda _call: None
            return waiting.paid()
        faults.breaks = lambda _call: "before"
        return True

    waiting.on_wait(*[nudged] * broken_until)
    assert waiting.run() == "confirmed"
    waiting.assert_books_agree()


def test_a_saga_without_end_of_nudges_ends_at_last() -> None:
    waiting = Waiting()
    waiting.steps.on_wait = lambda _look: True
    assert waiting.run() == "rejected"
    assert waiting.steps.waits == saga.LOOKS
    waiting.assert_books_agree()


@pytest.mark.parametrize(
    ("refunds", "first", "then"),
    [
        ("at once", "RefundIssued", None),
        ("later", "RefundBegun", "RefundIssued"),
        ("never", "RefundDue", "RefundIssued"),
    ],
)
def test_money_that_comes_a_second_too_late_goes_back_and_the_order_says_so(
    refunds: str, first: str, then: str | None
) -> None:
    waiting = Waiting()
    assert waiting.run() == "rejected"
    waiting.world.clock.move(1)
    waiting.shop.refunds = refunds
    waiting.shop.pay()
    for _ in range(2):
        waiting.hear()
    assert waiting.world.event_types()[-3:] == ["OrderRejected", "LatePaymentCaptured", first]
    if then is not None:
        waiting.shop.finish_refund()
        for _ in range(2):
            waiting.hear()
        assert waiting.world.event_types()[-2:] == [first, then]
    assert waiting.order().payment.status == "refunded"
    waiting.assert_books_agree()


@pytest.mark.parametrize(("refunds", "told"), [("later", "RefundBegun"), ("never", "RefundDue")])
def test_a_refund_that_takes_its_time_does_not_hold_up_the_rejection(refunds: str, told: str) -> None:
    waiting = Waiting()
    waiting.shop.refunds = refunds

    def paid_and_turned_back() -> bool:
        waiting.shop.pay()
        command(waiting.world, DecideRejection(code="cancelled", detail="no"))
        return True

    waiting.on_wait(paid_and_turned_back)
    assert waiting.run() == "rejected"
    ending = ["RejectionDecided", "InventoryReleased", "LatePaymentCaptured", told, "OrderRejected"]
    assert waiting.world.event_types()[-5:] == ending
    waiting.shop.finish_refund()
    waiting.hear()
    assert waiting.order().payment.status == "refunded"
    waiting.assert_books_agree()


STEPS = [
    saga.VALIDATE,
    saga.RESERVE_STOCK,
    saga.REQUEST_PAYMENT,
    f"{saga.AWAIT_PAYMENT} 1",
    f"{saga.CHECK_PAYMENT} 1",
    f"{saga.AWAIT_PAYMENT} 2",
    f"{saga.CHECK_PAYMENT} 2",
    saga.CONFIRM_STOCK,
    saga.CONFIRM_ORDER,
    saga.DECIDE_REJECTION,
    saga.CANCEL_PAYMENT,
    saga.RELEASE_STOCK,
    saga.REJECT_ORDER,
]


@pytest.mark.parametrize("paid_late", [False, True], ids=["paid in time", "paid while it was down"])
@pytest.mark.parametrize("remembers", [True, False], ids=["resumed", "started anew"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", STEPS)
def test_a_crash_around_any_step_of_a_payment_by_qris_loses_nothing(
    name: str, after: bool, remembers: bool, paid_late: bool
) -> None:
    waiting = Waiting()
    waiting.on_wait(waiting.nudged_for_nothing, waiting.nudged_for_nothing if paid_late else waiting.paid)
    waiting.steps.dies_at(name, after)
    try:
        waiting.run()
    except Crash:
        if paid_late:
            waiting.shop.pay()
            waiting.world.clock.move(2 * HOLD_SECONDS)
        waiting.steps.dies_at("")
        if not remembers:
            waiting.steps.finished.clear()
        waiting.run()
    waiting.assert_books_agree()


DAY = st.lists(
    st.tuples(
        st.sampled_from(["", *STEPS]), st.booleans(), st.booleans(), st.sampled_from([0, 0, 5, 300, 700]), st.booleans()
    ),
    max_size=6,
)


@given(
    breaks=st.lists(st.sampled_from([None, None, None, "before", "after"]), max_size=80),
    lives=DAY,
    pays_in_wait=st.integers(0, 5),
    nudges=st.lists(st.booleans(), max_size=6),
    refunds=st.sampled_from(["at once", "later", "never"]),
)
def test_any_mix_of_faults_crashes_nudges_and_late_money_ends_with_all_books_in_agreement(
    breaks: list[str | None],
    lives: list[tuple[str, bool, bool, int, bool]],
    pays_in_wait: int,
    nudges: list[bool],
    refunds: str,
) -> None:
    faults = Breaking()
    faults.breaks = lambda call: breaks[call - 1] if call <= len(breaks) else None
    waiting = Waiting(faults=faults)
    waiting.shop.refunds = refunds

    def in_wait(look: int) -> bool:
        if look == pays_in_wait:
            waiting.shop.pay()
        return look <= len(nudges) and nudges[look - 1]

    waiting.steps.on_wait = in_wait
    plan = list(lives)
    for _life in range(LONGEST_LIFE):
        name, after, remembers, down_seconds, pays_when_down = plan.pop() if plan else ("", False, False, 0, False)
        waiting.steps.dies_at(name, after)
        try:
            waiting.run()
            break
        except (Crash, saga.StepFailed):
            waiting.world.clock.move(down_seconds)
            if pays_when_down:
                waiting.shop.pay()
            if not remembers:
                waiting.steps.finished.clear()
    else:
        pytest.fail("the saga did not end")
    faults.breaks = lambda _call: None
    if waiting.order().status == "rejected":
        waiting.shop.pay()
        waiting.shop.finish_refund()
        if waiting.order().payment.status != "not_requested" and waiting.shop.payment is not None:
            waiting.hear()
            assert waiting.shop.charged == 0 or waiting.order().payment.status == "refunded"
    waiting.assert_books_agree()
