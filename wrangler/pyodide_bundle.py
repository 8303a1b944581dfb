"""The Pyodide bundle: decides what the one file is that workerd reads instead of downloading the Python runtime.

workerd holds the Python Workers machinery and fetches Pyodide itself at run time, from a host that a laptop without a
network (or a CI machine) cannot reach. With `--pyodide-bundle-disk-cache-dir=DIR` and the compatibility flag
`python_workers_development` it reads `DIR/pyodide_dev.capnp.bin` instead. This module makes that file out of the npm
package `pyodide`: a Cap'n Proto message `Bundle { modules: List(Module) }` with the glue code, the WebAssembly and the
standard library.
"""

import json
import struct
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

PYODIDE_VERSION = "314.0.6"
BUNDLE_FILE = "pyodide_dev.capnp.bin"

_INTERNAL_MODULE = 2
_WORD_BYTES = 8
_STRUCT_DATA_WORDS = 1
_STRUCT_POINTERS = 4
_STRUCT_WORDS = _STRUCT_DATA_WORDS + _STRUCT_POINTERS
_POINTER_LIST = 1
_ELEMENT_BYTE = 2
_ELEMENT_COMPOSITE = 7
_MAX_LIST_BYTES = (1 << 29) - 1


class BundleRefused(Exception):
    """The installed `pyodide` package is not the one whose glue code this module knows how to adapt."""


class Kind(IntEnum):
    """The union tag of a bundle module: what its bytes are (workerd's `modules.capnp`)."""

    SRC = 0
    WASM = 1
    DATA = 2


@dataclass(frozen=True)
class BundleModule:
    """One module of the bundle: the name that workerd looks up, the kind of its content, and the content."""

    name: str
    kind: Kind
    content: bytes


@dataclass(frozen=True)
class Replacement:
    """A text of the glue code, how often it must occur, and what takes its place."""

    old: str
    new: str
    count: int


_PRELUDE = """\
import {
  addEventListener, getRandomValues, location, monotonicDateNow, newWasmModule, patchedLoadLibData, wasmInstantiate,
} from "pyodide-internal:builtin_wrappers";
"""

_NO_EVAL = '(()=>{throw new Error("workerd forbids eval: the Pyodide glue must not need it")})()'

# workerd forbids `eval` and compiling WebAssembly at run time, and its clock stands still between I/O; the wrappers
# that the prelude imports are workerd's own ways around these. An upgrade of Pyodide shows as a count that differs.
REPLACEMENTS = (
    Replacement("async function _createPyodideModule(", f"{_PRELUDE}export async function _createPyodideModule(", 1),
    Replacement("new WebAssembly.Module(", "newWasmModule(", 4),
    Replacement("WebAssembly.instantiate(", "wasmInstantiate(", 2),
    Replacement("Date.now", "monotonicDateNow", 22),
    Replacement("crypto.getRandomValues(", "getRandomValues(Module,", 1),
    Replacement("eval(func)", _NO_EVAL, 2),
    Replacement("eval(data)", _NO_EVAL, 1),
    Replacement("eval(UTF8ToString(ptr))", _NO_EVAL, 3),
    Replacement(
        "function loadLibData(){",
        "function loadLibData(){"
        "const patched=patchedLoadLibData(Module,libName,flags.rpath);"
        "return flags.loadAsync?Promise.resolve(patched):patched}"
        "function unpatchedLoadLibData(){",
        1,
    ),
    Replacement(
        "getMemory(metadata.memorySize+memAlign)",
        "(Module.getMemoryPatched?Module.getMemoryPatched(Module,libName,metadata.memorySize+memAlign)"
        ":getMemory(metadata.memorySize+memAlign))",
        1,
    ),
    Replacement("reportUndefinedSymbols()", "Module.reportUndefinedSymbols?.()", 3),
)


