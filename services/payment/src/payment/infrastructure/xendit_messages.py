"""What Xendit answers and tells, as far as the adapter reads it.

Source: the schemas of docs.xendit.co/apidocs (Payments API v3). An answer may repeat what was sent, so nothing but its
code is passed on.
"""

from decimal import Decimal

from pydantic import BaseModel, Field, JsonValue, RootModel, ValidationError

from payment.application.ports import HttpAnswer, ProviderError

# Several requests may have our reference where answers were lost: what was paid counts, then what can still be.
_BY_WEIGHT = ("SUCCEEDED", "AUTHORIZED", "REQUIRES_ACTION", "ACCEPTING_PAYMENTS", "FAILED", "EXPIRED", "CANCELED")


class Action(BaseModel):
    """Something that the customer has to do."""

    descriptor: str
    value: str


class PaymentRequest(BaseModel):
    """A payment request, as far as we read it."""

    payment_request_id: str
    reference_id: str
    request_amount: Decimal
    currency: str
    status: str
    channel_code: str | None = None
    latest_payment_id: str | None = None
    failure_code: str | None = None
    actions: list[Action] = []

    @property
    def weight(self) -> int:
        """Which of several with one reference counts: the smallest."""
        return _BY_WEIGHT.index(self.status) if self.status in _BY_WEIGHT else 0


class PaymentRequests(BaseModel):
    """A page of payment requests."""

    data: list[PaymentRequest]


class Refund(BaseModel):
    """A refund of a payment."""

    refund_id: str
    reference_id: str
    amount: Decimal
    currency: str
    status: str
    failure_code: str | None = None


class Refunds(RootModel[list[Refund]]):
    """All refunds of a payment."""


class _Error(BaseModel):
    """The provider's code, never its message: a message may repeat what it was sent."""

    error_code: str = Field(pattern="^[A-Z0-9_]{1,80}$")


class Subject(BaseModel):
    """What an event is about: a payment, a payment request or a refund."""

    payment_request_id: str | None = None
    payment_id: str | None = None
    refund_id: str | None = None
    id: str | None = None
    reference_id: str | None = None
    status: str | None = None
    metadata: dict[str, JsonValue] | None = None
    # A refund's webhook is documented as an event within an event.
    data: "Subject | None" = None


class Event(BaseModel):
    """A webhook's body."""

    event: str
    data: Subject


def error_code(answer: HttpAnswer) -> str:
    """Why Xendit refused; `UNKNOWN` where it did not say."""
    try:
        return _Error.model_validate_json(answer.text).error_code
    except ValidationError:
        return "UNKNOWN"


def unclear(answer: HttpAnswer) -> ProviderError:
    """The answer decides nothing."""
    return ProviderError(f"Xendit answered {answer.status} {error_code(answer)}")
