"""A job: a pure function of (trial, checkpoint in) that gives (result, checkpoint out), wherever it runs.

As text, for processes elsewhere:

    {"evaluate": "module:function", "settings": {...}, "path": [folder], "point": {...},
     "epochs": 3, "seed": 0, "load": path or null, "save": path or null}
    {"accuracy": 0.7, "reason": null, "seconds": 1.5, "worker": "host:4711", "checkpoint": path or null}
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from nas.trials.evaluators import Function, judge, load_function
from nas.trials.executors.protocol import Found, Job
from nas.trials.points import document_of, point_of


def worker_name() -> str:
    """What this process is called in the record of trials."""
    return f"{platform.node() or 'unknown'}:{os.getpid()}"


def do(function: Function, point: Any, *, epochs: int, seed: int, load: str | None, save: str | None) -> Found:
    """Evaluate a point in this process; whatever the evaluator does is a result."""
    began = time.perf_counter()
    said = judge(function, point, epochs=epochs, seed=seed, load=load, save=save)
    left = save if said.reason is None and save is not None and Path(save).exists() else None
    seconds = time.perf_counter() - began
    return Found(
        accuracy=said.accuracy, reason=said.reason, seconds=seconds, worker=worker_name(), checkpoint=left
    )  # fmt: skip


def request_text(job: Job) -> str:
    """A job on one line, which `perform` does in another process."""
    return json.dumps(
        {
            "evaluate": job.evaluator.required_reference(),
            "settings": dict(job.evaluator.settings),
            "path": [path or os.getcwd() for path in sys.path],
            "point": document_of(job.point),
            "epochs": job.epochs,
            "seed": job.seed,
            "load": job.load,
            "save": job.save,
        }
    )


def perform(request: str) -> str:
    """Do the job that `request_text` wrote; the result on one line, for `found_of`."""
    asked: dict[str, Any] = json.loads(request)
    # Where this process looks for modules it may look after that where the driver does.
    sys.path += [path for path in asked.pop("path") if path not in sys.path and Path(path).exists()]
    try:
        function = partial(load_function(asked.pop("evaluate")), **asked.pop("settings"))
        point = point_of(asked.pop("point"))
    # Importing a user's module may raise anything, and is no fault of the worker's.
    except Exception as error:  # noqa: BLE001
        return json.dumps(asdict(Found(reason=f"{type(error).__name__}: {error}", worker=worker_name())))
    return json.dumps(asdict(do(function, point, **asked)))


def found_of(answer: str) -> Found:
    """What `perform` found."""
    return Found(**json.loads(answer))
