from __future__ import annotations

from pathlib import Path

import pytest

from nas.documents import MAX_BYTES, MAX_DEPTH, check_keys, parse_yaml, read_yaml
from nas.errors import InputError

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_values_follow_the_core_schema_of_yaml_1_2() -> None:
    text = "a: 3\nb: 1e-3\nc: true\nd: null\ne: no\nf: 1:1:7:1\ng: 2024-05-01\nh: '3'\ni: [1, {j: 2.5}]\nk: 0.5\n"
    assert parse_yaml(text, name="t") == {
        "a": 3, "b": 0.001, "c": True, "d": None, "e": "no", "f": "1:1:7:1", "g": "2024-05-01", "h": "3",
        "i": [1, {"j": 2.5}], "k": 0.5,
    }  # fmt: skip


def test_small_aliases_are_expanded() -> None:
    assert parse_yaml("a: &x {k: 1}\nb: [*x, *x]\n", name="t") == {"a": {"k": 1}, "b": [{"k": 1}, {"k": 1}]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("{}", "is empty"),
        ("- 1\n- 2\n", "holds a list"),
        ("word", "holds a string"),
        ("a: !!python/object/apply:os.system [x]\n", "line 1: tags are not allowed"),
        ("a: 1\nb: !mine 2\n", "line 2: tags are not allowed"),
        ("a: 1\na: 2\n", "line 2: a key must be given once"),
        ("1: a\n", "keys must be strings"),
        ("? [a, b]\n: c\n", "keys must be strings"),
        ("a: &x [*x]\n", "an alias must refer to a finished value"),
        ("a: *nowhere\n", "an alias must refer to a finished value"),
        ("a: [1\n", "must be valid YAML"),
        ("a: 1\n---\nb: 2\n", "one document"),
        ("a: " + "[" * (MAX_DEPTH + 1), "deep"),
        (LAUGHS, "at most 100000 values"),
    ],
)
def test_a_bad_document_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match="^file.yaml") as caught:
        parse_yaml(text, name="file.yaml")
    assert words in str(caught.value)


@pytest.mark.parametrize("content", [b"\x80\x81\xff", b"a: \x00", bytes(range(256)), b"a" * (MAX_BYTES + 1)])
def test_a_bad_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match="file.yaml"):
        read_yaml(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent.yaml"):
        read_yaml(tmp_path / "absent.yaml")


def test_check_keys_names_place_and_nearest_key() -> None:
    with pytest.raises(InputError, match=r"f.yaml: stem: keys must be known, but got 'widht'; did you mean 'width'\?"):
        check_keys({"widht": 1}, ("width", "kernel"), "f.yaml: stem")
    with pytest.raises(InputError, match="'kernel' must be given"):
        check_keys({"width": 1}, ("width", "kernel"), "f.yaml: stem", required=("kernel",))
    with pytest.raises(InputError, match="is a list"):
        check_keys([1], ("width",), "f.yaml: stem")
