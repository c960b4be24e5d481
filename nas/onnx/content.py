"""What a file of a network is, by its content: names and endings are often wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nas.errors import InputError

ONNX, LITERT = "onnx", "tflite"
_HEAD = 512
_PREDICTS = "`nas lut predict {path} --device NAME` predicts it, `nas measure {path} --device local` times it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A kind of file: what it is in words, and what to do with it."""

    words: str
    remedy: str


_EXPORT = "export the network to ONNX (`torch.onnx.export`), and give that file"
CONTENTS: Mapping[str, Content] = {
    ONNX: Content(words="an ONNX network", remedy=_PREDICTS),
    LITERT: Content(
        words="a LiteRT (TensorFlow Lite) network",
        remedy="`nas measure {path} --device local-litert` times it; to predict, give its ONNX file or architecture",
    ),
    "lfs": Content(
        words="a pointer of Git LFS, the network itself not fetched", remedy="fetch it: `git lfs pull --include {path}`"
    ),
    "ort": Content(
        words="a network in ONNX Runtime's own format (.ort)", remedy="give the .onnx file that it was converted from"
    ),
    "html": Content(words="a web page", remedy="download the file itself (on GitHub: the raw file)"),
    "zip": Content(words="a zip archive (PyTorch and Keras save such)", remedy=_EXPORT),
    "pickle": Content(words="a pickle (of an older PyTorch), which is never read", remedy=_EXPORT),
    "safetensors": Content(words="weights alone (safetensors), without operators", remedy=_EXPORT),
    "hdf5": Content(
        words="an HDF5 file (Keras saves such)", remedy="export the network to ONNX (tf2onnx), and give that file"
    ),
    "gzip": Content(words="compressed (gzip)", remedy="unpack it first: `gunzip {path}`"),
    "gguf": Content(words="a GGUF file (of llama.cpp)", remedy=_EXPORT),
    "numpy": Content(words="an array of NumPy", remedy=_EXPORT),
    "xml": Content(words="an XML file (OpenVINO writes such)", remedy="give the ONNX file that it was converted from"),
    "coreml": Content(words="a Core ML package", remedy="give the ONNX file or the architecture that it was made from"),
    "saved_model": Content(
        words="a SavedModel of TensorFlow", remedy="export the network to ONNX (tf2onnx), and give that file"
    ),
}
_BEGINNINGS: Mapping[bytes, str] = {
    b"version https://git-lfs": "lfs", b"PK\x03\x04": "zip", b"\x89HDF": "hdf5", b"\x1f\x8b": "gzip", b"GGUF": "gguf",
    b"\x93NUMPY": "numpy", b"<?xml": "xml", b"\x80\x02": "pickle", b"\x80\x03": "pickle", b"\x80\x04": "pickle",
    b"\x80\x05": "pickle",
}  # fmt: skip


def kind_of_file(reference: str | Path) -> str:
    """The kind of the file at `reference`, a key of `CONTENTS`; "" for none, for text, and for what is not known.

    An ending in .onnx or .tflite, in letters of any size, is believed where the content says nothing else.
    """
    path = Path(reference)
    try:
        by_ending = {".onnx": ONNX, ".tflite": LITERT}.get(path.suffix.lower(), "")
        if not path.is_file():
            return _kind_of_folder(path) or by_ending
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except (OSError, ValueError):  # a name that is none, such as one with a NUL
        return ""
    return _kind_of_bytes(head) or by_ending


def _kind_of_folder(path: Path) -> str:
    if (path / "Manifest.json").is_file():
        return "coreml"
    return "saved_model" if (path / "saved_model.pb").is_file() else ""


def _kind_of_bytes(head: bytes) -> str:
    for beginning, kind in _BEGINNINGS.items():
        if head.startswith(beginning):
            return kind
    if head[4:8] in (b"TFL3", b"ORTM"):
        return LITERT if head[4:8] == b"TFL3" else "ort"
    if head[8:10] == b'{"' and head[6:8] == b"\0\0":
        return "safetensors"
    if head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        return "html"
    # Field 1 of a model is the version of its format, a small number; the next field is a text or a message.
    return ONNX if len(head) > 3 and head[0] == 0x08 and 0 < head[1] < 0x40 and head[2] & 7 == 2 else ""


def other_file(path: str | Path, wanted: str) -> InputError | None:
    """The error for a file that must be `wanted` and is some other kind of network; None where nothing is known."""
    content = CONTENTS.get(kind_of_file(path))
    if content is None:
        return None
    return InputError(f"{path} must be {wanted}, but is {content.words}; {content.remedy.format(path=path)}.")
