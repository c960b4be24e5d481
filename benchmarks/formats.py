"""What the converters make of every known network: writes benchmarks/formats.md.

    python -m benchmarks.formats [MINUTES]

Each network at a small size, with random batch norm statistics: seconds of conversion, size and operators of the Core
ML, LiteRT and ONNX files, and how far LiteRT's interpreter and ONNX Runtime are from the training form in torch. The
smallest variant of each family at its full size as well. A result is stored under runs/formats when it is there, and a
second start goes on; after MINUTES no other is begun, and the report is of those there are.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from benchmarks.environment import environment_text
from nas.errors import NasError
from nas.files import write_bytes
from nas.nets import GraphModule, build, export_onnx
from nas.nets.coreml import export_coreml
from nas.nets.litert import export_litert
from nas.resources import runs_folder
from nas.runtimes.neural_engine import LEAVING, SOURCE
from nas.space import Architecture
from nas.space.seeds import families, instantiate
from nas.zoo.check import LIMIT, LITERT_LIMIT, check_coreml, check_litert, check_onnx

SMALL = 64
REPORT = Path(__file__).with_name("formats.md")
_INTRODUCTION = f"""\
# Core ML and LiteRT files of the known networks

{{environment}}

**{{done}} of {{total}} results are in** (`runs/formats` keeps them, those of earlier commits too; the
command goes on with the others).

One thread; seconds of wall time, on a machine that may have had other work. Weights are random, as are the statistics,
scales and shifts of batch norms; 1000 classes. *Error* is max|a − b| / max|b| of the runtime against the training form
in eval mode, on one random image. A network whose error is above {LITERT_LIMIT:g} (LiteRT) or {LIMIT:g} (ONNX Runtime)
counts as failed. Core ML files are converted and read again; they run on Apple's systems alone.
"""


def main() -> None:
    """Find the results that are not there yet, and write the report."""
    torch.set_num_threads(1)
    deadline = time.monotonic() + 60 * float(sys.argv[1]) if len(sys.argv) > 1 else float("inf")
    small, full = _small(), _full()
    wanted = [*full, *small]
    for network in tqdm(wanted):
        if time.monotonic() < deadline and not _place(network).exists():
            write_bytes(_place(network), json.dumps(_result(network), indent=1).encode())
    done = sum(_place(network).exists() for network in wanted)
    environment = environment_text("python -m benchmarks.formats")
    parts = [
        _INTRODUCTION.format(environment=environment, done=done, total=len(wanted)),
        f"## One of each family at its full size\n\n{_table(full)}",
        f"## Every network at {SMALL} px (or the family's smallest size above it)\n\n{_table(small)}",
        f"## Operators, by family\n\n{_operators(small)}",
        f"## Reported to leave the Neural Engine\n\nAfter {SOURCE}.\n\n{_flagged(small)}",
    ]
    REPORT.write_text("\n\n".join(part.rstrip() for part in parts) + "\n", encoding="utf-8")


def _small() -> list[Architecture]:
    return [
        instantiate(family, variant, max(SMALL, family.min_resolution)).architecture
        for family in families().values()
        for variant in family.variants
    ]


def _full() -> list[Architecture]:
    return [
        min(
            (instantiate(family, variant).architecture for variant in family.variants),
            key=lambda network: network.params,
        )
        for family in families().values()
    ]


def _place(network: Architecture) -> Path:
    return runs_folder() / "formats" / f"{network.family}-{network.digest}.json"


def _result(network: Architecture) -> dict[str, Any]:
    module = _with_random_norms(build(network))
    with tempfile.TemporaryDirectory() as folder:
        return {
            "onnx": _format(module, Path(folder) / "model.onnx", export_onnx, check_onnx),
            "coreml": _format(module, Path(folder) / "model.mlpackage", export_coreml, check_coreml),
            "litert": _format(module, Path(folder) / "model.tflite", export_litert, check_litert),
        }


def _format(
    module: GraphModule,
    path: Path,
    export: Callable[[GraphModule, Path], Path],
    check: Callable[[GraphModule, Path], dict[str, Any]],
) -> dict[str, Any]:
    start = time.monotonic()
    try:
        export(module, path)
        seconds = time.monotonic() - start
        facts = check(module, path)
    except NasError as error:
        return {"failed": str(error), "operators": {}}
    files = [path] if path.is_file() else [part for part in path.rglob("*") if part.is_file()]
    return {**facts, "seconds": seconds, "bytes": sum(part.stat().st_size for part in files)}


def _with_random_norms(module: GraphModule) -> GraphModule:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                assert part.running_mean is not None and part.running_var is not None
                part.running_mean.normal_(0.0, 0.2, generator=generator)
                part.running_var.uniform_(0.5, 1.5, generator=generator)
                part.weight.uniform_(0.5, 1.5, generator=generator)
                part.bias.normal_(0.0, 0.2, generator=generator)
    return module.eval()


_Columns = dict[str, tuple[str, Callable[[dict[str, Any]], str]]]
_COLUMNS: _Columns = {
    "Core ML s": ("coreml", lambda r: f"{r['seconds']:.1f}"),
    "Core ML MB": ("coreml", lambda r: f"{r['bytes'] / 1e6:.2f}"),
    "LiteRT s": ("litert", lambda r: f"{r['seconds']:.1f}"),
    "LiteRT MB": ("litert", lambda r: f"{r['bytes'] / 1e6:.2f}"),
    "LiteRT error": ("litert", lambda r: f"{r['max_relative_error']:.1e}"),
    "ONNX MB": ("onnx", lambda r: f"{r['bytes'] / 1e6:.2f}"),
    "ONNX Runtime error": ("onnx", lambda r: f"{r['max_relative_error']:.1e}"),
}


def _results(networks: list[Architecture]) -> Iterator[tuple[Architecture, dict[str, Any]]]:
    for network in networks:
        if _place(network).exists():
            yield network, json.loads(_place(network).read_text(encoding="utf-8"))


def _table(networks: list[Architecture]) -> str:
    rows = [
        (f"`{network.name}`", str(network.resolution), *(_cell(result[name], text) for name, text in _COLUMNS.values()))
        for network, result in _results(networks)
    ]
    return _markdown(("network", "px", *_COLUMNS), rows)


def _cell(facts: dict[str, Any], text: Callable[[dict[str, Any]], str]) -> str:
    return "failed" if "failed" in facts else text(facts)


def _operators(networks: list[Architecture]) -> str:
    found: dict[str, dict[str, dict[str, None]]] = {}
    for network, result in _results(networks):
        used = found.setdefault(network.family, {"coreml": {}, "litert": {}})
        for name, operators in used.items():
            operators.update(dict.fromkeys(result[name]["operators"]))
    rows = [
        (family, ", ".join(sorted(used["coreml"])), ", ".join(sorted(used["litert"]))) for family, used in found.items()
    ]
    return _markdown(("family", "Core ML", "LiteRT"), rows)


def _flagged(networks: list[Architecture]) -> str:
    graphs = {network.name: network.graph() for network in networks}
    rows = [
        (kind, ", ".join(f"`{name}`" for name, graph in graphs.items() if any(map(applies, graph.nodes))))
        for kind, applies in LEAVING.items()
    ]
    return _markdown(("operators", "networks"), rows)


def _markdown(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ("---",) * len(header), *rows))


if __name__ == "__main__":
    main()
