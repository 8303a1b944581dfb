"""Webhooks: verified, kept, and then a reason to look the payment up; never the truth themselves.

A webhook is done once its look-up was written down. Until then its sender gets no 200 and sends it again, the
cron tries it with growing pauses, and staff can run it.
"""

import logging
from datetime import datetime, timedelta

from payment.application.changes import Changes
from payment.application.ports import KeptWebhook, Notice, Webhook, WebhookBodies, WebhookBook
from payment.application.returns import Providers, provider_named
from payment.application.standing import Standing
from payment.domain.charge import RefundPending
from payment.domain.errors import WebhookFailed, WebhookNotFound
from payment.domain.payment import Payment
from shared_kernel.contracts import payment as contract
from shared_kernel.errors import DomainError, NotFound
from shared_kernel.ids import new_id

LARGEST_BATCH = 20
MOST_FORGOTTEN = 100
TRIED_FOR = timedelta(days=1)
"""By the cron, after a minute, two, four and so on, and at last every six hours."""

_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=6)
_log = logging.getLogger(__name__)


async def forget_bodies(bodies: WebhookBodies, now: datetime, kept_days: int) -> int:
    """Empty the bodies of 100 webhooks at most that are done and older than that: they hold personal data, and to know
    a webhook again its id is enough. Answers how many."""
    return await bodies.forget(now - timedelta(days=kept_days), MOST_FORGOTTEN)


class Webhooks:
    """The contract's `Webhooks`, and running again what was kept."""

    def __init__(self, book: WebhookBook, changes: Changes, providers: Providers) -> None:
        self._book = book
        self._changes = changes
        self._providers = providers

    async def receive(self, request: contract.DeliverWebhook) -> contract.WebhookReceipt:
        """The webhook with its effect; see the contract for what it raises."""
        return await self.take(
            Webhook(request.provider, request.headers, request.body, request.path_secret, request.address)
        )

    async def take(self, webhook: Webhook) -> contract.WebhookReceipt:
        """Verify, keep, act; what was done before is answered at once, unless the payment still waits."""
        provider = provider_named(self._providers, webhook.provider)
        notice = await provider.read_webhook(webhook)
        now = self._changes.now()
        kept = await self._book.keep(new_id("whk", now), webhook, notice, now)
        if kept.status == "done" and not await self._has_more_to_tell(kept):
            return contract.WebhookReceipt(id=kept.id, status="done")
        return await self._act(kept)

    async def _has_more_to_tell(self, kept: KeptWebhook) -> bool:
        """Whether the payment still waits: where a provider's webhook has no id of its own, one that came too early
        and the one that tells of the end can look the same."""
        payment = await self._changes.find_for(kept.provider, kept.notice)
        return payment is not None and payment.is_passing

    async def run(self, webhook_id: str) -> contract.WebhookReceipt:
        """One more attempt, whatever became of the others; WebhookNotFound, WebhookFailed."""
        kept = await self._book.find(webhook_id)
        if kept is None:
            raise WebhookNotFound("there is no such webhook")
        return await self._act(kept)

    async def run_due(self) -> int:
        """Try again what failed or was left; answers how many of the 20 at most are done now."""
        done = 0
        for kept in await self._book.due(self._changes.now(), LARGEST_BATCH):
            try:
                await self._act(kept)
            except WebhookFailed:
                continue
            except Exception:
                _log.exception("webhook %s could not be tried", kept.id)
                continue
            done += 1
        return done

    async def _act(self, kept: KeptWebhook) -> contract.WebhookReceipt:
        code = None
        try:
            await self._effect(kept)
        except DomainError as refusal:
            _log.warning("webhook %s of %s had no effect: %s", kept.id, kept.provider, refusal.code)
            code = refusal.code
        except Exception:
            _log.exception("webhook %s of %s had no effect", kept.id, kept.provider)
            code = "internal_error"
        if code is None:
            await self._book.mark(kept, None, None)
            return contract.WebhookReceipt(id=kept.id, status="done")
        now = self._changes.now()
        # By its age, and not by its attempts: a provider that sends it six times in a minute must not put it off.
        age = now - kept.received_at
        retry_at = now + min(max(age, _FIRST_PAUSE), _LONGEST_PAUSE) if age < TRIED_FOR else None
        await self._book.mark(kept, code, retry_at)
        raise WebhookFailed("the webhook is kept, but could not have its effect yet")

    async def _effect(self, kept: KeptWebhook) -> None:
        notice = kept.notice
        if notice == Notice(notice.event_id):
            # Genuine, but about nothing of ours: providers tell of much more than payments.
            return
        payment = await self._changes.find_for(kept.provider, notice)
        if payment is None:
            raise NotFound("no payment is known by this reference", code="payment_not_found")
        cause = f"webhook {kept.id}"
        payment = await self._with_refund_reference(payment, notice, cause)
        await Standing(self._changes, self._providers, cause).looked_up(payment, notice)

    async def _with_refund_reference(self, payment: Payment, notice: Notice, cause: str) -> Payment:
        refund_id, reference = notice.refund_key, notice.refund_reference
        if refund_id is None or reference is None:
            return payment
        # How the refund stands the provider is asked next, by this reference.
        known = RefundPending(reference)
        return await self._changes.change(
            payment, lambda current, at: current.refund_settled(refund_id, known, at), cause
        )
