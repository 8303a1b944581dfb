"""Amounts in another exponent than ours, exactly or not at all.

A provider counts some currencies in other units than ISO 4217 does; its own module knows which.
"""

from shared_kernel.errors import Invalid


class AmountNotTaken(Invalid):
    """The provider does not take this amount, or this currency, at all."""

    code = "payment_details_invalid"


def rescaled(amount: int, exponent: int, wanted_exponent: int) -> int:
    """The same amount counted in units of 10^-wanted_exponent; AmountNotTaken when that leaves a fraction.

    >>> rescaled(5, 0, 2), rescaled(500, 2, 0)
    (500, 5)
    """
    factor: int = 10 ** abs(wanted_exponent - exponent)
    if wanted_exponent >= exponent:
        return amount * factor
    whole, fraction = divmod(amount, factor)
    if fraction:
        raise AmountNotTaken("the provider does not take fractions of this currency's unit")
    return whole
