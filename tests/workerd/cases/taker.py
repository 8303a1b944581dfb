"""A queue in memory that takes everything, or nothing."""

from collections.abc import Sequence


class Taker:
    """Keeps the texts that it took."""

    def __init__(self, is_down: bool = False) -> None:
        self.is_down = is_down
        self.taken: list[str] = []

    async def send_batch(self, messages: Sequence[str]) -> None:
        """Take them; RuntimeError when it is down."""
        if self.is_down:
            raise RuntimeError("the queue refuses")
        self.taken += messages
