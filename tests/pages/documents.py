"""Small documents of every kind, as the commands write them, made by hand."""

from __future__ import annotations

import copy
from typing import Any

EVIL = "<script>alert(1)</script>\"'&\x1b[31m\u202e</script><!--" + "x" * 10_000


def network(name: str = "net-a", ms: float = 0.9, top1: float = 0.75, **more: Any) -> dict[str, Any]:
    """A network of three layers: 0.1 ms once a run, and the rest in shares of 1, 2 and 1 quarter."""
    rest = ms - 0.1
    return {
        "name": name,
        "digest": f"digest-{name}"[:40],
        "params": 4_000_000,
        "macs": 300_000_000,
        "size_bytes": 8_000_000,
        "peak_memory_bytes": 1_500_000,
        "latency": {
            "mean_ms": ms, "low_ms": 0.9 * ms, "high_ms": 1.1 * ms, "source": "modelled", "shares": {}, "warnings": [],
        },
        "also": {},
        "accuracy": {
            "mean": top1, "low": top1 - 0.01, "high": top1 + 0.01, "metric": "top1", "recipe": "300 epochs",
            "source": "predicted", "data": "imagenet",
        },
        "published": None,
        "reward": top1 - 0.01,
        "novelty": 0.8,
        "indistinguishable": False,
        "architecture": {
            "schema": 1, "name": name, "family": "x", "resolution": 64, "num_classes": 10, "in_channels": 3,
            "layers": [
                {"block": "conv", "out": 16, "kernel": 3, "stride": 2, "act": "relu"},
                {"block": "mbconv", "out": 24, "hidden": 64, "kernel": 5, "stride": 2, "act": "relu", "se": 8},
                {"block": "head"},
            ],
        },
        "anatomy": {
            "schema": 1,
            "fixed_ms": 0.1,
            "layers": [
                {"output": [16, 32, 32], "params": 432, "macs": 442_368, "ms": rest / 4, "source": "modelled"},
                {"output": [24, 16, 16], "params": 4_000, "macs": 1_000_000, "ms": rest / 2, "source": "modelled"},
                {"output": [10], "params": 250, "macs": 240, "ms": rest / 4, "source": "modelled"},
            ],
            "kinds": [{"kind": "convolutions", "ms": 0.75 * rest}, {"kind": "linear layers", "ms": 0.25 * rest}],
        },
        "zoo": None,
        **more,
    }  # fmt: skip


def search(**more: Any) -> dict[str, Any]:
    """A search at 1 ms: the answer, two known networks (one cannot be told apart), a front of three."""
    published = {"top1": 0.741, "latency_ms": 0.8, "source": "a paper"}
    known = [
        network("known-a", 0.8, 0.74, published=published),
        network("known-b", 1.05, 0.752, indistinguishable=True),
        network("known-far", 8.0, 0.80),
    ]
    answer = network("answer", 1.0, 0.76, zoo="runs/zoo/answer-untrained")
    front = [network(f"front-{i}", 0.6 + 0.2 * i, 0.70 + 0.03 * i, anatomy=None) for i in range(3)]
    return {
        "schema": 2, "run": "20261129-100000-abcd", "space": "mobile", "device": "iphone12", "target_ms": 1.0,
        "also": [], "reward": {"form": "hard"}, "seed": 0, "evaluated": 12_345, "space_size": "1" + "0" * 41,
        "exact": False, "found_by": "shrinking", "score_before_shrinking": 0.74, "score_after_shrinking": 0.75,
        "notes": ["A note."], "history": {"schema": 1, "points": [[100, 0.70, 0.71], [1000, 0.74, 0.75]]},
        "best": answer,
        "gain": {"over": "known-a", "mean": 0.02, "low": 0.005, "high": 0.035, "ms": 0.2, "told_apart": True},
        "front": front, "baselines": known, "starts": [], "seconds": 12.5, **more,
    }  # fmt: skip


