"""Changes of payments: load, decide, save with cause and event, and decide again when somebody was quicker."""

from collections.abc import Callable
from datetime import datetime, timedelta

from payment.application.ports import LostRace, Notice, Payments
from payment.domain.events import told_by
from payment.domain.payment import Payment
from shared_kernel.clock import Clock
from shared_kernel.errors import NotFound, Unavailable
from shared_kernel.events import Event, event
from shared_kernel.ids import new_id

SOURCE = "/services/payment"
ATTEMPTS = 20
ASKING = timedelta(seconds=90)
"""How long nobody else asks a provider for a refund. The longest that asking takes where nothing but this keeps two
apart is 68 seconds (M-Pesa: twice an access token at the second try, each at most `TIME_FOR_ALL_SECONDS`, and a post of
10); Xendit's post has ended after 34. Stripe and PayPal know a repetition by its key, however late it comes."""

Decision = Callable[[Payment, datetime], Payment]
"""What becomes of the payment at this time; the very same object when nothing changes."""


class Changes:
    """The way to every change of a payment; `publish` asks for the outbox to be sent."""

    def __init__(self, payments: Payments, publish: Callable[[], None], clock: Clock, traceparent: str) -> None:
        self._payments = payments
        self._publish = publish
        self._clock = clock
        self._traceparent = traceparent

    def now(self) -> datetime:
        """The time that a first version is made at."""
        return self._clock()

    async def find(self, payment_id: str) -> Payment | None:
        """The payment as it is stored, if it is."""
        return await self._payments.find(payment_id)

    async def find_for(self, provider: str, notice: Notice) -> Payment | None:
        """The payment of this provider that a webhook is about, if we have it."""
        return await self._payments.find_for(provider, notice)

    async def get(self, payment_id: str) -> Payment:
        """The payment as it is stored; NotFound."""
        payment = await self._payments.find(payment_id)
        if payment is None:
            raise NotFound("there is no such payment", code="payment_not_found")
        return payment

    async def claim_refund(self, refund_id: str) -> bool:
        """Whether the caller, and for 90 seconds nobody else, is to ask the provider for this refund. It ends with an
        answer that is recorded; where none came, the provider may still be at it, so it runs out."""
        now = self._clock()
        return await self._payments.claim_refund(refund_id, now, now + ASKING)

    async def add(self, payment: Payment, cause: str) -> Payment:
        """Store a first version, and answer it; or the one that somebody stored under its key meanwhile."""
        told = self._event(None, payment)
        try:
            await self._payments.add(payment, cause, told)
        except LostRace:
            return await self.get(payment.id)
        self._send(told)
        return payment

    async def change(self, payment: Payment, decide: Decision, cause: str) -> Payment:
        """Decide and save, at most 20 times; Unavailable when others were quicker each time.

        The cause is written down with the change: `saga`, `provider_answer`, `webhook <id>`, `reconciliation` or
        `staff <id>`.
        """
        for _ in range(ATTEMPTS):
            changed = decide(payment, self._clock())
            if changed is payment:
                return payment
            told = self._event(payment, changed)
            try:
                await self._payments.save(payment, changed, cause, told)
            except LostRace:
                payment = await self.get(payment.id)
            else:
                self._send(told)
                return changed
        raise Unavailable("the payment is being changed by others; try again", code="payment_busy")

    def _send(self, told: Event | None) -> None:
        if told is not None:
            self._publish()

    def _event(self, before: Payment | None, after: Payment) -> Event | None:
        told = told_by(before, after)
        if told is None:
            return None
        kind, data = told
        now = self._clock()
        return event(kind, after.id, data, id=new_id("evt", now), at=now, source=SOURCE, traceparent=self._traceparent)
