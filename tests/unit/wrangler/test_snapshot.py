from pathlib import Path

import pytest

from tests.unit.wrangler.workerd_double import checkout_with
from wrangler.commands import SetupFailed
from wrangler.snapshot import configuration, make

# A workerd that saves a snapshot and starts from one; it notes its command line in the log.
WORKERD = """\
for argument do
  case $argument in
    --python-snapshot-dir=*) folder=${argument#*=} ;;
    --python-save-snapshot) saves=yes ;;
    --python-load-snapshot=*) loads=${argument#*=} ;;
    --control-fd=*) control=${argument#*=} ;;
  esac
done
"""
SAVES = '[ -z "$saves" ] || echo memory > "$folder/snapshot.bin"\n'
CANNOT_LOAD = '[ -z "$loads" ] || { echo "fatal error: wrong memory"; exit 1; }\n'
LISTENS = """\
echo '{"event":"listen","socket":"http","port":1}' > "/dev/fd/$control"
exec sleep 600
"""
DATE = "2026-11-17"


def test_snapshot_is_made_once_it_was_loaded(tmp_path: Path) -> None:
    loads = '[ -z "$loads" ] || [ -f "$folder/$loads" ] || exit 1\n'
    checkout = checkout_with(tmp_path, WORKERD + SAVES + loads + LISTENS)
    make(checkout, DATE)
    assert (checkout.snapshot_folder / "snapshot.bin").read_text() == "memory\n"


def test_snapshot_that_no_worker_can_start_from_is_not_kept(tmp_path: Path) -> None:
    checkout = checkout_with(tmp_path, WORKERD + SAVES + CANNOT_LOAD + LISTENS)
    checkout.snapshot_folder.mkdir()
    (checkout.snapshot_folder / "snapshot.bin").write_text("of the packages before")
    with pytest.raises(SetupFailed, match="fatal error: wrong memory"):
        make(checkout, DATE)
    assert not checkout.snapshot_folder.exists()


def test_workerd_that_saves_nothing_is_a_failure(tmp_path: Path) -> None:
    checkout = checkout_with(tmp_path, WORKERD + LISTENS)
    with pytest.raises(SetupFailed, match="saved no snapshot"):
        make(checkout, DATE)


def test_workerd_that_ends_at_once_is_a_failure(tmp_path: Path) -> None:
    checkout = checkout_with(tmp_path, "exit 0")
    with pytest.raises(SetupFailed, match="workerd did not start"):
        make(checkout, DATE)


def test_main_modules_of_the_snapshot_have_no_name_that_a_worker_could_have(tmp_path: Path) -> None:
    checkout = checkout_with(tmp_path, WORKERD + SAVES + LISTENS)
    make(checkout, DATE)
    names = sorted(path.name for path in checkout.snapshot_folder.glob("*.py"))
    assert names == ["pasar_snapshot.py", "pasar_snapshot_trial.py"]


def test_configuration_embeds_every_vendored_file_but_caches(tmp_path: Path) -> None:
    for name in ("workers/workflows.js", "pydantic/main.py", "pydantic/data.json", "pydantic/main.pyc"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    text = configuration("main.py", tmp_path, DATE)
    assert '(name = "main.py", pythonModule = embed "main.py")' in text
    assert '(name = "python_modules/workers/workflows.js", esModule = embed' in text
    assert '(name = "python_modules/pydantic/main.py", data = embed' in text
    assert '(name = "python_modules/pydantic/data.json", data = embed' in text
    assert "main.pyc" not in text
    assert f'compatibilityDate = "{DATE}"' in text
