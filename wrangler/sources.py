"""The sources of a Worker: decides which files stand below its main module, where wrangler collects them.

wrangler walks the folder of the main module and takes what it finds there; it follows a link to a file, but silently
leaves out a link to a folder. A package that several Workers share must therefore stand below each of them as a real
folder, of copies: in the folder that a local run makes for the Worker, and in a service's own where it is deployed from
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


def mirror(folders: Mapping[str, Path], target: Path) -> bool:
    """Make each folder of `target` that `folders` names hold exactly the files of the source folder it names.

    Gives whether that changed any.

    The key is the place below `target`; `""` is `target` itself, and then nothing but the named folders is left in it.
    A file that is right already is not touched, so a watcher that starts this again comes to rest. New files stand
    before others are changed, which may import them: a watcher may look at any moment. Raises `FileNotFoundError` when
    a source folder is missing: a Worker without its packages would fail much later.
    """
    wanted: dict[Path, Path] = {}
    for place, folder in folders.items():
        if not folder.is_dir():
            raise FileNotFoundError(f"the source folder {folder} does not exist")
        wanted.update({target / place / relative: folder.resolve() / relative for relative in source_files(folder)})
    changes = [_remove_strangers(target / place, wanted) for place in folders]
    for path, source in sorted(wanted.items(), key=lambda one: one[0].exists()):
        path.parent.mkdir(parents=True, exist_ok=True)
        changes.append(_copy(path, source))
    return any(changes)


def _remove_strangers(folder: Path, wanted: Mapping[Path, Path]) -> bool:
    removed = False
    for parent, folders, files in os.walk(folder, topdown=False):
        for path in (Path(parent, name) for name in (*folders, *files)):
            if path not in wanted and (path.is_symlink() or path.is_file()):
                path.unlink()
                removed = True
        if not os.listdir(parent):
            os.rmdir(parent)
    return removed


def _copy(path: Path, source: Path) -> bool:
    if path.is_symlink():
        path.unlink()
    if path.exists() and filecmp.cmp(path, source, shallow=False):
        return False
    shutil.copyfile(source, path)
    return True


def main(arguments: list[str]) -> None:
    """Copy each `NAME=FOLDER` of `arguments` to `src/NAME` of the service whose folder is the current one."""
    named = dict(argument.split("=", 1) for argument in arguments)
    mirror({name: Path(folder) for name, folder in named.items()}, Path("src"))


if __name__ == "__main__":
    main(sys.argv[1:])
