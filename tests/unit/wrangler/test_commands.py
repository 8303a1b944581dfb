import sys
from pathlib import Path

import pytest

from wrangler.commands import SetupFailed, run


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_of_a_program_goes_to_the_log_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(python("print('fetched')"), "fetching", tmp_path / "log" / "fetch.txt")
    assert (tmp_path / "log" / "fetch.txt").read_text() == "fetched\n"
    assert capfd.readouterr() == ("", "")


def test_failure_says_the_purpose_the_error_and_the_log(tmp_path: Path) -> None:
    log = tmp_path / "fetch.txt"
    code = "print('WARNING: retrying after error'); print('ERROR: no such package'); print('bye'); raise SystemExit(1)"
    with pytest.raises(SetupFailed) as failed:
        run(python(code), "fetching", log)
    assert str(failed.value) == f"fetching failed: ERROR: no such package (the whole output is in {log})"


def test_failure_without_an_error_line_says_the_last_line(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="fetching failed: bye"):
        run(python("print('hello\\nbye'); raise SystemExit(3)"), "fetching", tmp_path / "log.txt")


def test_silent_failure_says_so(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="it said nothing"):
        run(python("raise SystemExit(3)"), "fetching", tmp_path / "log.txt")


def test_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="fetching failed: /no/such/program cannot be started"):
        run(["/no/such/program"], "fetching", tmp_path / "log.txt")


def test_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="did not end within"):
        run(python("import time; time.sleep(600)"), "fetching", tmp_path / "log.txt", timeout_seconds=0.2)
