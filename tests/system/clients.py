"""The HTTP clients of tests that ask many things at once: none is used by two threads, and none keeps a connection."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import httpx


class Clients:
    """Lends each request a client of its own.

    A client that threads share fails where they are slow: httpcore takes a connection that a thread was given, but has
    not begun to use, for an idle one, and closes it when it has been idle for long ("Bad file descriptor"). And a
    connection that is kept may be closed by the server just when it is used again.
    """

    def __init__(
        self, base_url: str, timeout_seconds: float, on_response: Sequence[Callable[[httpx.Response], None]] = ()
    ) -> None:
        self._base_url = base_url
        self._timeout_seconds = timeout_seconds
        self._on_response = on_response
        self._idle: list[httpx.Client] = []

    @contextmanager
    def lent(self) -> Iterator[httpx.Client]:
        """A client for the length of the block, in which nobody else has it."""
        try:
            client = self._idle.pop()
        except IndexError:
            client = self._made()
        try:
            yield client
        finally:
            self._idle.append(client)

    def close(self) -> None:
        """Close those that are not lent."""
        while self._idle:
            self._idle.pop().close()

    def _made(self) -> httpx.Client:
        return httpx.Client(
            base_url=self._base_url,
            timeout=self._timeout_seconds,
            limits=httpx.Limits(max_keepalive_connections=0),
            event_hooks={"response": [*self._on_response]},
            # A crowd's clients would each read the certificates of which nobody has need here.
            verify=False,
            trust_env=False,
        )
