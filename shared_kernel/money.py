"""Money: a whole number of minor units and an ISO 4217 code.

There are no fractions and no rounding here: what does not divide is shared out by `allocate` so that
the parts add up to the whole. Amounts stay within what JSON numbers and D1 hold exactly (2^53 - 1).
"""

import functools
import operator
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from shared_kernel.errors import Invalid

LARGEST_AMOUNT_MINOR = 2**53 - 1

# The exponents are those of ISO 4217's list one; a currency is added here before it can be used.
EXPONENTS = {
    "AUD": 2, "CAD": 2, "CHF": 2, "CNY": 2, "EUR": 2, "GBP": 2, "IDR": 2, "INR": 2, "JPY": 0, "KES": 2,
    "KRW": 0, "KWD": 3, "MYR": 2, "PHP": 2, "SGD": 2, "THB": 2, "TZS": 2, "UGX": 0, "USD": 2, "VND": 0,
}  # fmt: skip


class CurrencyMismatch(Invalid):
    """Two currencies met where only one makes sense."""

    code = "currency_mismatch"


class AmountOutOfRange(Invalid):
    """The amount cannot be held exactly."""

    code = "amount_out_of_range"


def _known(currency: str) -> str:
    if currency not in EXPONENTS:
        raise ValueError(f"not a supported ISO 4217 currency code; supported: {', '.join(EXPONENTS)}")
    return currency


Currency = Annotated[str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(EXPONENTS)})]


class Money(BaseModel):
    """An exact amount in minor units (`{"amount": 125000, "currency": "IDR"}` is IDR 1,250.00)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: Annotated[int, Field(strict=True, ge=-LARGEST_AMOUNT_MINOR, le=LARGEST_AMOUNT_MINOR)]
    currency: Currency

    def __add__(self, other: "Money") -> "Money":
        return _money(self.amount + self._same(other).amount, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return _money(self.amount - self._same(other).amount, self.currency)

    def times(self, quantity: int) -> "Money":
        """This price for `quantity` pieces; AmountOutOfRange when it cannot be held."""
        return _money(self.amount * quantity, self.currency)

    def allocate(self, weights: Sequence[int]) -> list["Money"]:
        """Shares by weight that add up to exactly this amount.

        What is left after rounding down goes, one minor unit each, to the largest remainders (the
        earlier first). Invalid when there is no positive weight or a negative one.
        """
        total = sum(weights)
        if total <= 0 or min(weights) < 0:
            raise Invalid("weights must be zero or more and not all zero", code="invalid_weights")
        floors, remainders = zip(*(divmod(self.amount * weight, total) for weight in weights), strict=True)
        by_remainder = sorted(range(len(weights)), key=lambda place: (-remainders[place], place))
        topped_up = set(by_remainder[: self.amount - sum(floors)])
        return [_money(floor + (place in topped_up), self.currency) for place, floor in enumerate(floors)]

    def __str__(self) -> str:
        exponent = EXPONENTS[self.currency]
        return f"{self.currency} {Decimal(self.amount).scaleb(-exponent):,.{exponent}f}"

    def _same(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} cannot be mixed")
        return other


def _money(amount_minor: int, currency: str) -> Money:
    if abs(amount_minor) > LARGEST_AMOUNT_MINOR:
        raise AmountOutOfRange("the amount is larger than can be held exactly")
    return Money(amount=amount_minor, currency=currency)


def total(amounts: Iterable[Money]) -> Money:
    """The sum; Invalid for nothing at all (which has no currency), CurrencyMismatch for a mix."""
    listed = list(amounts)
    if not listed:
        raise Invalid("the sum of no amounts has no currency", code="nothing_to_add")
    return functools.reduce(operator.add, listed)