def checked(name: str, predicted: float, measured: float) -> dict[str, Any]:
    """A network that was predicted, then timed."""
    return {
        "name": name, "digest": f"digest-{name}", "macs": 300_000_000,
        "predicted": {"mean_ms": predicted, "low_ms": 0.9 * predicted, "high_ms": 1.1 * predicted,
                      "source": "predicted"},
        "measured_ms": measured, "processes_ms": [measured], "clock_ms": measured,
        "error": predicted / measured - 1.0, "inside": 0.9 * predicted <= measured <= 1.1 * predicted,
    }  # fmt: skip


def verified() -> dict[str, Any]:
    """A search with --verify: two rounds, the first one not accepted."""
    rounds = [
        {"networks": [checked("answer", 1.0, 1.3), checked("front-1", 0.8, 0.82)], "fault": "measured at 1.300 ms"},
        {"networks": [checked("answer", 1.0, 0.99)], "fault": ""},
    ]
    return search(verification={"accepted": True, "answer": checked("answer", 1.0, 0.99), "rounds": rounds})


def trial(number: int, **more: Any) -> dict[str, Any]:
    """A trial of two rungs, done; its proxy is twice its accuracy."""
    accuracy = 0.6 + 0.3 * ((number * 37) % 100) / 100
    return {
        "number": number, "digest": f"trial-{number}", "name": f"mobile-{number:04d}", "state": "done",
        "accuracy": accuracy, "epochs": 9, "latency_ms": 0.5 + 0.001 * (number % 600), "seconds": 2.0,
        "worker": "host:1", "reason": None, "repeat": 0, "why": "acquisition", "reused": False,
        "curve": [[3, accuracy - 0.1], [9, accuracy]], "proxies": {"naswot": 2 * accuracy}, **more,
    }  # fmt: skip


def trials(count: int = 8) -> dict[str, Any]:
    """A search with accuracies that cost: the last two of its trials were stopped and failed."""
    made = [trial(i) for i in range(count - 2)]
    made.append(trial(count - 2, state="stopped", epochs=3, curve=[[3, 0.55]], accuracy=0.55))
    made.append(trial(count - 1, state="failed", epochs=0, curve=[], accuracy=None, reason="ValueError: no"))
    best = network("answer", 1.0, 0.76)
    best["accuracy"]["source"] = "measured"
    return {
        **search(best=best, baselines=[], gain=None, history=None, notes=[]),
        "study": "s", "asker": "surrogate", "evaluator": "scores:score", "budget": count, "failed": 1, "reused": 0,
        "how_sure": 0.07, "trials": made,
    }  # fmt: skip


def adapted() -> dict[str, Any]:
    """An adaptation in two rounds."""
    rounds = [
        {"layer": "3.hidden", "from": 64, "to": 56, "accuracy": 0.77, "latency_ms": 1.05, "params": 1, "macs": 2},
        {"layer": "2.out", "from": 24, "to": 16, "accuracy": 0.76, "latency_ms": 1.0, "params": 1, "macs": 2},
    ]
    return {**search(history={"schema": 1, "points": []}), "start": network("start", 1.2, 0.78), "rounds": rounds}


def targets() -> dict[str, Any]:
    """A search for two targets."""
    answers = [search(), search(best=network("slower", 1.5, 0.78), target_ms=1.5)]
    return {"schema": 2, "run": "20261129-100000-abcd", "answers": answers, "seconds": 3.0}


