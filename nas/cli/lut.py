"""`nas lut`: the latency table of a device: its costs, its scores, and what it says of a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from nas.cli.lut_build import build, plan

_DEVICE = click.option("--device", required=True, metavar="NAME", help="The device (`nas device list`).")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document.")


@click.group()
def command() -> None:
    """Latency tables: measuring them, operator costs, their scores, and predictions from them."""


command.add_command(plan)
command.add_command(build)


@command.command()
@_DEVICE
@_JSON
def show(device: str, as_json: bool) -> None:
    """Show the operator costs of a device, where they come from, and what its table holds."""
    from nas.jobs.lut import describe

    record = describe(device)
    if as_json:
        click.echo(json.dumps(record, indent=1, ensure_ascii=False))
        return
    from nas.report.lut_text import costs_text, coverage_text

    click.echo(f"{device}: {record['rows']} segments in the table")
    if record["coverage"]:
        click.echo(coverage_text(record["coverage"]))
    if record["coefficients"]:
        click.echo(costs_text(record))


@command.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@_DEVICE
@click.option(
    "--activation",
    "activations",
    multiple=True,
    type=click.Choice(["relu", "hswish"]),
    help="Of blocks whose table does not say it (NSGANetV2); twice for rows of both.",
)
@_JSON
def import_files(files: tuple[Path, ...], device: str, activations: tuple[str, ...], as_json: bool) -> None:
    """Take over measured tables: files like table.csv, lookup tables of once-for-all, ProxylessNAS, NSGANetV2, or
    PaddleSlim's operators."""
    from nas.jobs.lut_import import Imported, import_any

    found = import_any(device, files, activations)
    if as_json:
        click.echo(json.dumps({"device": device, **found.as_json()}, indent=1, ensure_ascii=False))
        return
    from nas.report.lut_text import imported_operators_text, imported_text

    click.echo(imported_text(device, found) if isinstance(found, Imported) else imported_operators_text(device, found))


@command.command()
@_DEVICE
@_JSON
def fit(device: str, as_json: bool) -> None:
    """Fit operator costs to the device's networks.csv, or to its timings; write coefficients.json and table.csv."""
    from nas.jobs.lut import fit_device
    from nas.latency.device import load_device

    if load_device(device).reach:
        from nas.jobs.lut_build import refit_table
        from nas.report.lut_text import built_text

        built = refit_table(device)
        click.echo(json.dumps(built.as_json(), indent=1) if as_json else built_text(built))
        return

    found = fit_device(device)
    record = {
        "device": device,
        "folder": str(found.folder),
        "form": list(found.calibrated.form),
        "coefficients": found.predictor.as_json()["coefficients"],
        "table_rows": found.table_rows,
        "manifest": dict(found.predictor.manifest),
    }
    if as_json:
        click.echo(json.dumps(record, indent=1, ensure_ascii=False))
        return
    manifest = found.predictor.manifest
    click.echo(
        f"{device}: fitted to {manifest['rows']} rows of {manifest['networks']} networks"
        f" (form: {' + '.join(found.calibrated.form) or 'plain'}); wrote {found.table_rows} segments to {found.folder}"
    )


@command.command()
@_DEVICE
@click.option("--space", metavar="NAME", help="A measured device: whose networks to draw.  [default: the table's]")
@click.option("--networks", type=click.IntRange(1), default=60, show_default=True, help="A measured device: how many.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="A measured device: which ones.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write a page and a picture there.",
)
@_JSON
def verify(device: str, space: str | None, networks: int, seed: int, report: Path | None, as_json: bool) -> None:
    """Score a device's latencies on networks that it has not seen.

    A device that is measured here: fresh networks are predicted, then timed. Any other: networks and families of
    networks.csv are left out of the calibration.
    """
    from nas.latency.device import load_device

    record, text, paths = (
        _check(device, space, networks, seed, report) if load_device(device).reach else _left_out_scores(device, report)
    )
    for path in paths:
        click.echo(f"wrote {path}", err=True)
    click.echo(json.dumps(record, indent=1) if as_json else text)


def _check(
    device: str, space: str | None, networks: int, seed: int, report: Path | None
) -> tuple[dict[str, Any], str, Sequence[Path]]:
    from nas.jobs.lut_build import table_space
    from nas.jobs.lut_verify import verify_table
    from nas.report.lut_text import check_text

    with _counting("timing") as progress:
        found = verify_table(device, space or table_space(device), count=networks, seed=seed, progress=progress)
    record = found.as_json()
    paths: Sequence[Path] = ()
    if report is not None:
        from nas.report.table_check import write_check

        paths = write_check(record, report)
    return record, check_text(record), paths


