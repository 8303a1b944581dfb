"""The sweep: finishes what a crash left half done and nobody came back to.

A cancellation that was marked, or a refund that was written, is a promise to give money back. Who asked
for it usually repeats; when they do not, this does. Payments that are merely `created` are left to whoever
holds the token.
"""

import logging
from datetime import timedelta

from payment.application.changes import Changes
from payment.application.ports import Payments
from payment.application.returns import Returns
from shared_kernel.clock import rfc3339
from shared_kernel.errors import DomainError

UNTOUCHED_FOR = timedelta(seconds=60)
LARGEST_SWEEP = 20

_log = logging.getLogger(__name__)


async def sweep(payments: Payments, changes: Changes, returns: Returns) -> int:
    """Finish at most 20 payments that nobody touched for a minute; answers how many it finished.

    One that fails is logged and waits for the next sweep; it does not keep the others waiting.
    """
    finished = 0
    for payment in await payments.unfinished(rfc3339(changes.now() - UNTOUCHED_FOR), LARGEST_SWEEP):
        try:
            await returns.complete_all(payment)
        except DomainError as refusal:
            _log.warning("payment %s could not be finished: %s", payment.id, refusal.code)
        except Exception:
            _log.exception("payment %s could not be finished", payment.id)
        else:
            finished += 1
    return finished
