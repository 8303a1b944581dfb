import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrangler.checkout import CHECKOUT
from wrangler.pyodide_bundle import (
    BUNDLE_FILE,
    PYODIDE_VERSION,
    REPLACEMENTS,
    BundleModule,
    BundleRefused,
    Kind,
    Replacement,
    adapt_glue,
    build,
    encode,
)


def decode(message: bytes) -> list[BundleModule]:
    """Read a message as Cap'n Proto's encoding specification says, by the pointers alone."""
    segments_minus_one, segment_words = struct.unpack_from("<II", message)
    assert segments_minus_one == 0
    assert len(message) == 8 + segment_words * 8
    words = message[8:]

    def pointer(at_word: int) -> tuple[int, int, int]:
        low, high = struct.unpack_from("<iI", words, at_word * 8)
        return low & 3, at_word + 1 + (low >> 2), high

    def octets(at_word: int) -> bytes:
        kind, target, high = pointer(at_word)
        assert (kind, high & 7) == (1, 2)
        return words[target * 8 : target * 8 + (high >> 3)]

    kind, bundle, sizes = pointer(0)
    assert (kind, sizes) == (0, 0x0001_0000)
    kind, tag, high = pointer(bundle)
    assert (kind, high & 7) == (1, 7)
    count = struct.unpack_from("<i", words, tag * 8)[0] >> 2
    data_words, pointers = struct.unpack_from("<HH", words, tag * 8 + 4)
    assert high >> 3 == count * (data_words + pointers)
    modules = []
    for index in range(count):
        start = tag + 1 + index * (data_words + pointers)
        internal, union_tag = struct.unpack_from("<HH", words, start * 8)
        name, content = octets(start + data_words), octets(start + data_words + 1)
        assert internal == 2
        assert name.endswith(b"\0")
        modules.append(BundleModule(name[:-1].decode(), Kind(union_tag), content))
    return modules


def glue(replacements: tuple[Replacement, ...] = REPLACEMENTS) -> str:
    """Glue code with every text that is to be replaced, and nothing else."""
    return "".join(f"{one.old}; " * one.count for one in replacements)


def package(folder: Path, *, version: str = PYODIDE_VERSION, code: str | None = None) -> Path:
    folder.mkdir()
    (folder / "package.json").write_text(json.dumps({"version": version}))
    (folder / "pyodide.asm.mjs").write_text(glue() if code is None else code)
    (folder / "pyodide.asm.wasm").write_bytes(b"\0asm")
    (folder / "python_stdlib.zip").write_bytes(b"PK")
    return folder


@given(
    st.lists(
        st.builds(
            BundleModule,
            st.text(st.characters(codec="utf-8", exclude_characters="\0")),
            st.sampled_from(Kind),
            st.binary(),
        )
    )
)
def test_message_decodes_to_the_modules_it_was_made_of(modules: list[BundleModule]) -> None:
    assert decode(encode(modules)) == modules


def test_bundle_holds_the_three_modules_that_workerd_looks_up(tmp_path: Path) -> None:
    path = build(package(tmp_path / "pyodide"), tmp_path / "made")
    source, wasm, library = decode(path.read_bytes())
    assert path == tmp_path / "made" / BUNDLE_FILE
    assert (source.name, source.kind) == ("pyodideRuntime-internal:pyodide.asm", Kind.SRC)
    assert source.content == adapt_glue(glue(), PYODIDE_VERSION).encode()
    assert wasm == BundleModule("pyodideRuntime-internal:pyodide.asm.wasm", Kind.WASM, b"\0asm")
    assert library == BundleModule("pyodideRuntime-internal:python_stdlib.zip", Kind.DATA, b"PK")


def test_other_version_is_refused_by_both_names_and_leaves_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match=rf"pyodide 314\.0\.7.*pyodide {PYODIDE_VERSION}"):
        build(package(tmp_path / "pyodide", version="314.0.7"), tmp_path / "made")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("index", range(len(REPLACEMENTS)))
@pytest.mark.parametrize("difference", [-1, 1])
def test_place_that_is_found_once_too_often_or_too_rarely_is_refused(index: int, difference: int) -> None:
    changed = list(REPLACEMENTS)
    changed[index] = replace(changed[index], count=changed[index].count + difference)
    with pytest.raises(BundleRefused, match=f"pyodide {PYODIDE_VERSION}: expected"):
        adapt_glue(glue(tuple(changed)), PYODIDE_VERSION)


def test_call_of_eval_that_no_replacement_knows_is_refused() -> None:
    with pytest.raises(BundleRefused, match="eval"):
        adapt_glue(glue() + "eval(unknown)", PYODIDE_VERSION)


def test_nothing_that_workerd_forbids_is_left_in_the_glue() -> None:
    adapted = adapt_glue(glue(), PYODIDE_VERSION)
    for forbidden in ("eval(", "new WebAssembly.Module(", "WebAssembly.instantiate(", "Date.now", "crypto."):
        assert forbidden not in adapted


@pytest.fixture
def installed_package() -> Path:
    folder = CHECKOUT.node_modules / "pyodide"
    if not folder.is_dir():
        pytest.skip("npm has not installed pyodide")
    return folder


def test_installed_package_is_the_one_whose_places_are_known(installed_package: Path, tmp_path: Path) -> None:
    source, wasm, library = decode(build(installed_package, tmp_path).read_bytes())
    assert b"export async function _createPyodideModule(" in source.content
    assert wasm.content == (installed_package / "pyodide.asm.wasm").read_bytes()
    assert library.content == (installed_package / "python_stdlib.zip").read_bytes()
