"""Claims on one refund that reach D1 at the same time."""

from collections.abc import Sequence
from datetime import timedelta

from pyodide.ffi import to_js

from payment.domain.charge import Captured
from payment.domain.payment import Terms, requested
from payment.infrastructure.d1 import D1Payments
from shared_kernel.cloudflare import bindings
from shared_kernel.money import Money
from shared_kernel.sql import Database, Outcome, Row, SqlValue, Statement
from tests.workerd.cases.scratch import NOW

AT_ONCE = 20


class Unsent:
    """A database that keeps the one batch that it is given."""

    kept: Sequence[Statement] = ()

    async def rows(self, sql: str, *parameters: SqlValue) -> list[Row]:
        raise AssertionError("only its batch is asked for")

    async def text(self, sql: str, *parameters: SqlValue) -> str | None:
        raise AssertionError("only its batch is asked for")

    async def batch(self, statements: Sequence[Statement]) -> list[Outcome]:
        self.kept = statements
        return [Outcome([], 0) for _ in statements]


async def test_of_twenty_claims_on_a_refund_at_once_one_wins(payment_db: Database) -> None:
    payments = D1Payments(payment_db)
    asked = requested("order-1", Terms("ord_1", Money(amount=1000, currency="IDR"), "sandbox", "card"), NOW, NOW)
    await payments.add(asked, "saga", None)
    paid = asked.settled(Captured("p_1"), NOW)
    await payments.save(asked, paid, "provider_answer", None)
    begun = paid.refunding("rfd_1", Money(amount=5, currency="IDR"), "damaged", NOW)
    await payments.save(paid, begun, "staff staff", None)
    unsent = Unsent()
    assert not await D1Payments(unsent).claim_refund("rfd_1", NOW, NOW + timedelta(seconds=90))
    binding = bindings().PAYMENT_DB
    # A promise of JavaScript is on its way before anybody waits for it, which a coroutine is not.
    sent = [
        binding.batch(to_js([binding.prepare(sql).bind(*parameters) for sql, parameters in unsent.kept]))
        for _ in range(AT_ONCE)
    ]
    won = [(await answer)[0].results.length for answer in sent]
    assert sorted(won) == [0] * (AT_ONCE - 1) + [1]
