"""Running the files of a trained network: on one image, and on all held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import InputError, NasError
from nas.space.resolution import height_width
from nas.zoo.entry import Entry, find_entry
from nas.zoo.formats import FORMATS
from nas.zoo.pixels import PIXEL_FORMATS
from nas.zoo.pixels import Run as PixelRun

if TYPE_CHECKING:
    from nas.training.heldout import HeldOut

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""One image as the network takes it (1, c, h, w) → its logits (1, classes)."""


def training_of(entry: Entry) -> dict[str, Any]:
    """What is recorded of the training of `entry`. Raises `InputError` where it is untrained."""
    training = entry.manifest.get("training")
    if not isinstance(training, dict):
        raise InputError(f"{entry.name} must be trained to know classes, but is untrained; train it with `nas train`.")
    return training


def predict(reference: str, images: Sequence[Path], *, top: int = 5) -> list[dict[str, Any]]:
    """What the ONNX file of the trained network `reference` says of each image: its `top` classes with probabilities.

    Images are read and sized as held-out ones are. Raises `InputError` for an image that cannot be read.
    """
    from nas.data.check import read_file
    from nas.data.image import UnreadableError, draw
    from nas.data.words import shown

    entry = find_entry(reference)
    classes = training_of(entry)["classes"]
    size, channels = height_width(entry.manifest["resolution"]), entry.manifest["in_channels"]
    run, values = _runner(entry, "onnx"), _values(entry)
    records = []
    for path in images:
        try:
            pixels = draw(read_file(path), size, channels)
        except UnreadableError as error:
            raise InputError(f"{shown(str(path))} must be a picture, but {error}; give another.") from error
        logits = run(values(pixels[None]))[0].astype(np.float64)
        chances = np.exp(logits - logits.max())
        chances /= chances.sum()
        best = np.argsort(-chances)[:top].tolist()
        found = [{"class": classes[i], "probability": float(chances[i])} for i in best]
        records.append({"image": str(path), "predictions": found})
    return records


def held_out_of_files(entry: Entry, data: Path) -> dict[str, HeldOut]:
    """How each file of `entry` that can run here does on the held-out images of `data`, by format; those that take
    pixels by their names.

    Raises `InputError` where the data are not those that it was trained on.
    """
    from nas.data import open_data, prepare
    from nas.training.heldout import held_out

    training = training_of(entry)
    dataset = open_data(data)
    prepared = prepare(dataset, size=height_width(entry.manifest["resolution"]), channels=entry.manifest["in_channels"])
    if prepared.digest != training["data_digest"]:
        raise InputError(
            f"{data} must hold the images that {entry.name} was trained and measured on, but holds others"
            f" ({prepared.digest[:12]} instead of {training['data_digest'][:12]}); give the same data."
        )
    values = _values(entry)
    found = {}
    for name in entry.formats:
        if name in _RUNNERS:
            run = _runner(entry, name)

            def classes_of(pixels: NDArray[np.uint8], run: Run = run) -> NDArray[np.int64]:
                return np.array([int(run(values(one[None]))[0].argmax()) for one in pixels])

            found[name] = held_out(classes_of, prepared.test, len(prepared.classes))
    for name in entry.manifest.get("pixels") or ():
        runner = PIXEL_FORMATS[name].runner
        if runner is not None:
            say = runner(entry.folder / PIXEL_FORMATS[name].file)

            def said(pixels: NDArray[np.uint8], say: PixelRun = say) -> NDArray[np.int64]:
                return np.array([int(say(one[None])[0].argmax()) for one in pixels])

            found[PIXEL_FORMATS[name].file] = held_out(said, prepared.test, len(prepared.classes))
    return found


def check_accuracy(entry: Entry, found: HeldOut, name: str) -> None:
    """Raises `NasError` where the file called `name`, as in `held_out_of_files`, is not right as often as its manifest
    says."""
    said = training_of(entry)["correct"], training_of(entry)["held_out"]
    if (found.correct, found.count) != said:
        file = FORMATS[name].file if name in FORMATS else name
        raise NasError(
            f"{file} must be right for {said[0]} of {said[1]} held-out images as its manifest says, but is for"
            f" {found.correct} of {found.count}; export the network again."
        )


def _values(entry: Entry) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Pixels (n, h, w, c) → what the network takes, in the arithmetic of the training."""
    from nas.training.preprocessing import Normalize, read_preprocessing

    normalize = Normalize(read_preprocessing(training_of(entry)["preprocessing"]))
    return lambda pixels: np.ascontiguousarray(normalize(pixels).numpy())


def _runner(entry: Entry, name: str) -> Run:
    if name not in entry.formats:
        raise InputError(f"{entry.name} must have been exported as {name} to be run, but was not; export it again.")
    return _RUNNERS[name](entry.folder / FORMATS[name].file)


def _onnx_runner(path: Path) -> Run:
    from nas.zoo.check import onnx_runner

    return onnx_runner(path)


def _litert_runner(path: Path) -> Run:
    from nas.nets.litert import litert_runner

    return litert_runner(path)


_RUNNERS: dict[str, Callable[[Path], Run]] = {"onnx": _onnx_runner, "litert": _litert_runner}
