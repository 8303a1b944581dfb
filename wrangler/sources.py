"""The sources of a Worker: decides which files stand below its main module, where wrangler collects them.

wrangler walks the folder of the main module and takes what it finds there; it follows a link to a file, but silently
leaves out a link to a folder. A package that several Workers share must therefore stand below each of them as a real
folder: links to its files in a local run (an edit is seen at once), copies where a service's own folder is deployed
(`python3 ../../wrangler/sources.py shared_kernel=../../shared_kernel`, the `build` command of `wrangler.jsonc`).
"""

import filecmp
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path


def source_files(folder: Path) -> Iterator[Path]:
    """Yield the source files below `folder`, relative to it; hidden ones and what Python caches are left out."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
        if not hidden and path.is_file():
            yield relative


def mirror(folders: Mapping[str, Path], target: Path, *, link: bool) -> None:
    """Make each folder of `target` that `folders` names hold exactly the files of the source folder it names.

    The key is the place below `target`; `""` is `target` itself, and then nothing but the named folders is left in it.
    A file that is right already is not touched, so a watcher that starts this again comes to rest. Raises
    `FileNotFoundError` when a source folder is missing: a Worker without its packages would fail much later.
    """
    wanted: dict[Path, Path] = {}
    for place, folder in folders.items():
        if not folder.is_dir():
            raise FileNotFoundError(f"the source folder {folder} does not exist")
        wanted.update({target / place / relative: folder.resolve() / relative for relative in source_files(folder)})
    for place in folders:
        _remove_strangers(target / place, wanted)
    for path, source in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if link:
            _link(path, source)
        else:
            _copy(path, source)


def _remove_strangers(folder: Path, wanted: Mapping[Path, Path]) -> None:
    for parent, folders, files in os.walk(folder, topdown=False):
        for path in (Path(parent, name) for name in (*folders, *files)):
            if path not in wanted and (path.is_symlink() or path.is_file()):
                path.unlink()
        if not os.listdir(parent):
            os.rmdir(parent)


def _link(path: Path, source: Path) -> None:
    if path.is_symlink() and path.readlink() == source:
        return
    path.unlink(missing_ok=True)
    path.symlink_to(source)


def _copy(path: Path, source: Path) -> None:
    if path.is_symlink():
        path.unlink()
    if not path.exists() or not filecmp.cmp(path, source, shallow=False):
        shutil.copyfile(source, path)


def main(arguments: list[str]) -> None:
    """Copy each `NAME=FOLDER` of `arguments` to `src/NAME` of the service whose folder is the current one."""
    named = dict(argument.split("=", 1) for argument in arguments)
    mirror({name: Path(folder) for name, folder in named.items()}, Path("src"), link=False)


if __name__ == "__main__":
    main(sys.argv[1:])