def adapt_glue(glue: str, version: str) -> str:
    """Return Pyodide's glue code with workerd's wrappers in place.

    `version` only names the package in the message of `BundleRefused`, which is raised when a text that must be
    replaced is not found exactly as often as expected.
    """
    for replacement in REPLACEMENTS:
        found = glue.count(replacement.old)
        if found != replacement.count:
            raise BundleRefused(
                f"pyodide {version}: expected {replacement.old!r} {replacement.count} times in pyodide.asm.mjs, "
                f"found it {found} times; REPLACEMENTS in wrangler/pyodide_bundle.py knows pyodide {PYODIDE_VERSION}"
            )
        glue = glue.replace(replacement.old, replacement.new)
    if "eval(" in glue:
        raise BundleRefused(f"pyodide {version}: pyodide.asm.mjs still calls eval, which workerd forbids")
    return glue


def encode(modules: list[BundleModule]) -> bytes:
    """Encode a `Bundle` as a Cap'n Proto message of one segment.

    The layout follows the Cap'n Proto encoding specification: a root pointer, the `Bundle` struct (one pointer), the
    composite list of `Module` structs (one data word and four pointers each), then the texts and the contents.
    """
    table_words = len(modules) * _STRUCT_WORDS
    words_before_blobs = 1 + 1 + 1 + table_words
    table = bytearray()
    blobs = bytearray()

    def append_blob(blob: bytes, pointer_word: int) -> bytes:
        if len(blob) > _MAX_LIST_BYTES:
            raise ValueError(f"a Cap'n Proto list holds at most {_MAX_LIST_BYTES} bytes, not {len(blob)}")
        target_word = words_before_blobs + len(blobs) // _WORD_BYTES
        blobs.extend(blob)
        blobs.extend(bytes(-len(blobs) % _WORD_BYTES))
        return _list_pointer(target_word - pointer_word - 1, _ELEMENT_BYTE, len(blob))

    for index, module in enumerate(modules):
        first_pointer_word = 1 + 1 + 1 + index * _STRUCT_WORDS + _STRUCT_DATA_WORDS
        # A Text ends in a zero byte that its length counts; all contents, source code too, are Data and do not.
        name = append_blob(module.name.encode() + b"\0", first_pointer_word)
        content = append_blob(module.content, first_pointer_word + 1)
        table += struct.pack("<HHI", _INTERNAL_MODULE, module.kind, 0) + name + content + bytes(2 * _WORD_BYTES)

    root = _struct_pointer(0, 0, 1)
    bundle = _list_pointer(0, _ELEMENT_COMPOSITE, table_words)
    tag = _struct_pointer(len(modules), _STRUCT_DATA_WORDS, _STRUCT_POINTERS)
    segment = root + bundle + tag + bytes(table) + bytes(blobs)
    return struct.pack("<II", 0, len(segment) // _WORD_BYTES) + segment


def _struct_pointer(offset_words: int, data_words: int, pointers: int) -> bytes:
    return struct.pack("<iHH", offset_words << 2, data_words, pointers)


def _list_pointer(offset_words: int, element: int, count: int) -> bytes:
    return struct.pack("<iI", offset_words << 2 | _POINTER_LIST, count << 3 | element)


def build(package: Path, folder: Path) -> Path:
    """Write `folder/pyodide_dev.capnp.bin` from the unpacked npm package and return its path.

    Raises `BundleRefused` when the package is another version than `PYODIDE_VERSION` or its glue code is not the
    expected one.
    """
    version = json.loads((package / "package.json").read_text())["version"]
    if version != PYODIDE_VERSION:
        raise BundleRefused(
            f"node_modules holds pyodide {version}, but this workerd runs pyodide {PYODIDE_VERSION}: "
            "pin that version in package.json"
        )
    glue = adapt_glue((package / "pyodide.asm.mjs").read_text(), version)
    prefix = "pyodideRuntime-internal:"
    modules = [
        BundleModule(prefix + "pyodide.asm", Kind.SRC, glue.encode()),
        BundleModule(prefix + "pyodide.asm.wasm", Kind.WASM, (package / "pyodide.asm.wasm").read_bytes()),
        BundleModule(prefix + "python_stdlib.zip", Kind.DATA, (package / "python_stdlib.zip").read_bytes()),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / BUNDLE_FILE
    partial = target.with_suffix(".partial")
    partial.write_bytes(encode(modules))
    partial.replace(target)
    return target
