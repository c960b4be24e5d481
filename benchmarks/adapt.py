"""Does NetAdapt beat a width multiplier? `python -m benchmarks.adapt` writes adapt.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import nas
from benchmarks.environment import environment_text
from nas.evaluate import Limits, Models
from nas.jobs.adapt import adapt
from nas.jobs.adaptation import Adaptation
from nas.report.table import markdown
from nas.space import Architecture, known_network, list_known
from nas.space.seeds import families, instantiate

START, DEVICES, SHARES = "mobilenetv3-large", ("iphone12", "pixel3-cpu"), (0.9, 0.8, 0.7)
MULTIPLIERS = [round(0.005 * i, 3) for i in range(20, 201)]

_TEXT = """# NetAdapt from one network, beside its width multiplier

`nas adapt {start}-1.0` for {shares} of its latency, and the network of the same family with the slowest width
multiplier (in steps of 0.005) that meets the same target. Both are judged by the shipped models. The bound is the lower
end of the central 90 % interval of accuracy, for both corrected for having been chosen (`Figures.believed`), so that
nothing favours either. Whether training agrees is not shown here.

{table}

The rounds at 0.8 of the latency:

{rounds}

{environment}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One device and target: what NetAdapt made, and the multiplied network."""

    device: str
    share: float
    target_ms: float
    adapted: Adaptation
    multiplied: Architecture
    models: Models


def _case(device: str, share: float) -> Case:
    start = known_network(f"{START}-1.0")
    latency, accuracy = nas.load_latency(device), nas.load_accuracy("imagenet")
    target_ms = share * latency.estimate(start).mean_ms
    # Narrower than the family was published at, by the same rules.
    family = replace(families()[START], width_range=(MULTIPLIERS[0], MULTIPLIERS[-1]))
    networks = [instantiate(family, f"{multiplier:g}").architecture for multiplier in MULTIPLIERS]
    published = [one.architecture for one in list_known() if one.published.get("top1") is not None]
    under = [network for network in networks if latency.estimate(network).mean_ms <= target_ms]
    return Case(
        device=device,
        share=share,
        target_ms=target_ms,
        adapted=adapt(start, latency=latency, accuracy=accuracy, target_ms=target_ms),
        multiplied=max(under, key=lambda network: latency.estimate(network).mean_ms),
        models=Models(latency, accuracy, Limits(), known=published),
    )


def _rows(cases: list[Case]) -> Iterator[tuple[str, ...]]:
    for case in cases:
        networks = [case.adapted.best.architecture, case.multiplied]
        figures = case.models.figures(networks)
        believed, ms = figures.believed, figures.latency_ms
        for i, network in enumerate(networks):
            yield (
                f"{case.device}, {case.share:g}" if i == 0 else "",
                network.name,
                f"{ms[i]:.3f}",
                f"{100 * believed.mean[i]:.2f} [{100 * believed.low[i]:.2f}, {100 * believed.high[i]:.2f}]",
                f"{100 * (believed.low[0] - believed.low[1]):+.2f}" if i == 0 else "",
                f"{network.params / 1e6:.2f}",
                f"{network.macs / 1e6:.0f}",
                str(len(case.adapted.rounds)) if i == 0 else "",
            )


def _rounds(case: Case) -> str:
    rows = [
        (one.layer, f"{one.before} → {one.after}", f"{100 * one.accuracy:.2f}", f"{one.latency_ms:.3f}")
        for one in case.adapted.rounds
    ]
    table = markdown(("layer", "channels", "top-1 %", "ms"), rows)
    return f"{case.device}, from {case.adapted.start.latency.mean_ms:.3f} ms:\n\n{table}"


def main() -> None:
    """Write the report."""
    cases = [_case(device, share) for device in DEVICES for share in SHARES]
    headers = ("device, share", "network", "ms", "top-1 % (predicted)", "bound won", "params M", "MACs M", "rounds")
    text = _TEXT.format(
        start=START,
        shares=", ".join(f"{share:g}" for share in SHARES),
        table=markdown(headers, list(_rows(cases))),
        rounds="\n\n".join(_rounds(case) for case in cases if case.share == 0.8),
        environment=environment_text("python -m benchmarks.adapt"),
    )
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
