"""Checkpoints: one safetensors file with every tensor and, as its metadata, one JSON document. Nothing is pickled.

The file is written whole beside the last one and then takes its place, so there is always one that is complete.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nas.errors import InputError
from nas.files import write_bytes

FILE = "checkpoint.safetensors"
SCHEMA = 1
_KEY = "nas"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """The state of a training: `tensors` by name, and `document`, what JSON can hold. `question` says which training it
    is: one is resumed only by the same."""

    question: Mapping[str, Any]
    document: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path`, which holds all of it afterwards or what it held before.

    Raises `NasError` where the place cannot be written to.
    """
    head = {"schema": SCHEMA, "question": checkpoint.question, "tensors": sorted(checkpoint.tensors)}
    text = json.dumps({**head, **checkpoint.document}, allow_nan=False)
    tensors = {name: value.detach().cpu().contiguous() for name, value in checkpoint.tensors.items()}
    write_bytes(path, save(tensors, metadata={_KEY: text}))


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint at `path`. Raises `InputError` where there is none, or where it is cut off or something else."""
    try:
        with safe_open(path, framework="pt") as file:
            document = json.loads((file.metadata() or {}).get(_KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} must be the checkpoint of a training, but: {error}; start the training anew."
        ) from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA or "question" not in document:
        raise InputError(f"{path} must be the checkpoint of a training, but is another file; start the training anew.")
    question, names = document.pop("question"), document.pop("tensors", None)
    if names != sorted(tensors):
        raise InputError(f"{path} must hold every tensor that it names, but lacks some; start the training anew.")
    document.pop("schema")
    return Checkpoint(question=question, document=document, tensors=tensors)


def check_question(path: Path, checkpoint: Checkpoint, question: Mapping[str, Any]) -> None:
    """Raises `InputError` naming the first thing in which the training of `checkpoint` is another than `question`."""
    # JSON has no tuples, and what was written is compared with what would be.
    asked = json.loads(json.dumps(question))
    for key in [*asked, *checkpoint.question]:
        ours, theirs = asked.get(key), checkpoint.question.get(key)
        if ours != theirs:
            raise InputError(
                f"{path} must be of the same training to be resumed, but its {key} is {_short(theirs)} and that asked"
                f" for is {_short(ours)}; give the same options, or start anew."
            )


def check_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds something infinite or no number; None where all are numbers."""
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            return name
    return None


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
