"""Writes docs/known-networks.md: `python -m benchmarks.known_networks`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nas
from benchmarks.environment import environment_text
from nas.graph import OperatorTable
from nas.graph.operators import read_operator_lists
from nas.latency import device_home
from nas.latency.published.rows import read_published
from nas.space import find_known, known_network
from nas.space.seeds import Family, families

PAGE = Path(__file__).resolve().parent.parent / "docs" / "known-networks.md"
DEVICE = "iphone12"

_INTRODUCTION = f"""\
# Known networks

{{environment}}

Every network here can be named wherever a command takes one, at any resolution (`mobilenetv2-1.0@160`), and where a
family has a width multiplier, at any width (`mobilenetv2-0.6`, `mnasnet-a1-0.75`). `nas arch show NAME` has the layers.
Family files in `search_spaces/seeds/` of a workspace add more: [your own](search-spaces.md#known-networks-of-your-own).

* *params*, *MACs*: inference form, classifier included; the training form is in `nas arch list --training`. Both forms
  equal the reference code exactly: [benchmarks/reference_networks.md](../benchmarks/reference_networks.md).
* *top-1 published*: as printed by the source below, by its own training recipe.
* *top-1 prior*: what the accuracy model predicts for one recipe ({{recipe}}),
  with its central 90 % interval.
* *{DEVICE} published*: the range of the figures in `latency_tables/{DEVICE}/networks.csv`.
* *{DEVICE} modelled*: by coefficients fitted to published whole networks, with the central 90 % interval. Networks of
  attention, and those that runtimes move off the accelerator, are outside of what the model was fitted to.
"""

_NOTES = """\
## Where references differ

* MobileNetV1: the paper writes ReLU, its code has ReLU6, and so has this.
* MobileNetV3 at another width than 1.0: as TensorFlow's code scales it (and its checkpoints are): expansions are
  multiples of the rounded input width, the layer behind the pooling is not narrowed. torchvision scales every width.
* ShuffleNet V1: the shuffle of the authors' code is the inverse of that in the paper's text.
* ShuffleNet V2: torchvision's classifier has a bias, the authors' has none.
* SqueezeNext: the PyTorch code that the authors point to has biases before its batch norms; their Caffe definition has
  none, so its training form learns fewer numbers (one an output channel). The inference forms are equal.
* ESPNetv2: the authors' code makes 480 slopes that it never uses, and weights for projecting the image in the last
  down-sampling that it does not run; the code followed here uses the latter and leaves out the former.
* PoolFormer: as the authors' code, normalised before the last pooling.
* RepViT: without the distillation head. Steps 02, 05 and 09 of the design path follow from the paper's text.
"""


def main() -> None:
    """Write the page."""
    accuracy = nas.load_accuracy("imagenet")
    recipe = accuracy.estimate([known_network("mobilenetv2-1.0")])[0].recipe
    parts = [
        _INTRODUCTION.format(environment=environment_text("python -m benchmarks.known_networks"), recipe=recipe),
        *_families(),
        _NOTES,
    ]
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def _families() -> Iterator[str]:
    latency, accuracy = nas.load_latency(DEVICE), nas.load_accuracy("imagenet")
    published = _published_ms()
    titles = (
        "network", "px", "params M", "MACs M", "top-1 published %", "top-1 prior %", f"{DEVICE} published ms",
        f"{DEVICE} modelled ms",
    )  # fmt: skip
    for family in families().values():
        rows = []
        for variant in family.variants:
            known = find_known(family.name_of(variant))
            network, top1 = known.architecture, known.published.get("top1")
            prior, cost = accuracy.estimate([network])[0], latency.estimate(network)
            rows.append(
                (
                    f"`{network.name}`",
                    str(network.resolution),
                    f"{network.params / 1e6:.3f}",
                    f"{network.macs / 1e6:.1f}",
                    "–" if top1 is None else f"{top1:g}",
                    f"{100 * prior.mean:.1f} ({100 * prior.low:.1f}–{100 * prior.high:.1f})",
                    _range(published.get(_identity(network.graph().operators()), [])),
                    f"{cost.mean_ms:.2f} ({cost.low_ms:.2f}–{cost.high_ms:.2f})",
                )
            )
        table = [f"| {' | '.join(cells)} |" for cells in (titles, ("---",) * len(titles), *rows)]
        yield "\n".join([f"## {family.name}", "", *_sources(family), "", *table, ""])


def _published_ms() -> dict[tuple[float, float], list[float]]:
    """The published latencies by what identifies a network whoever traced it: MACs and weights."""
    folder = device_home(DEVICE).folder
    lists = read_operator_lists(folder / "operators.csv.gz")
    found: dict[tuple[float, float], list[float]] = {}
    for row in read_published(folder / "networks.csv"):
        found.setdefault(_identity(lists[row.network]), []).append(row.latency_ms)
    return found


def _identity(operators: OperatorTable) -> tuple[float, float]:
    return float(operators.macs.sum()), float(operators.weight_elements.sum())


def _range(values: list[float]) -> str:
    if not values:
        return "–"
    return f"{min(values):g}" if min(values) == max(values) else f"{min(values):g}–{max(values):g}"


def _sources(family: Family) -> Iterator[str]:
    yield f"Paper: {family.paper}.  "
    yield f"Code: {family.code}.  " if family.code != "-" else "Code: none was published.  "
    sources = dict.fromkeys(entry["published"]["source"] for entry in family.variants.values() if "published" in entry)
    yield f"Published figures: {'; '.join(sources) or 'none'}."


if __name__ == "__main__":
    main()
