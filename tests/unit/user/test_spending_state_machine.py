"""Any sequence of orders, approvals, releases and changes of members: what is recorded is what a plain count says.

Every call is one transaction, so that each way in which calls from everywhere can fall is such a sequence.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared_kernel.errors import DomainError
from shared_kernel.money import Money
from tests.unit.user.company_world import World, order_id, user

ORDERS = st.sampled_from([f"order {number}" for number in range(6)])
BUYERS = st.sampled_from(["budi", "citra"])
PEOPLE = st.sampled_from(["ani", "budi", "citra", "dewi"])
AMOUNTS = st.builds(Money, amount=st.integers(0, 5), currency=st.sampled_from(["IDR", "IDR", "IDR", "USD"]))
LIMITS = st.none() | st.builds(Money, amount=st.integers(0, 10), currency=st.sampled_from(["IDR", "IDR", "USD"]))


@dataclass
class Order:
    """What is expected of an order; without a buyer it was released before it was counted."""

    buyer: str | None = None
    amount: Money | None = None
    decision: str = ""
    approver: str | None = None
    is_released: bool = False


@dataclass
class Expected:
    """The plain count. Ani is the company's admin, Citra buys and approves, Dewi belongs to another company."""

    orders: dict[str, Order] = field(default_factory=dict)
    limits: dict[str, Money | None] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    disabled: set[str] = field(default_factory=set)

    def can_act(self, person: str) -> bool:
        return person in self.members and person not in self.disabled

    def counted(self, buyer: str, currency: str) -> int:
        counted = [one.amount for one in self.orders.values() if one.buyer == buyer and not one.is_released]
        return sum(amount.amount for amount in counted if amount and amount.currency == currency)

    def authorise(self, order: str, buyer: str, amount: Money) -> str:
        known = self.orders.get(order)
        if known is None and not self.can_act(buyer):
            return "not_a_buyer"
        if known is None:
            limit = self.limits[buyer]
            fits = limit is None or (
                limit.currency == amount.currency
                and self.counted(buyer, amount.currency) + amount.amount <= limit.amount
            )
            known = Order(buyer, amount, "within_limit" if fits else "needs_approval")
            self.orders[order] = known
        if known.is_released:
            return "spending_released"
        return known.decision if (known.buyer, known.amount) == (buyer, amount) else "spending_differs"

    def approve(self, order: str, person: str) -> str:
        known = self.orders.get(order)
        if known is None or known.buyer is None:
            return "spending_not_found"
        if not (self.can_act(person) and person in ("ani", "citra")) and known.approver != person:
            return "not_an_approver"
        if known.buyer == person:
            return "own_order"
        if known.is_released:
            return "spending_released"
        if known.decision == "needs_approval":
            known.decision, known.approver = "approved", person
        return known.decision


class SpendingMachine(RuleBasedStateMachine):
    """The service and the plain count, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.company_id = self.world.approved("ani")
        self.world.approved("dewi", tax_id="2")
        self.world.accounts("budi", "citra")
        self.expected = Expected(members={"ani"})
        for buyer in ("budi", "citra"):
            self.come(buyer, Money(amount=6, currency="IDR"))

    @rule(order=ORDERS, buyer=BUYERS, amount=AMOUNTS)
    def authorise(self, order: str, buyer: str, amount: Money) -> None:
        self._same(
            lambda: self.world.authorise(order, buyer, self.company_id, amount),
            self.expected.authorise(order, buyer, amount),
        )

    @rule(order=ORDERS)
    def authorise_again(self, order: str) -> None:
        known = self.expected.orders.get(order)
        if known is not None and known.buyer is not None and known.amount is not None:
            self.authorise(order, known.buyer, known.amount)

    @rule(order=ORDERS, person=PEOPLE)
    def approve(self, order: str, person: str) -> None:
        self._same(lambda: self.world.approve(order, self.company_id, person), self.expected.approve(order, person))

    @rule(order=ORDERS)
    def release(self, order: str) -> None:
        self.world.release(order)
        self.expected.orders.setdefault(order, Order()).is_released = True

    @rule(buyer=BUYERS, limit=LIMITS)
    def change_limit(self, buyer: str, limit: Money | None) -> None:
        if buyer in self.expected.members:
            self.world.change("ani", self.company_id, buyer, spending_limit=limit)
            self.expected.limits[buyer] = limit

    @rule(buyer=BUYERS)
    def leave(self, buyer: str) -> None:
        if buyer in self.expected.members:
            self.world.remove(buyer, self.company_id, user(buyer))
            self.expected.members.remove(buyer)

    @rule(buyer=BUYERS, limit=LIMITS)
    def come(self, buyer: str, limit: Money | None) -> None:
        if buyer not in self.expected.members:
            self.world.add("ani", self.company_id, buyer, "buyer" if buyer == "budi" else "approver", limit)
            self.expected.members.add(buyer)
            self.expected.limits[buyer] = limit

    @rule(buyer=BUYERS, disabled=st.booleans())
    def disable(self, buyer: str, disabled: bool) -> None:
        self.world.disable(buyer, disabled)
        (self.expected.disabled.add if disabled else self.expected.disabled.discard)(buyer)

    @invariant()
    def what_is_recorded_is_what_was_counted(self) -> None:
        rows = self.world.query("SELECT order_id, decision, released_at FROM spending")
        recorded = {row["order_id"]: (row["decision"], row["released_at"] is not None) for row in rows}
        assert recorded == {
            order_id(order): (one.decision or None, one.is_released) for order, one in self.expected.orders.items()
        }

    @invariant()
    def members_see_what_is_counted(self) -> None:
        for buyer in self.expected.members - {"ani"}:
            spent = {each.currency: each.amount for each in self.world.member(self.company_id, buyer).spent}
            for currency in ("IDR", "USD"):
                assert spent.get(currency, 0) == self.expected.counted(buyer, currency)

    def teardown(self) -> None:
        self.world.database.close()

    def _same(self, call: Callable[[], str], expected: str) -> None:
        try:
            answer = call()
        except DomainError as refusal:
            answer = refusal.code
        assert answer == expected


TestSpending = SpendingMachine.TestCase
TestSpending.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
