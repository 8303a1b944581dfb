"""The refusals of the payment service, each with its code."""

from shared_kernel.errors import Conflict, Invalid, NotFound, Unavailable


class IllegalChange(Conflict):
    """The payment's status does not lead where it was asked to go."""

    code = "illegal_payment_change"


class PaymentCancelled(Conflict):
    """The payment was cancelled, before or while it was being taken; no money is kept."""

    code = "payment_cancelled"


class NotRefundable(Conflict):
    """Nothing was captured, or it is being given back already."""

    code = "not_refundable"


class RefundExceedsCaptured(Conflict):
    """More was asked for than is left of what was captured."""

    code = "refund_exceeds_captured"


class RefundNotFound(NotFound):
    """No refund has this id."""

    code = "refund_not_found"


class RefundNotDue(Conflict):
    """The refund is not one that staff have to pay by hand."""

    code = "refund_not_due"


class RefundAlreadySettled(Conflict):
    """Another request has recorded the refund as paid by hand."""

    code = "refund_already_settled"


class PaymentDisputed(Conflict):
    """The payment's bank is deciding about the same money."""

    code = "payment_disputed"


class AmountNotPositive(Invalid):
    """A payment and a refund are of at least one minor unit."""

    code = "amount_not_positive"


class IdempotencyKeyReused(Invalid):
    """The key belongs to a request that asked for something else."""

    code = "idempotency_key_reused"


class ProviderNotAvailable(Invalid):
    """This environment does not have that provider."""

    code = "provider_not_available"


class WebhookNotFound(NotFound):
    """No webhook has this id."""

    code = "webhook_not_found"


class WebhookFailed(Unavailable):
    """The webhook is kept, but could not have its effect yet."""

    code = "webhook_failed"


class SandboxNotWaiting(Conflict):
    """The sandbox has no charge under this payment that waits to be paid."""

    code = "sandbox_not_waiting"
