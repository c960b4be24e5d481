from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.accuracy.artifact import read_prior, write_prior
from nas.errors import InputError
from nas.jobs.predictor import fit_predictor
from tests.accuracy.tables import SHIPPED, copied, invented, small_prior


def _replaced(folder: Path, content: bytes, **manifest: Any) -> None:
    """Put `content` in the place of the arrays, with its right checksum."""
    document = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    document["sha256"]["prior.npz"] = hashlib.sha256(content).hexdigest()
    (folder / "prior.npz").write_bytes(content)
    (folder / "manifest.json").write_text(json.dumps({**document, **manifest}), encoding="utf-8")


def _arrays(**changes: Any) -> bytes:
    with np.load(SHIPPED / "prior.npz") as found:
        arrays = {name: found[name] for name in found.files} | changes
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


def test_a_written_prior_reads_back_and_writes_the_same_bytes(tmp_path: Path) -> None:
    write_prior(tmp_path / "a", small_prior(), {"name": "small"})
    again, manifest = read_prior(tmp_path / "a")
    assert manifest["name"] == "small"
    features = invented().features
    for one, other in zip(again.predict_features(features), small_prior().predict_features(features), strict=True):
        assert np.allclose(one, other, rtol=0, atol=1e-9)
    write_prior(tmp_path / "b", small_prior(), {"name": "small"})
    for name in ("manifest.json", "prior.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_shipped_files_have_the_checksums_of_the_manifest() -> None:
    manifest = json.loads((SHIPPED / "manifest.json").read_text(encoding="utf-8"))
    for name in ("rows.csv", "operators.csv.gz", "prior.npz"):
        assert hashlib.sha256((SHIPPED / name).read_bytes()).hexdigest() == manifest["sha256"][name], name
    assert {"features", "rows", "split", "scores", "versions"} <= manifest.keys()


def test_the_shipped_arrays_are_rebuilt_bit_for_bit_on_the_machine_that_made_them(tmp_path: Path) -> None:
    _, prior = fit_predictor(SHIPPED)
    write_prior(tmp_path, prior, {})
    if (tmp_path / "prior.npz").read_bytes() != (SHIPPED / "prior.npz").read_bytes():
        # Another processor rounds differently; what it predicts is the same all the same.
        shipped = read_prior(SHIPPED)[0]
        features = shipped.rows.features[::7] * shipped.spread + shipped.centre
        for one, other in zip(prior.predict_features(features), shipped.predict_features(features), strict=True):
            assert np.allclose(one, other, rtol=0, atol=1e-4)
        pytest.skip("made on another machine: predictions agree, bytes need not")


def test_a_tampered_file_is_named(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    content = bytearray((folder / "prior.npz").read_bytes())
    content[1000] ^= 1
    (folder / "prior.npz").write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"prior\.npz must have the checksum"):
        read_prior(folder)


class _Callable:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("executed",)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(_arrays()[:5000], id="truncated"),
        pytest.param(b"", id="empty"),
        pytest.param(b"not an archive" * 100, id="not an archive"),
        pytest.param(_array(), id="one array"),
        pytest.param(_arrays(family=np.array(["a"] * 513)), id="words"),
        pytest.param(_arrays(targets=np.array([_Callable()], dtype=object)), id="pickled"),
        pytest.param(_arrays(targets=np.zeros(3)), id="another shape"),
        pytest.param(_arrays(centre=np.full(len(np.load(SHIPPED / "prior.npz")["centre"]), np.nan)), id="NaN"),
    ],
)
def test_arrays_that_are_none_are_refused_by_name(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(tmp_path)
    _replaced(folder, content)
    with pytest.raises(InputError, match=r"prior\.npz must hold the arrays of a prior"):
        read_prior(folder)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [({"features": ["log_macs"]}, "features"), ({"format": 99}, "format 1"), ({"sha256": 3}, "format 1")],
)
def test_a_foreign_manifest_is_refused_by_name(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    document = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**document, **change}), encoding="utf-8")
    with pytest.raises(InputError, match=rf"manifest\.json.*{words}"):
        read_prior(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "\ud800", "[" * 100_000])
def test_a_manifest_that_is_no_document_is_refused_by_name(text: str, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=r"manifest\.json must be"):
        read_prior(folder)
