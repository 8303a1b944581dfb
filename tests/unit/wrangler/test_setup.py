import fcntl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from wrangler.checkout import CHECKOUT
from wrangler.commands import SetupFailed
from wrangler.setup import Step, is_done, locked, perform, steps


class Workshop:
    """One step that copies its input to its output, and counts how often it did."""

    def __init__(self, folder: Path) -> None:
        self.input = folder / "input"
        self.output = folder / "output"
        self.stamp = folder / "stamp"
        self.runs = 0
        self.failure: BaseException | None = None
        self.input.write_text("1")
        self.step = Step("copy", (self.output,), (self.input,), ("fact",), self.copy)

    def copy(self) -> None:
        self.runs += 1
        self.output.write_text("half")
        if self.failure is not None:
            raise self.failure
        self.output.write_text(self.input.read_text())

    def set_up(self) -> None:
        if not is_done(self.step, self.stamp):
            perform(self.step, self.stamp)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_step_whose_inputs_are_the_same_is_skipped(workshop: Workshop) -> None:
    workshop.set_up()
    workshop.set_up()
    assert workshop.runs == 1


def test_step_runs_again_when_a_file_changed(workshop: Workshop) -> None:
    workshop.set_up()
    workshop.input.write_text("2")
    workshop.set_up()
    assert (workshop.runs, workshop.output.read_text()) == (2, "2")


def test_step_runs_again_when_a_fact_changed(workshop: Workshop) -> None:
    workshop.set_up()
    workshop.step = replace(workshop.step, facts=("another fact",))
    workshop.set_up()
    assert workshop.runs == 2


def test_step_runs_again_when_what_it_made_is_gone(workshop: Workshop) -> None:
    workshop.set_up()
    workshop.output.unlink()
    workshop.set_up()
    assert workshop.output.read_text() == "1"


@pytest.mark.parametrize("failure", [SetupFailed("no network"), KeyboardInterrupt(), OSError("disk full")])
def test_step_that_broke_off_is_not_done_even_with_its_former_inputs(
    workshop: Workshop, failure: BaseException
) -> None:
    workshop.set_up()
    workshop.input.write_text("2")
    workshop.failure = failure
    with pytest.raises(type(failure)):
        workshop.set_up()
    workshop.input.write_text("1")
    workshop.failure = None
    workshop.set_up()
    assert (workshop.runs, workshop.output.read_text()) == (3, "1")


def test_input_that_changes_while_the_step_runs_makes_it_run_again(workshop: Workshop) -> None:
    def change_while_running() -> None:
        workshop.copy()
        workshop.input.write_text("2")

    first = replace(workshop.step, run=change_while_running)
    perform(first, workshop.stamp)
    assert not is_done(workshop.step, workshop.stamp)


def test_failure_of_a_step_that_is_not_required_is_one_line(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop.step = replace(workshop.step, required=False)
    workshop.failure = SetupFailed("workerd did not start")
    workshop.set_up()
    assert capsys.readouterr().out == "set-up: copy\nset-up: going on without the copy: workerd did not start\n"
    assert not is_done(workshop.step, workshop.stamp)


def test_missing_input_is_named(workshop: Workshop) -> None:
    workshop.input.unlink()
    with pytest.raises(SetupFailed, match="input cannot be read"):
        workshop.set_up()
    assert workshop.runs == 0


def test_lock_is_held_by_one_set_up_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "made" / "setup.lock"
    with locked(lock), lock.open("w") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_steps_of_the_checkout_name_files_that_exist() -> None:
    files = {file for step in steps(CHECKOUT) for file in step.files}
    assert [str(file) for file in sorted(files) if not file.is_file()] == []


def test_snapshot_depends_on_all_that_the_packages_and_the_runtime_depend_on() -> None:
    by_name = {step.name: step for step in steps(CHECKOUT)}
    inputs = set(by_name["packages of the Workers"].files) | set(by_name["Python runtime for workerd"].files)
    assert inputs < set(by_name["memory snapshot"].files)


def test_set_up_needs_nothing_but_the_standard_library() -> None:
    code = f"import sys; sys.path.insert(0, {str(CHECKOUT.root)!r}); import wrangler.setup"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
