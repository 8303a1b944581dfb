"""Where a test takes a simulator's webhooks in, as the gateway would, and hands them to an adapter."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from payment.application.ports import Webhook


class Inbox:
    """The webhooks that arrived at `address`, oldest first; the provider is the path's third part.

    `on_arrival` is called before the webhook is answered.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.webhooks: list[Webhook] = []
        self.on_arrival: Callable[[Webhook], object] | None = None
        self._arrived = threading.Condition()

    def take(self, webhook: Webhook) -> None:
        """Put one in."""
        with self._arrived:
            self.webhooks.append(webhook)
            self._arrived.notify_all()

    def wait_for(self, count: int, timeout_seconds: float = 10) -> list[Webhook]:
        """All webhooks as soon as there are this many; TimeoutError."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.webhooks) >= count, timeout_seconds):
                raise TimeoutError(f"{len(self.webhooks)} of {count} webhooks arrived")
            return list(self.webhooks)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    inbox: Inbox


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        _, _, _, provider, *secret = self.path.split("/")
        headers = {name.lower(): value for name, value in self.headers.items()}
        address = str(self.client_address[0])
        webhook = Webhook(provider, headers, body, secret[0] if secret else "", address)
        if self.server.inbox.on_arrival:
            self.server.inbox.on_arrival(webhook)
        self.server.inbox.take(webhook)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what arrived is in the inbox."""


@contextlib.contextmanager
def taking_in() -> Iterator[Inbox]:
    """An inbox on a free port of 127.0.0.1, until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.inbox = Inbox(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.inbox
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
