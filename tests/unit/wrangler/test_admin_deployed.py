"""The first admin of a deployed environment, with the real wrangler against a Cloudflare of the test's own."""

import hashlib
import http.server
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wrangler.checkout import CHECKOUT
from wrangler.first_admin import AddressTaken, account, deployed, make
from wrangler.rendering import ROOT
from wrangler.topology import PASAR

PASSWORD = "ikan bakar di tepi laut"


class Cloudflare(http.server.ThreadingHTTPServer):
    """One D1 database, `pasar-user-staging`, that takes files of SQL as D1's import does: all of one, or nothing."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Api)
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        for path in sorted((ROOT / "services" / "user" / "migrations").glob("*.sql")):
            self.database.executescript(path.read_text())
        self.uploaded = b""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"

    def run(self) -> dict[str, object]:
        """The answer to the wish to run what was uploaded."""
        try:
            self.database.executescript(f"BEGIN;{self.uploaded.decode()};COMMIT;")
        except sqlite3.IntegrityError as error:
            self.database.rollback()
            return {"success": False, "status": "error", "error": f"{error}: SQLITE_CONSTRAINT"}
        meta = {"duration": 1, "rows_read": 0, "rows_written": 1, "size_after": 1}
        done = {"num_queries": 1, "final_bookmark": "b", "meta": meta}
        return {"success": True, "status": "complete", "at_bookmark": "a", "messages": [], "result": done}


class Api(http.server.BaseHTTPRequestHandler):
    """The paths of Cloudflare's API that `wrangler d1 execute --remote` asks."""

    server: Cloudflare

    def do_GET(self) -> None:
        """Say which database there is."""
        found = self.path.startswith("/accounts/someone/d1/database/pasar-user-staging")
        self._answer({"uuid": "11111111-2222-3333-4444-555555555555", "name": "pasar-user-staging"}, found=found)

    def do_PUT(self) -> None:
        """Take an upload."""
        self.server.uploaded = self._body()
        self._answer({}, etag=hashlib.md5(self.server.uploaded).hexdigest())

    def do_POST(self) -> None:
        """Take a step of an import."""
        if json.loads(self._body())["action"] == "init":
            told: dict[str, object] = {"filename": "admin.sql", "upload_url": f"{self.server.url}/upload"}
        else:
            told = self.server.run()
        self._answer(told)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["content-length"] or 0))

    def _answer(self, result: dict[str, object], *, found: bool = True, etag: str = "") -> None:
        errors = [] if found else [{"code": 7404, "message": "there is no such database"}]
        told = {"success": found, "errors": errors, "messages": [], "result": result}
        self.send_response(200 if found else 404)
        self.send_header("content-type", "application/json")
        self.send_header("etag", f'"{etag}"')
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def cloudflare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloudflare]:
    """The platform that wrangler finds."""
    server = Cloudflare()
    monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", server.url)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "a-token")
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "someone")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with server:
        yield server
        server.shutdown()
        thread.join()
    server.database.close()


def test_the_account_reaches_the_environments_database_once(cloudflare: Cloudflare) -> None:
    execute = deployed(CHECKOUT, "staging")
    make(PASAR, CHECKOUT, "staging", account("ibu@pasar.example", "Ibu", PASSWORD), execute)
    with pytest.raises(AddressTaken):
        make(PASAR, CHECKOUT, "staging", account("ibu@pasar.example", "Another", PASSWORD), execute)
    found = cloudflare.database.execute("SELECT email, name, given_role FROM users").fetchall()
    assert found == [("ibu@pasar.example", "Ibu", "admin")]
    assert PASSWORD not in cloudflare.uploaded.decode()
