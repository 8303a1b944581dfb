"""The rotation of the signing key, against a shop of the test's own."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wrangler.signing_keys import TOKEN_VARIABLE, RotationFailed, main, rotate, run, sign_in

PASSWORD = "ikan bakar di tepi laut"


class Shop(http.server.BaseHTTPRequestHandler):
    """Knows one admin, whose token is `good`, and keeps two keys."""

    def do_POST(self) -> None:
        """Answer one request."""
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        if self.path == "/api/auth/login":
            self._answer(*_signed_in(json.loads(body)))
        elif self.path != "/api/signing-keys/rotate":
            self._answer(404, {"code": "not_found"})
        elif self.headers["authorization"] != "Bearer good":
            self._answer(401, {"code": "invalid_token"})
        else:
            self._answer(200, {"keys": [{"kid": "key_new", "kty": "OKP", "x": "1"}, {"kid": "key_old", "kty": "OKP"}]})

    def _answer(self, status: int, told: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _signed_in(body: dict[str, str]) -> tuple[int, dict[str, object]]:
    if body != {"email": "admin@pasar.example", "password": PASSWORD}:
        return 401, {"code": "invalid_credentials"}
    return 200, {"access_token": "good", "token_type": "Bearer", "expires_in": 600, "refresh_token": "r"}


@pytest.fixture
def url() -> Iterator[str]:
    """Where the shop answers."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with server:
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def announced(folder: Path, url: str, password: str = PASSWORD) -> list[str]:
    """The options that name the state of a running system."""
    connection = {"url": url, "staff_token": "s", "pid": 1}
    connection |= {"admin_email": "admin@pasar.example", "admin_password": password}
    (folder / "connection.json").write_text(json.dumps(connection))
    return ["--state", str(folder)]


def test_the_keys_are_told_by_their_ids(url: str) -> None:
    assert rotate(url, sign_in(url, "admin@pasar.example", PASSWORD)) == ["key_new", "key_old"]


def test_a_local_system_is_asked_as_its_admin(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert main(announced(tmp_path, url)) == 0
    assert capsys.readouterr().out == "The keys that verify access tokens now:\nkey_new\nkey_old\n"


def test_a_deployed_shop_is_asked_with_the_token_of_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "good")
    assert run(["--url", f"{url}/"]) == ["key_new", "key_old"]
    monkeypatch.setenv(TOKEN_VARIABLE, "stale")
    with pytest.raises(RotationFailed, match=r"rotate was answered 401: .*invalid_token"):
        run(["--url", url])


def test_a_refused_sign_in_is_one_sentence_without_the_password(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert main(announced(tmp_path, url, "not the password")) == 1
    said = capsys.readouterr().err
    assert said.startswith("pasar: POST /api/auth/login was answered 401")
    assert "not the password" not in said


def test_a_state_without_a_running_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RotationFailed, match=r"no system runs on .*; a deployed one is named by --url"):
        run(["--state", str(tmp_path)])


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://shop.example:https", "shop.example"])
def test_an_address_where_no_shop_answers_is_named(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "good")
    assert main(["--url", address]) == 1
    assert capsys.readouterr().err.startswith(f"pasar: {address} gave no answer: ")


def test_ctrl_c_at_a_question_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_question: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.setattr("builtins.input", interrupted)
    assert main(["--url", "http://127.0.0.1:9"]) == 130
    assert capsys.readouterr().err == "\npasar: interrupted\n"
