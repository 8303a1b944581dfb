"""Speaking with Stripe: its amounts, the parts of its objects that matter here, and its refusals.

https://docs.stripe.com/api/errors, https://docs.stripe.com/api/idempotent_requests
"""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel

from payment.application.ports import Http, ProviderError
from payment.infrastructure.asking import ask, read
from payment.infrastructure.exponents import AmountNotTaken, rescaled
from shared_kernel.money import EXPONENTS, Money

API_VERSION = "2026-10-28.endive"

# Where Stripe's exponent is not that of ISO 4217: https://docs.stripe.com/currencies#special-cases
_EXPONENTS = {"ISK": 2, "MGA": 0, "UGX": 2}


def stripe_amount(amount: Money) -> int:
    """The amount in Stripe's units; AmountNotTaken where Stripe does not count so finely.

    Three-decimal currencies have to end in 0 (https://docs.stripe.com/currencies#three-decimal).
    """
    exponent = EXPONENTS[amount.currency]
    if exponent == 3 and amount.amount % 10:
        raise AmountNotTaken(f"Stripe takes {amount.currency} in steps of ten of its smallest units")
    return rescaled(amount.amount, exponent, _EXPONENTS.get(amount.currency, exponent))


def money_of(units: int, currency: str) -> Money:
    """Our money of Stripe's units; AmountNotTaken where it is no whole number of ours."""
    exponent = EXPONENTS[currency]
    return Money(amount=rescaled(units, _EXPONENTS.get(currency, exponent), exponent), currency=currency)


class Problem(BaseModel):
    """Why something was refused or declined."""

    type: str | None = None
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None

    @property
    def reason(self) -> str:
        """The most telling of its codes."""
        return self.decline_code or self.code or self.type or "refused"


class Redirect(BaseModel):
    """Where the customer authenticates."""

    url: str


class NextAction(BaseModel):
    """What the customer has to do."""

    redirect_to_url: Redirect | None = None


class Intent(BaseModel):
    """A PaymentIntent, its amount in Stripe's units."""

    id: str
    status: str
    amount: int
    currency: str
    cancellation_reason: str | None = None
    next_action: NextAction | None = None
    last_payment_error: Problem | None = None


class Intents(BaseModel):
    """What a search found."""

    data: list[Intent]


class StripeRefund(BaseModel):
    """A refund."""

    id: str
    status: str
    failure_reason: str | None = None
    metadata: dict[str, str] | None = None


class Refunds(BaseModel):
    """A page of refunds."""

    data: list[StripeRefund]
    has_more: bool


class StripeDispute(BaseModel):
    """A dispute, or an inquiry that may become one; its amount in Stripe's units."""

    id: str
    status: str
    amount: int
    currency: str


class StripeDisputes(BaseModel):
    """All disputes about an intent that are asked for at once."""

    data: list[StripeDispute]
    has_more: bool


class _Refusal(BaseModel):
    error: Problem


class Refused(Exception):
    """Stripe did nothing, and said why."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(f"Stripe answered {status}: {problem.reason}")
        self.code = problem.reason
        # Only what Stripe writes for the cardholder is passed on: its other messages repeat what was sent.
        self.detail = (problem.message if status == 402 else None) or "Stripe refused the request"


Model = TypeVar("Model", bound=BaseModel)


class StripeApi:
    """Stripe's API at this address, with this secret key."""

    def __init__(self, http: Http, base_url: str, secret_key: str) -> None:
        self._http = http
        self._base_url = base_url
        self._secret_key = secret_key

    async def get(self, wanted: type[Model], path: str, query: Mapping[str, str] | None = None) -> Model:
        """The object at the path below /v1/; Refused, ProviderError."""
        model, _ = await self._ask(wanted, "GET", f"{path}?{urlencode(query)}" if query else path)
        return model

    async def post(
        self, wanted: type[Model], path: str, fields: Mapping[str, str], key: str | None = None
    ) -> tuple[Model, bool]:
        """The answer, and whether it is the one that was given to this idempotency key before; Refused,
        ProviderError."""
        return await self._ask(wanted, "POST", path, urlencode(fields), key)

    async def _ask(
        self, wanted: type[Model], method: str, path: str, body: str | None = None, key: str | None = None
    ) -> tuple[Model, bool]:
        headers = {"authorization": f"Bearer {self._secret_key}", "stripe-version": API_VERSION}
        if body is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
        if key:
            headers["idempotency-key"] = key
        answer = await ask(self._http, "Stripe", method, f"{self._base_url}/v1/{path}", headers, body)
        if answer.status < 300:
            return read("Stripe", wanted, answer), answer.headers.get("idempotent-replayed") == "true"
        if answer.status not in (400, 402, 404):
            raise ProviderError(f"Stripe answered {answer.status}")
        problem = read("Stripe", _Refusal, answer).error
        if problem.type == "idempotency_error":
            raise ProviderError("Stripe knows the idempotency key for another request")
        raise Refused(answer.status, problem)
