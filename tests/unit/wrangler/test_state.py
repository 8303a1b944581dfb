"""One run holds a state directory; what it keeps there is private and survives a restart."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wrangler.rendering import ROOT
from wrangler.state import CONNECTION, LOCK, PROCESS_GROUP, StateRefused, dotenv, held
from wrangler.topology import PASAR

HOLD = "import sys, time; from pathlib import Path; from wrangler.state import held\n"
HOLDER = HOLD + "with held(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"


def holder(folder: Path) -> "subprocess.Popen[bytes]":
    """Another process that holds the state."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def mode(path: Path) -> int:
    """The permission bits of a file."""
    return path.stat().st_mode & 0o777


def test_secrets_are_random_private_and_survive_a_restart(tmp_path: Path) -> None:
    with held(tmp_path / "one") as state:
        first = state.secrets(PASAR)
        assert state.secrets(PASAR) == first
        assert mode(state.folder / "secrets.json") == 0o600
    with held(tmp_path / "one") as state:
        assert state.secrets(PASAR) == first
    with held(tmp_path / "two") as state:
        assert state.secrets(PASAR)["gateway"]["STAFF_TOKEN"] != first["gateway"]["STAFF_TOKEN"]
    assert len(first["gateway"]["STAFF_TOKEN"]) >= 40
    assert len(first["user"]["SIGNING_KEY_SECRET"]) >= 40
    assert len({*first["payment"].values()}) == len(PASAR.worker("payment").optional_secrets)


def test_connection_is_private_complete_and_gone_after_the_run(tmp_path: Path) -> None:
    with held(tmp_path) as state:
        state.announce({"url": "http://127.0.0.1:1", "staff_token": "secret", "providers_url": None})
        announced = tmp_path / CONNECTION
        assert json.loads(announced.read_text()) == {
            "url": "http://127.0.0.1:1",
            "staff_token": "secret",
            "providers_url": None,
            "pid": os.getpid(),
        }
        assert mode(announced) == 0o600
    assert not announced.exists()


def test_connection_is_gone_when_the_run_ends_with_an_error(tmp_path: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt), held(tmp_path) as state:
        state.announce({"url": "http://127.0.0.1:1"})
        raise KeyboardInterrupt
    assert not (tmp_path / CONNECTION).exists()


def test_a_second_run_on_a_state_is_refused_and_disturbs_nothing(tmp_path: Path) -> None:
    process = holder(tmp_path)
    (tmp_path / CONNECTION).write_text("{}")
    try:
        with pytest.raises(StateRefused, match=f"another run \\(process {process.pid}\\) uses"), held(tmp_path):
            pytest.fail("two runs hold one state")
    finally:
        process.kill()
        process.communicate()
    assert (tmp_path / CONNECTION).exists()


def test_the_state_of_a_killed_run_can_be_used_again(tmp_path: Path) -> None:
    process = holder(tmp_path)
    (tmp_path / PROCESS_GROUP).write_text("1")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with held(tmp_path) as state:
        assert [entry.name for entry in state.folder.iterdir()] == [LOCK]


def test_fresh_empties_the_state_of_a_former_run(tmp_path: Path) -> None:
    with held(tmp_path):
        (tmp_path / "v3" / "d1").mkdir(parents=True)
        (tmp_path / "v3" / "d1" / "data.sqlite").write_text("rows")
        (tmp_path / "elsewhere").symlink_to(ROOT)
    with held(tmp_path) as state:
        state.empty()
        assert [entry.name for entry in tmp_path.iterdir()] == [LOCK]
    assert (ROOT / "wrangler").exists()


def test_fresh_does_not_empty_a_directory_that_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StateRefused, match="was never the state of a run"), held(tmp_path) as state:
        state.empty()
    assert (tmp_path / "thesis.txt").exists()


def test_a_file_cannot_be_the_state(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateRefused, match="is not a directory"), held(tmp_path / "file"):
        pytest.fail("a file was held")


def test_dotenv_quotes_what_would_end_a_value() -> None:
    assert dotenv({"TOKEN": 'a "b" # c', "OTHER": ""}) == 'TOKEN="a \\"b\\" # c"\nOTHER=""\n'
