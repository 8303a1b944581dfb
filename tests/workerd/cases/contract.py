"""The contract of the test Worker's other entrypoint, which answers, refuses and breaks as it is told."""

from typing import Literal, Protocol

from shared_kernel.contracts.model import Message


class Ask(Message):
    """How to answer."""

    manner: Literal["answer", "refuse", "break", "dawdle"]
    words: str = ""


class Answer(Message):
    """The words that were sent, and who sent them."""

    words: str
    principal: str


class Other(Protocol):
    """The contract."""

    async def ask(self, request: Ask) -> Answer:
        """The same words; Conflict `refused_as_told` when that was wanted."""
        ...
