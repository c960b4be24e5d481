"""The model card: what an exported network is, which figures are known of it, and where each comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from nas.printable import in_markdown
from nas.runtimes.neural_engine import leaves_neural_engine
from nas.space import Architecture
from nas.zoo.formats import FORMATS
from nas.zoo.pixels import PIXEL_FORMATS

_FILES = {
    **{file_format.file: file_format.what for file_format in FORMATS.values()},
    **{file_format.file: file_format.what for file_format in PIXEL_FORMATS.values()},
    "model.safetensors": "weights of the training form (a torch state dict)",
    "architecture.yaml": "every width and kernel, to build the network from",
    "curves.png": "loss and accuracy by epoch, while it was trained",
    "confusion.png": "which held-out images were taken for which class",
    "manifest.json": "these figures and the checksums of the files, for programs",
}


def card_text(architecture: Architecture, manifest: Mapping[str, Any], folder_name: str, *, paper: str = "") -> str:
    """The text of `README.md`, Markdown with a YAML head; `manifest` is the document of `manifest.json`, `paper` that
    of a known network."""
    untrained = manifest["untrained"]
    head = {
        "name": folder_name,
        "family": architecture.family,
        "digest": manifest["digest"],
        "untrained": untrained,
        "resolution": manifest["resolution"],
        "in_channels": architecture.in_channels,
        "num_classes": manifest["num_classes"],
        "params": manifest["params"],
        "macs": manifest["macs"],
        "tags": ["image-classification", *(["untrained"] if untrained else [])],
    }
    title = f"# {manifest['name']}" + (" (untrained)" if untrained else "")
    parts = [f"---\n{yaml.safe_dump(head, sort_keys=False)}---", title]
    if untrained:
        parts.append(
            f"**Untrained: the weights are random (seed {manifest['seed']}).** The files serve to measure, to convert"
            " and to train. An accuracy given below is what training is expected to reach, not what these files do."
        )
    parts += [
        "## Figures\n\n" + _table(("figure", "value", "kind", "source"), _figures(manifest)),
        "Intervals are central 90 %.",
        *(f"Warning: {in_markdown(str(warning))}" for warning in (manifest["latency"] or {}).get("warnings", ())),
        *(f"Warning: {reason}" for reason in leaves_neural_engine(architecture.graph())),
        "## Files\n\n" + _table(("file", "what"), _files(architecture, manifest)),
        _checks(manifest),
        "## Use\n\n" + _use(folder_name),
        _preprocessing(manifest, architecture),
        *([_training(manifest["training"])] if manifest["training"] else []),
        "## Origin\n\n" + _origin(manifest, paper),
    ]
    return "\n\n".join(parts) + "\n"


def _figures(manifest: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    counted = ("counted", "the network's graph")
    rows = [
        ("parameters, inference form", f"{manifest['params']:,}", *counted),
        ("parameters, training form", f"{manifest['training_params']:,}", *counted),
        ("MACs, one image", f"{manifest['macs']:,}", *counted),
    ]
    latency = manifest["latency"]
    if latency is not None:
        where = f"latency on {manifest['device']}" if manifest["device"] else "latency"
        interval = f"{latency['mean_ms']:.3f} ms [{latency['low_ms']:.3f}, {latency['high_ms']:.3f}]"
        shares = ", ".join(f"{source} {100 * share:.0f} %" for source, share in latency.get("shares", {}).items())
        rows.append((where, interval, latency["source"], shares or "-"))
    accuracy = manifest["accuracy"]
    if accuracy is not None:
        interval = f"{_percent(accuracy['mean'])} % [{_percent(accuracy['low'])}, {_percent(accuracy['high'])}]"
        metric = f"{accuracy['metric']} on ImageNet" if accuracy.get("data") == "imagenet" else accuracy["metric"]
        if manifest["training"]:
            metric = f"{metric} on held-out images of {manifest['training']['data']}"
        rows.append((metric, interval, accuracy["source"], f"recipe: {accuracy['recipe']}"))
    published = manifest["published"] or {}
    for key, name, unit in (("top1", "top-1", " %"), ("params_M", "parameters", " M"), ("macs_M", "MACs", " M")):
        if published.get(key) is not None:
            rows.append((name, f"{published[key]:g}{unit}", "published", str(published["source"])))
    return rows


def _files(architecture: Architecture, manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    shapes = {"image": (1, *architecture.input_shape), "logits": (1, architecture.num_classes)}
    written = {name.partition("/")[0] for name in manifest["files"]}
    names = [name for name in _FILES if name in written or name == "manifest.json"]
    return [(f"`{name}`", _FILES[name].format(**shapes)) for name in names]


def _checks(manifest: Mapping[str, Any]) -> str:
    return "\n\n".join(_CHECKS[name](facts) for name, facts in manifest["checks"].items())


def _onnx_check(facts: Mapping[str, Any]) -> str:
    return f"ONNX Runtime {facts['onnxruntime']} ran `model.onnx` {_compared(facts)}"


def _litert_check(facts: Mapping[str, Any]) -> str:
    text = f"The interpreter of LiteRT {facts['litert']} ran `model.tflite` {_compared(facts)}"
    return f"{text} {_operators(facts)}"


def _coreml_check(facts: Mapping[str, Any]) -> str:
    return (
        f"coremltools {facts['coremltools']} converted `model.mlpackage`. **It was not run**, which only Apple's"
        f" systems can do. {_operators(facts)}"
    )


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "onnx": _onnx_check,
    "coreml": _coreml_check,
    "litert": _litert_check,
}


def _compared(facts: Mapping[str, Any]) -> str:
    return (
        "on a random image beside the training form in torch:"
        f" max|a − b| / max|b| = {facts['max_relative_error']:.1e} (at most {facts['limit']:.0e})."
    )


def _operators(facts: Mapping[str, Any]) -> str:
    return f"Its operators: {', '.join(f'{name} {count}' for name, count in facts['operators'].items())}."


def _use(folder_name: str) -> str:
    return f"""```python
from nas.zoo import load

module = load("{folder_name}").module    # a torch.nn.Module in training form; .fuse() is the inference form
```