def trained(classes: int = 3) -> dict[str, Any]:
    """A training on so many classes: of ten images of each nine are right, one is taken for the next class."""
    confusion = [[9 * (i == j) + ((i + 1) % classes == j) for j in range(classes)] for i in range(classes)]
    return {
        "run": "20261129-100000-abce", "name": "net-a", "digest": "d", "data": "photos", "recipe": "small", "epochs": 2,
        "accuracy": {"mean": 0.9, "low": 0.85, "high": 0.94, "metric": "top1", "source": "measured"},
        "seconds": 100.0, "images_per_s": 500.0, "zoo": "runs/zoo/net-a-photos", "init": {
            "parent": "timm.pth (net-a in the form of timm)", "inherited": 90, "total": 100, "share": 0.9, "unused": [],
            "anew": [{"name": "head", "numbers": 10, "of": 10, "reason": "other classes"}],
        },
        "training": {
            "schema": 1, "data": "photos", "data_digest": "0123456789abcdef0123", "images": 80,
            "classes": [f"class {i}" for i in range(classes)], "held_out": 10 * classes, "correct": 9 * classes,
            "confusion": confusion, "recipe": {"name": "small", "source": "ours", "optimizer": {"lr": 0.1}},
            "epochs": 2, "seed": 0, "teacher": None,
            "history": [
                {"number": 1, "loss": 1.2, "lr": 0.1, "accuracy": 0.6},
                {"number": 2, "loss": 0.5, "lr": 0.0, "accuracy": 0.9},
            ],
        },
    }  # fmt: skip


def on_images() -> dict[str, Any]:
    """A search on images: trials, two finalists of which the searched one has two trainings, and the best of these."""
    finalist = {"params": 1, "macs": 2, "digest": "d", "inherited": None, "seconds": 9.0}
    accuracy = {"mean": 0.76, "low": 0.73, "high": 0.79}
    return {
        **trials(), "evaluator": None, "training": trained()["training"],
        "comparison": {
            "searched": "answer", "known": "known-a", "difference": {"mean": 0.02, "low": 0.005, "high": 0.035},
            "told_apart": True, "faster_ms": 0.1, "latency": "predicted",
            "mcnemar": {"only_searched": 12, "only_known": 4, "p": 0.077}, "sentence": "Better by 2.0 points.",
        },
        "finalists": [
            {
                **finalist, "part": "searched", "family": "mbconv", "name": "answer", "accuracy": accuracy,
                "latency": network()["latency"], "validation": {"0": 0.8, "1": 0.7}, "test": [0.77, 0.75],
                "curves": {"0": [0.5, 0.8], "1": [0.4, 0.7]},
            },
            {
                **finalist, "part": "known", "family": "x", "name": "known-a", "accuracy": None,
                "latency": network()["latency"], "validation": {"0": 0.7}, "test": None, "curves": {"0": [0.6, 0.7]},
            },
        ],
        "ranked": [{"by": "1 epoch", "of": "3 epochs", "spearman": 0.8, "low": 0.2, "high": 1.0, "networks": 5}],
        "costs": {"known": {"trainings": 4, "epochs": 8, "seconds": 90.0, "reused": 1}},
    }  # fmt: skip


def device() -> dict[str, Any]:
    """A device with two published networks, and a known one that it does not cover."""
    latency = network()["latency"]
    return {
        "schema": 1, "device": {"name": "phone", "chip": "chip", "runtime": "runtime 1", "threads": 4}, "notes": [],
        "fixed_ms": 0.1, "rows": 3,
        "coverage": [{
            "source": "measured", "rows": 3, "timings": 9, "fewest": 2, "most": 4, "median_half_width": 0.05,
            "widest_half_width": 0.2, "dates": ["2026", "2026"],
        }],
        "left_out": {"ours": {"median": 0.03, "mean": 0.04}, "constant": {"median": 0.3, "mean": 0.4}},
        "compared": [
            {"name": "a", "ms": 1.0, "source": "a paper", "predicted": latency},
            {"name": "b", "ms": 0.9, "source": "measured", "predicted": latency},
        ],
        "networks": [
            {"name": "a", "params": 1, "macs": 2, "latency": latency, "fault": None},
            {"name": "c", "params": 1, "macs": 2, "latency": None, "fault": "the table lacks rows"},
        ],
    }  # fmt: skip


