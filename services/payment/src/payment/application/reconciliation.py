"""Reconciliation: what is in a passing state is compared with its provider, and what differs is corrected.

A webhook may be lost, a caller may never come back, a crash may leave a cancellation half done: here each
payment that waits for something is brought on all the same, by the same decisions, with its own cause.
"""

import logging

from payment.application.changes import Changes
from payment.application.ports import Looks
from payment.application.returns import Providers
from payment.application.standing import Standing
from payment.domain.looks import next_look
from shared_kernel.errors import DomainError

CAUSE = "reconciliation"
LARGEST_BATCH = 20

_log = logging.getLogger(__name__)


async def reconcile(looks: Looks, changes: Changes, providers: Providers) -> int:
    """Look at the 20 payments at most whose time has come; answers how many could be compared.

    One that fails is logged and waits for its next look; it does not keep the others waiting.
    """
    standing = Standing(changes, providers, CAUSE)
    compared = 0
    for payment, in_vain in await looks.due(changes.now(), LARGEST_BATCH):
        # First, so that a payment on which everything breaks does not stand at the head of every batch.
        await looks.postpone(payment, in_vain + 1, next_look(payment, in_vain + 1, changes.now()))
        try:
            await standing.brought_on(payment)
        except DomainError as refusal:
            _log.warning("payment %s could not be reconciled: %s", payment.id, refusal.code)
        except Exception:
            _log.exception("payment %s could not be reconciled", payment.id)
        else:
            compared += 1
    return compared
