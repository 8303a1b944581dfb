import os
import shutil
from pathlib import Path

import pytest

from wrangler.sources import mirror


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_mirror_holds_the_worker_and_its_packages_in_real_folders(tmp_path: Path) -> None:
    service = write(tmp_path / "service", {"entry.py": "e", "order/domain/order.py": "o"})
    kernel = write(tmp_path / "kernel", {"__init__.py": "", "contracts/order.py": "c"})
    target = tmp_path / "config" / "src"
    mirror({"": service, "shared_kernel": kernel}, target)
    assert contents(target) == {
        "entry.py": "e",
        "order/domain/order.py": "o",
        "shared_kernel/__init__.py": "",
        "shared_kernel/contracts/order.py": "c",
    }
    assert not any(folder.is_symlink() for folder in target.rglob("*") if folder.is_dir())


def test_edit_of_a_source_reaches_the_mirror_when_it_is_made_again(tmp_path: Path) -> None:
    service = write(tmp_path / "service", {"entry.py": "old"})
    mirror({"": service}, tmp_path / "src")
    write(service, {"entry.py": "new"})
    assert contents(tmp_path / "src") == {"entry.py": "old"}
    mirror({"": service}, tmp_path / "src")
    assert contents(tmp_path / "src") == {"entry.py": "new"}


def test_new_file_stands_before_a_file_that_may_import_it_is_changed(tmp_path: Path) -> None:
    service = write(tmp_path / "service", {"entry.py": "import new", "new.py": "n"})
    target = tmp_path / "src"
    target.mkdir()
    # Nothing can be copied there: what is done before the attempt is what stands.
    os.mkfifo(target / "entry.py")
    with pytest.raises(shutil.SpecialFileError):
        mirror({"": service}, target)
    assert (target / "new.py").read_text() == "n"


def test_mirror_tells_whether_it_changed_anything(tmp_path: Path) -> None:
    service = write(tmp_path / "service", {"entry.py": "e", "order/order.py": "o"})
    edits: list[dict[str, str]] = [{"entry.py": "edited"}, {"order/new.py": "n"}]
    assert mirror({"": service}, tmp_path / "src")
    assert not mirror({"": service}, tmp_path / "src")
    for edit in edits:
        write(service, edit)
        assert mirror({"": service}, tmp_path / "src")
        assert not mirror({"": service}, tmp_path / "src")
    (service / "order" / "order.py").unlink()
    assert mirror({"": service}, tmp_path / "src")
    assert not mirror({"": service}, tmp_path / "src")


def test_file_that_left_the_sources_leaves_the_mirror(tmp_path: Path) -> None:
    service = write(tmp_path / "service", {"entry.py": "e", "gone/old.py": "g"})
    mirror({"": service}, tmp_path / "src")
    (service / "gone" / "old.py").unlink()
    mirror({"": service}, tmp_path / "src")
    assert [path.name for path in (tmp_path / "src").rglob("*")] == ["entry.py"]


def test_links_in_a_folder_become_copies(tmp_path: Path) -> None:
    service = write(tmp_path / "service", {"entry.py": "e"})
    target = tmp_path / "src"
    target.mkdir()
    (target / "entry.py").symlink_to(service / "entry.py")
    mirror({"": service}, target)
    assert not (target / "entry.py").is_symlink()
    assert contents(target) == contents(service) == {"entry.py": "e"}


def test_named_folders_alone_leave_the_rest_of_the_target(tmp_path: Path) -> None:
    kernel = write(tmp_path / "kernel", {"__init__.py": ""})
    target = write(tmp_path / "src", {"entry.py": "mine", "shared_kernel/stale.py": "s"})
    mirror({"shared_kernel": kernel}, target)
    assert contents(target) == {"entry.py": "mine", "shared_kernel/__init__.py": ""}


def test_copy_that_is_right_is_not_written_again(tmp_path: Path) -> None:
    service = write(tmp_path / "service", {"entry.py": "e"})
    mirror({"": service}, tmp_path / "src")
    copy = tmp_path / "src" / "entry.py"
    written = copy.stat()
    mirror({"": service}, tmp_path / "src")
    assert (copy.stat().st_ino, copy.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_caches_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    service = write(tmp_path / "service", {"entry.py": "e", "__pycache__/entry.pyc": "c", ".hidden": "h"})
    mirror({"": service}, tmp_path / "src")
    assert contents(tmp_path / "src") == {"entry.py": "e"}


def test_missing_source_folder_is_named_and_changes_nothing(tmp_path: Path) -> None:
    target = write(tmp_path / "src", {"shared_kernel/__init__.py": ""})
    with pytest.raises(FileNotFoundError, match="nowhere"):
        mirror({"shared_kernel": tmp_path / "nowhere"}, target)
    assert contents(target) == {"shared_kernel/__init__.py": ""}