def study(scores: bool = False) -> dict[str, Any]:
    """A study of two networks, by bars or (with `scores`) against their sizes."""
    rows = [
        {
            "name": name, "group": name, "params": 10**6, "macs": 10**8, "resolution": 224, "threads": 1,
            "latency": network(ms=ms)["latency"], "ratio": None if scores else ms,
        }
        for name, ms in (("relu", 1.0), ("gelu", 1.5))
    ]  # fmt: skip
    found = {"macs": {"spearman": 0.8, "low": 0.6, "high": 0.9}} if scores else {}
    return {
        "study": "correlation" if scores else "activations", "title": "one network, each activation", "device": "local",
        "source": "measured", "environment": {"chip": "cpu"}, "rounds": 3, "rows": rows, "scores": found,
        "warnings": ["something else keeps the machine busy"],
    }  # fmt: skip


def build() -> dict[str, Any]:
    """A table that was built."""
    scores = {"median": 0.02, "within_5_percent": 0.9, "within_10_percent": 1.0}
    return {
        "device": "local", "folder": "latency_tables/local", "networks": 40, "rows": 100, "space": "mobile",
        "space_segments": 200, "covered": 150, "left_out": {"rows": scores, "operators": scores}, "half_width": 0.03,
        "faults": {"net-x": "it does not run"}, "manifest": {},
    }  # fmt: skip


def check() -> dict[str, Any]:
    """A check of a table with two fresh networks."""
    return {
        "device": "local", "space": "mobile", "seed": 0, "environment": {"chip": "cpu"}, "count": 2,
        "median_error": 0.02, "inside_interval": 1.0, "faults": {},
        "networks": [checked("a", 1.0, 1.02), checked("b", 2.0, 2.1)],
    }  # fmt: skip


def sustained() -> dict[str, Any]:
    """A network that ran for twenty seconds and was interrupted: a phone that warms and slows down by a tenth."""
    curve = [
        {"at_s": 2.0 + 4.0 * i, "runs": 100, "p50_ms": 10.0 + 0.25 * i, "p90_ms": 11.0 + 0.25 * i,
         "state": {"battery": f"{30 + i} °C"}}
        for i in range(5)
    ]  # fmt: skip
    return {
        "network": "net-a", "device": "phone", "source": "measured", "sustained_s": 600.0, "threads": 4,
        "runs_a_time": 5, "environment": {"chip": "N100"}, "seconds": 20.0, "ended": "it was interrupted",
        "load_ms": 30.0, "first_ms": None, "runs": 500, "p50_ms": 10.5, "p90_ms": 11.8, "change": 0.1,
        "curve": curve, "warnings": [],
    }  # fmt: skip


def run(result: dict[str, Any], kind: str) -> dict[str, Any]:
    """The record of a run with this result."""
    return {
        "run": "20261129-100000-abcd", "kind": kind, "created": "2026-11-29T10:00:00+00:00", "host": "host",
        "command": f"nas {kind} --seed 0", "seed": 0, "status": "done", "seconds": 12.5, "error": None,
        "versions": {"nas": "0.1.0"}, "inputs": {"space": {"name": "mobile", "sha256": "ab" * 32}}, "artefacts": [],
        "result": result,
    }  # fmt: skip


RESULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "search": ("search", search()),
    "verified": ("search", verified()),
    "trials": ("search", trials()),
    "images": ("search", on_images()),
    "targets": ("search", targets()),
    "adapt": ("adapt", adapted()),
    "train": ("train", trained()),
    "study": ("study", study()),
    "correlation": ("study", study(scores=True)),
    "build": ("build", build()),
    "sustained": ("sustained", sustained()),
}
"""Name → the kind of run, and its result."""


def with_text(value: Any, text: str) -> Any:
    """A copy of a document with `text` added to every text in it but those that say what a thing is."""
    if isinstance(value, dict):
        return {
            key: one
            if key in ("source", "state", "metric", "digest", "over", "kind", "run", "study")
            else with_text(one, text)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [with_text(one, text) for one in value]
    return f"{value}{text}" if isinstance(value, str) and not value.isdecimal() else copy.copy(value)