`nas zoo verify {folder_name}` checks the files and runs the comparison again."""


def _preprocessing(manifest: Mapping[str, Any], architecture: Architecture) -> str:
    channels, height, width = architecture.input_shape
    size = f"Images are {channels} x {height} x {width}"
    if manifest["untrained"]:
        return f"{size}; how their values are scaled is up to the training."
    if not manifest["training"]:
        return f"{size}."
    scaling = manifest["training"]["preprocessing"]
    return f"{size}; a value is (pixel / 255 - mean) / std, with mean {scaling['mean']} and std {scaling['std']}."


def _training(training: Mapping[str, Any]) -> str:
    facts = [
        ("data", f"{training['data']} ({training['data_digest'][:16]})"),
        ("images", f"{training['images']:,} to train on, {training['held_out']:,} held out"),
        ("right on held-out images", f"{training['correct']:,} of {training['held_out']:,}"),
        ("recipe", f"{training['recipe']['name']}: {training['recipe']['source']}"),
        ("epochs, seed", f"{training['epochs']}, {training['seed']}"),
        *([("teacher", training["teacher"])] if training["teacher"] else []),
        *([("inherited", _inherited(training["init"]))] if training.get("init") else []),
        *([("cut by NetAdapt", _adapted(training["adapted"]))] if training.get("adapted") else []),
        ("classes", ", ".join(training["classes"])),
    ]
    return (
        "## Training\n\n" + _table(("what", "value"), facts) + "\n\nThe accuracy is that of one training; its interval"
        " holds the number of held-out images, not the spread of seeds."
    )


def _inherited(init: Mapping[str, Any]) -> str:
    if not init["share"]:
        return f"nothing: it has no weights in common with {init['parent']}, and began from scratch"
    anew = ", ".join(f"{one['name']} ({one['reason']})" for one in init.get("anew", ()))
    text = f"{100 * init['share']:.1f} % of the weights, from {init['parent']}"
    return f"{text}; anew: {anew}" if anew else text


def _adapted(adapted: Mapping[str, Any]) -> str:
    cuts = ", ".join(adapted["cuts"]) or "nothing"
    return f"from {adapted['from']}: {cuts}; its weights went through {adapted['chain_epochs']:g} epochs in all"


def _origin(manifest: Mapping[str, Any], paper: str) -> str:
    lines = [f"* exported {manifest['created']} by nas {manifest['nas']}"]
    if manifest["run"]:
        lines.append(f"* found by the run {manifest['run']} (`nas runs show {manifest['run']}`)")
    if paper:
        lines.append(f"* architecture: {in_markdown(paper)}")
    return "\n".join(lines)


def _table(header: tuple[str, ...], rows: list[Any]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(in_markdown(str(cell)) for cell in line) + " |" for line in lines)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"
