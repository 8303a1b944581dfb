"""A cursor: the last item of a list that a reader has seen, in the order in which he reads.

It travels as base64url of JSON; to the reader it is opaque. It names its list's order, so that the cursor
of another order is refused instead of giving a wrong page.
"""

import base64
from typing import Annotated

from pydantic import Field, ValidationError

from shared_kernel.contracts.model import Message
from shared_kernel.errors import Invalid
from shared_kernel.ids import Id
from shared_kernel.money import LARGEST_AMOUNT_MINOR

Key = Annotated[int, Field(strict=True, ge=0, le=LARGEST_AMOUNT_MINOR)] | str


class InvalidCursor(Invalid):
    """The cursor was not given out for this list in this order."""

    code = "invalid_cursor"

    def __init__(self) -> None:
        super().__init__("the cursor was not given out for this list in this order")


class Cursor(Message):
    """A place in a list: the sort key's value, and the id where two have the same."""

    order: str
    key: Key
    id: Id

    def encode(self) -> str:
        """The cursor as it is given out."""
        return base64.urlsafe_b64encode(self.model_dump_json().encode()).decode().rstrip("=")

    @staticmethod
    def decode(text: str, order: str, key: type[int] | type[str]) -> "Cursor":
        """The cursor that was given out for a list in this order with such keys; InvalidCursor for anything else."""
        try:
            padded = text + "=" * (-len(text) % 4)
            cursor = Cursor.model_validate_json(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (ValueError, ValidationError) as failure:
            raise InvalidCursor from failure
        if cursor.order != order or not isinstance(cursor.key, key):
            raise InvalidCursor
        return cursor
