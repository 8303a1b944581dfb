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


@pytest.mark.parametrize("link", [True, False])
def test_mirror_holds_the_worker_and_its_packages_in_real_folders(tmp_path: Path, link: bool) -> None:
    service = write(tmp_path / "service", {"entry.py": "e", "order/domain/order.py": "o"})
    kernel = write(tmp_path / "kernel", {"__init__.py": "", "contracts/order.py": "c"})
    target = tmp_path / "config" / "src"
    mirror({"": service, "shared_kernel": kernel}, target, link=link)
    assert contents(target) == {
        "entry.py": "e",
        "order/domain/order.py": "o",
        "shared_kernel/__init__.py": "",
        "shared_kernel/contracts/order.py": "c",
    }
    assert not any(folder.is_symlink() for folder in target.rglob("*") if folder.is_dir())


def test_edit_of_a_source_is_seen_through_a_linked_mirror(tmp_path: Path) -> None:
    service = write(tmp_path / "service", {"entry.py": "old"})
    mirror({"": service}, tmp_path / "src", link=True)
    write(service, {"entry.py": "new"})
    assert contents(tmp_path / "src") == {"entry.py": "new"}


def test_edit_of_a_source_is_not_seen_through_a_copied_mirror(tmp_path: Path) -> None:
    service = write(tmp_path / "service", {"entry.py": "old"})
    mirror({"": service}, tmp_path / "src", link=False)
    write(service, {"entry.py": "new"})
    assert contents(tmp_path / "src") == {"entry.py": "old"}


@pytest.mark.parametrize("link", [True, False])
def test_file_that_left_the_sources_leaves_the_mirror(tmp_path: Path, link: bool) -> None:
    service = write(tmp_path / "service", {"entry.py": "e", "gone/old.py": "g"})
    mirror({"": service}, tmp_path / "src", link=link)
    (service / "gone" / "old.py").unlink()
    mirror({"": service}, tmp_path / "src", link=link)
    assert [path.name for path in (tmp_path / "src").rglob("*")] == ["entry.py"]


def test_links_of_a_folder_become_copies_and_copies_links(tmp_path: Path) -> None:
    service = write(tmp_path / "service", {"entry.py": "e"})
    for link in (True, False, True):
        mirror({"": service}, tmp_path / "src", link=link)
        assert (tmp_path / "src" / "entry.py").is_symlink() is link
        assert (service / "entry.py").read_text() == "e"


def test_named_folders_alone_leave_the_rest_of_the_target(tmp_path: Path) -> None:
    kernel = write(tmp_path / "kernel", {"__init__.py": ""})
    target = write(tmp_path / "src", {"entry.py": "mine", "shared_kernel/stale.py": "s"})
    mirror({"shared_kernel": kernel}, target, link=False)
    assert contents(target) == {"entry.py": "mine", "shared_kernel/__init__.py": ""}


def test_copy_that_is_right_is_not_written_again(tmp_path: Path) -> None:
    service = write(tmp_path / "service", {"entry.py": "e"})
    mirror({"": service}, tmp_path / "src", link=False)
    copy = tmp_path / "src" / "entry.py"
    written = copy.stat()
    mirror({"": service}, tmp_path / "src", link=False)
    assert (copy.stat().st_ino, copy.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_caches_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    service = write(tmp_path / "service", {"entry.py": "e", "__pycache__/entry.pyc": "c", ".hidden": "h"})
    mirror({"": service}, tmp_path / "src", link=True)
    assert contents(tmp_path / "src") == {"entry.py": "e"}


def test_missing_source_folder_is_named_and_changes_nothing(tmp_path: Path) -> None:
    target = write(tmp_path / "src", {"shared_kernel/__init__.py": ""})
    with pytest.raises(FileNotFoundError, match="nowhere"):
        mirror({"shared_kernel": tmp_path / "nowhere"}, target, link=True)
    assert contents(target) == {"shared_kernel/__init__.py": ""}