def _left_out_scores(device: str, report: Path | None) -> tuple[dict[str, Any], str, Sequence[Path]]:
    from nas.jobs.lut import verify_device
    from nas.latency.published.scores import summary

    with _counting("leaving out") as progress:
        found = verify_device(device, progress)
    record = summary(found)
    paths: Sequence[Path] = ()
    if report is not None:
        from nas.report.latency import write_report

        paths = write_report(device, found, record, report)
    return {"device": device, **record}, _scores(device, record), paths


@contextmanager
def _counting(doing: str) -> Iterator[Callable[[int, int], None]]:
    """A function that shows (done, total)."""
    from tqdm import tqdm

    with tqdm(total=0, desc=doing, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.refresh()

        yield progress


@command.command()
@click.argument("network", metavar="MODEL.onnx|ARCHITECTURE")
@_DEVICE
@_JSON
def predict(network: str, device: str, as_json: bool) -> None:
    """Predict the latency of a network: an ONNX file, a known name, an architecture file, or a zoo folder."""
    from nas.jobs.lut import predict as predict_network

    found = predict_network(device, network)
    estimate = found.estimate
    published = [
        {"latency_ms": row.latency_ms, "source": row.source, "protocol": row.protocol, "network": row.network}
        for row in found.published
    ]
    if as_json:
        segments = [{"segment": key, "mean_ms": ms} for key, ms in found.segments]
        record = {
            "network": network, "device": device, "latency": estimate.as_json(), "published": published,
            "segments": segments,
        }  # fmt: skip
        click.echo(json.dumps(record, indent=1, ensure_ascii=False))
        return
    digits = 5 if estimate.source == "measured" else 3
    interval = f"[{estimate.low_ms:.{digits}g}, {estimate.high_ms:.{digits}g}]"
    click.echo(f"{network} on {device}: {estimate.mean_ms:.{digits}g} ms {interval} ({estimate.source}, 90 % interval)")
    for row in published:
        click.echo(f"published: {row['latency_ms']:g} ms ({row['source']}, protocol {row['protocol']})")
    for text in estimate.warnings:
        click.echo(f"warning: {text}", err=True)


def _scores(device: str, record: dict[str, Any]) -> str:
    from tabulate import tabulate

    def errors(name: str, part: dict[str, Any]) -> tuple[str, ...]:
        return (name, *(f"{100 * part[key]:.1f} %" for key in ("median", "mean", "worst")))

    rows = [errors("networks left out", record["network_out"])]
    aside = record.get("aside", {})
    without = f" (without {', '.join(aside['families'])})" if aside else ""
    rows.append(errors(f"families left out{without}", record["family_out"]))
    if aside:
        rows.append(errors(f"families left out: {', '.join(aside['families'])}", aside["family_out"]))
    rows.append(errors("MACs + parameters, networks left out", record["macs_and_parameters"]))
    text = [f"{device}: {record['rows']['scored']} rows scored, each predicted without its network or family", ""]
    text.append(tabulate(rows, ("error of the latency", "median", "mean", "worst")))
    intervals = record["intervals"]
    widths = [
        (name.replace("_", " "), f"{100 * part['coverage']:.0f} %", f"{part['score_ms']:.3f}")
        for name, part in intervals.items()
        if isinstance(part, dict)
    ]
    text += ["", tabulate(widths, ("90 % interval", "coverage", "interval score, ms (less is better)"))]
    width = "half_width_near_1ms" if "half_width_near_1ms" in intervals else "median_half_width"
    text.append(f"\n{width.replace('_', ' ')}: {100 * intervals[width]:.1f} %")
    if "order" in record:
        order = record["order"]
        text.append(
            f"\n{order['source']}, fitted without {', '.join(order['without'])}: Kendall tau-b {order['tau_b']:.2f},"
            f" worst error {100 * order['worst']:.1f} %"
        )
        steps = [(s["network"], s["published_ms"], round(s["predicted_ms"], 3)) for s in order["steps"]]
        text.append(tabulate(steps, ("network", "published ms", "predicted ms")))
    return "\n".join(text)
