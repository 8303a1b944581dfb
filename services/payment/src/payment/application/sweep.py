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
from payment.domain.payment import Payment
from shared_kernel.clock import rfc3339
from shared_kernel.errors import DomainError

UNTOUCHED_FOR = timedelta(seconds=60)
PAGE = 20
MOST_PAGES = 5

_log = logging.getLogger(__name__)


async def sweep(payments: Payments, changes: Changes, returns: Returns) -> int:
    """Finish payments that nobody touched for a minute, the oldest first; answers how many it finished.

    It takes them in pages of 20, at most five. One that fails is logged and waits for the next sweep; as it
    stays the oldest, the sweep goes on past it, so that it does not keep the others waiting.
    """
    unchanged_since = rfc3339(changes.now() - UNTOUCHED_FOR)
    finished = 0
    last: Payment | None = None
    for _ in range(MOST_PAGES):
        page = await payments.unfinished(unchanged_since, last, PAGE)
        for last in page:
            finished += await _is_finished(returns, last)
        if len(page) < PAGE:
            break
    return finished


async def _is_finished(returns: Returns, payment: Payment) -> bool:
    try:
        await returns.complete_all(payment)
    except DomainError as refusal:
        _log.warning("payment %s could not be finished: %s", payment.id, refusal.code)
    except Exception:
        _log.exception("payment %s could not be finished", payment.id)
    else:
        return True
    return False
