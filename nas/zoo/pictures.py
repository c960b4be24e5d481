"""Pictures of a training for its card: loss and accuracy by epoch, and the confusion of classes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nas.files import write_bytes

CURVES, CONFUSION = "curves.png", "confusion.png"
_NAMED_CLASSES = 40


def write_pictures(folder: Path, training: Mapping[str, Any]) -> None:
    """Draw the `history` and `confusion` of `training` (as in a manifest) to `folder`."""
    write_bytes(folder / CURVES, _png(_curves(training["history"])))
    write_bytes(folder / CONFUSION, _png(_confusion(np.array(training["confusion"]), training["classes"])))


def _curves(history: list[Mapping[str, Any]]) -> Figure:
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    epochs = [one["number"] for one in history]
    axes.plot(epochs, [one["loss"] for one in history], color="tab:blue", marker=".")
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss", color="tab:blue")
    if any(one["accuracy"] is not None for one in history):
        right = axes.twinx()
        right.plot(epochs, [100 * one["accuracy"] for one in history], color="tab:orange", marker=".")
        right.set_ylabel("validation accuracy, %", color="tab:orange")
    return figure


def _confusion(counts: np.ndarray[Any, np.dtype[np.int64]], classes: list[str]) -> Figure:
    figure = Figure(figsize=(5, 4.4), layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, label="% of the true class")
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(classes) <= _NAMED_CLASSES:
        names = ["".join(c if c.isprintable() and c != "$" else "?" for c in name)[:20] for name in classes]
        axes.set_xticks(range(len(classes)), names, rotation=90, fontsize=7)
        axes.set_yticks(range(len(classes)), names, fontsize=7)
    return figure


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(content, format="png")
    return content.getvalue()
