"""When reconciliation looks at a payment that nobody else brings on.

A minute after the last change, then after two, four and so on up to an hour, and soon after the payment's expiry; not
while somebody asks the provider for a refund, which a claim on it puts off (`D1Payments.claim_refund`).
One that was cancelled while the provider could still take money for it is watched for a day after its expiry:
from then on only a webhook brings it back. A dispute takes weeks, so it is looked at with pauses of up to a day.
"""

from datetime import datetime, timedelta

from payment.domain.payment import Payment

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
LONGEST_PAUSE_DISPUTED = timedelta(days=1)
AFTER_EXPIRY = timedelta(seconds=5)
WATCHED_AFTER_EXPIRY = timedelta(days=1)


def next_look(payment: Payment, looks: int, now: datetime) -> datetime | None:
    """The time of the next look after this many looks in vain; None when there is nothing to look for."""
    expires_at = payment.charge.expires_at
    if not payment.is_passing or (payment.status == "cancelled" and now > expires_at + WATCHED_AFTER_EXPIRY):
        return None
    longest = LONGEST_PAUSE_DISPUTED if payment.status == "disputed" else LONGEST_PAUSE
    # Beyond eleven doublings the pause is the longest one anyway; the power is bounded so that it cannot overflow.
    at = now + min(FIRST_PAUSE * 2 ** min(looks, 11), longest)
    return expires_at + AFTER_EXPIRY if payment.is_open and now <= expires_at < at else at
