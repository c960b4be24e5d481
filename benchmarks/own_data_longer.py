"""The proof's answer and its rival once more, with more seeds, epochs or pixels: a part of own_data.

Nothing is chosen here, so the test images are looked at after every training. Each training that has ended is a file in
own_data/longer/, and is not done again; it runs on a GPU where there is one.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student
from tabulate import tabulate

from nas.data import contents_digest, open_data
from nas.files import write_bytes
from nas.jobs.data_full import images_for
from nas.jobs.trained import Teaching, on_test_images, read_trained, train_to
from nas.space import Architecture
from nas.training import load_recipe

PAIR = ("searched", "known")


def longer(
    pair: Mapping[str, Architecture],
    data: Path,
    folder: Path,
    checkpoints: Path,
    *,
    sides: Sequence[int],
    epochs: int,
    seeds: int,
    seconds: float,
    told: Callable[[str], None],
) -> None:
    """Train `pair` (searched and known) for `epochs` with seeds from 0 on, at each of `sides` pixels; once `seconds`
    are over no training is begun. A record of each is left in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints.mkdir(parents=True, exist_ok=True)
    contents, began = contents_digest(open_data(data)), time.monotonic()
    teaching = Teaching(path=str(data.resolve()), contents=contents, recipe=load_recipe("small"), weights_from=epochs)
    for seed in range(seeds):
        for side in sides:
            for part, given in pair.items():
                network = replace(given, resolution=side)
                name = f"{network.digest}-{side}-{epochs}-{seed}"
                if (folder / f"{name}.json").exists():
                    continue
                if time.monotonic() - began > seconds:
                    return
                validation = train_to(checkpoints / name, network, teaching, epochs=epochs, seed=seed)
                trained = read_trained(checkpoints / name, network)
                test = on_test_images(network, trained, images_for(teaching, network)).accuracy
                record = {
                    "part": part, "network": network.name, "side": side, "epochs": epochs, "seed": seed,
                    "validation": validation, "test": test, "seconds": trained.seconds,
                }  # fmt: skip
                write_bytes(folder / f"{name}.json", json.dumps(record, indent=1).encode())
                told(f"{network.name} at {side} pixels, seed {seed}: {100 * test:.2f} % after {epochs} epochs")


def longer_text(folder: Path) -> str:
    """The part of the report; empty where nothing was trained."""
    by_way: dict[tuple[int, int], dict[str, dict[int, float]]] = defaultdict(lambda: {part: {} for part in PAIR})
    for path in sorted(folder.glob("*.json")):
        one = json.loads(path.read_text("utf-8"))
        by_way[one["side"], one["epochs"]][one["part"]][one["seed"]] = 100 * one["test"]
    rows = [_row(side, epochs, found) for (side, epochs), found in sorted(by_way.items())]
    if not rows:
        return ""
    header = ("pixels", "epochs", "paired seeds", "searched, test %", "known, test %", "difference, points, 90 %")
    return f"""## Longer, larger, more seeds

The answer and the rival of the comparison above, trained again; intervals are of seeds alone (Student's t).

{tabulate(rows, header, "pipe", disable_numparse=True)}"""


def _row(side: int, epochs: int, found: Mapping[str, Mapping[int, float]]) -> tuple[Any, ...]:
    seeds = sorted(found["searched"].keys() & found["known"].keys())
    ours, theirs = (np.array([found[part][seed] for seed in seeds]) for part in PAIR)
    more, count = ours - theirs, len(seeds)
    if not count:
        return side, epochs, 0, "", "", ""
    half = float(student.ppf(0.95, count - 1) * more.std(ddof=1)) / math.sqrt(count) if count > 1 else float("nan")
    return side, epochs, count, f"{ours.mean():.2f}", f"{theirs.mean():.2f}", f"{more.mean():+.2f} ± {half:.2f}"
