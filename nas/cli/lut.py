"""`nas lut`: the latency table of a device: its costs, its scores, and what it says of a network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas.cli.device_option import device_option
from nas.cli.lut_build import build, plan, tell_unread
from nas.cli.lut_bundle import bundle, import_times, is_bundled
from nas.cli.names import known_network, known_space
from nas.cli.network_options import batch_option, input_shape_option
from nas.cli.progress import progress
from nas.cli.terminal import page, tell, wide_option
from nas.progress import Step, counted

if TYPE_CHECKING:
    from nas.jobs.lut_networks import FromNetworks
    from nas.latency import DeviceHome

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document.")


@click.group()
def command() -> None:
    """Latency tables: measuring them, operator costs, their scores, and predictions from them."""


command.add_command(plan)
command.add_command(build)
command.add_command(bundle)


@command.command()
@device_option
@wide_option
@_JSON
def show(home: DeviceHome, as_json: bool) -> None:
    """Show the operator costs of a device, where they come from, and what its table holds."""
    from nas.jobs.lut import describe

    record = describe(home)
    if as_json:
        click.echo(json.dumps(record, indent=1, ensure_ascii=False))
        return
    from nas.report.few_text import shares_text
    from nas.report.lut_text import costs_text, coverage_text

    click.echo(f"{home.name}: {record['rows']} segments in the table")
    if record["coverage"]:
        click.echo(coverage_text(record["coverage"], page()))
    if record["coefficients"]:
        text = shares_text if "others" in record["manifest"] else costs_text
        click.echo(text(record, page()))


@command.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@device_option
@click.option(
    "--activation",
    "activations",
    multiple=True,
    type=click.Choice(["relu", "hswish"]),
    help="Of blocks whose table does not say it (NSGANetV2); twice for rows of both.",
)
@_JSON
def import_files(files: tuple[Path, ...], home: DeviceHome, activations: tuple[str, ...], as_json: bool) -> None:
    """Take over what was measured elsewhere: timings.csv of a bundle, a CSV file of networks and latencies (network,
    latency_ms), files like table.csv, lookup tables of once-for-all, ProxylessNAS, NSGANetV2, or PaddleSlim's
    operators."""
    from nas.jobs.lut_import import Imported, import_any
    from nas.jobs.network_times import is_network_times

    if any(is_bundled(path) for path in files):
        import_times(home, files, as_json)
        return
    if any(is_network_times(path) for path in files):
        _import_networks(home, files, as_json)
        return

    found = import_any(home, files, activations)
    if as_json:
        click.echo(json.dumps({"device": home.name, **found.as_json()}, indent=1, ensure_ascii=False))
        return
    from nas.report.lut_text import imported_operators_text, imported_text

    if isinstance(found, Imported):
        click.echo(imported_text(home.name, found, page()))
    else:
        click.echo(imported_operators_text(home.name, found, page()))


def _import_networks(home: DeviceHome, files: Sequence[Path], as_json: bool) -> None:
    """Import whole networks and their latencies, and tell what came of them."""
    from nas.errors import InputError
    from nas.jobs.lut_networks import import_networks

    if len(files) > 1:
        raise InputError(f"latencies of networks must be imported by themselves, but got {len(files)} files.")
    tell_unread(home)
    with progress() as show:
        show(Step(doing="fitting the networks"))
        _tell_networks(import_networks(home, files[0]), as_json)


def _tell_networks(found: FromNetworks, as_json: bool) -> None:
    from nas.report.few_text import from_networks_text

    text = from_networks_text(found, page())
    click.echo(json.dumps(found.as_json(), indent=1, ensure_ascii=False) if as_json else text)


@command.command()
@device_option
@_JSON
def fit(home: DeviceHome, as_json: bool) -> None:
    """Fit operator costs to the device's networks.csv, or to its timings; write coefficients.json and table.csv. Other
    devices help where they helped before, or where its calibration.yaml names them (devices)."""
    from nas.jobs.lut import fit_device
    from nas.jobs.lut_build import has_timings
    from nas.jobs.lut_networks import fit_from_networks, helped_by

    if has_timings(home):
        from nas.jobs.lut_build import refit_table
        from nas.report.few_text import any_built_text

        with progress() as show:
            show(Step(doing="fitting what was timed"))
            built = refit_table(home)
        text = any_built_text(built, page(), reached=home.device.is_timed)
        click.echo(json.dumps(built.as_json(), indent=1) if as_json else text)
        return
    if helped_by(home):
        _tell_networks(fit_from_networks(home), as_json)
        return

    with progress() as show:
        found = fit_device(home, counted("leaving networks out", show))
    if as_json:
        record = {
            "device": home.name,
            "folder": str(found.folder),
            "form": list(found.calibrated.form),
            "coefficients": found.predictor.as_json()["coefficients"],
            "table_rows": found.table_rows,
            "manifest": dict(found.predictor.manifest),
        }
        click.echo(json.dumps(record, indent=1, ensure_ascii=False))
        return
    from nas.report.lut_text import fitted_text

    click.echo(fitted_text(home.name, found, page()))


@command.command()
@device_option
@click.option(
    "--space",
    callback=known_space,
    metavar="NAME",
    help="A measured device: whose networks to draw, and time.  [default: the table's]",
)
@click.option("--networks", type=click.IntRange(1), default=60, show_default=True, help="A measured device: how many.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="A measured device: which ones.")
@click.option(
    "--times",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A device out of reach: timings.csv of a bundle that was not imported.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write a page and a picture there.",
)
@wide_option
@_JSON
def verify(
    home: DeviceHome,
    space: str | None,
    networks: int,
    seed: int,
    times: Path | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Score a device's latencies on networks that it has not seen.

    A device that is measured from here: fresh networks are predicted, then timed. One that was timed with a bundle: the
    networks of another bundle (--times). Any other, and one that networks.csv alone tells of where no --space is named:
    networks and families of networks.csv are left out of the calibration, or of the fit that other devices help.
    """
    from nas.jobs.lut_build import has_timings

    if times is not None or (home.device.is_timed and (space is not None or has_timings(home))):
        record, text, paths = _check(home, space, networks, seed, times, report)
    else:
        record, text, paths = _left_out_scores(home, report)
    for path in paths:
        click.echo(f"wrote {path}", err=True)
    click.echo(json.dumps(record, indent=1) if as_json else text)


def _check(
    home: DeviceHome, space: str | None, networks: int, seed: int, times: Path | None, report: Path | None
) -> tuple[dict[str, Any], str, Sequence[Path]]:
    from nas.jobs.lut_build import table_space
    from nas.jobs.lut_verify import verify_table, verify_times
    from nas.report.lut_text import check_text

    with progress() as show:
        found = (
            verify_times(home, times)
            if times is not None
            else verify_table(
                home,
                space or table_space(home),
                count=networks,
                seed=seed,
                progress=counted("timing fresh networks", show),
            )
        )
    record = found.as_json()
    paths: Sequence[Path] = ()
    if report is not None:
        from nas.report.table_check import write_check

        paths = write_check(record, report)
    return record, check_text(record, page()), paths


def _left_out_scores(home: DeviceHome, report: Path | None) -> tuple[dict[str, Any], str, Sequence[Path]]:
    from nas.errors import InputError
    from nas.jobs.lut import verify_device
    from nas.jobs.lut_build import has_timings
    from nas.jobs.lut_networks import helped_by, verify_from_networks
    from nas.latency.load import NETWORKS_FILE
    from nas.latency.published.scores import summary
    from nas.report.latency_text import left_out_text

    if has_timings(home) and not (home.folder / NETWORKS_FILE).exists():
        raise InputError(
            f"{home.name} is timed with bundles, so --times must name the times of one that was not imported; write it:"
            f" `nas lut bundle --device {home.name} --seed 1 --out DIR`."
        )
    if helped_by(home):
        if report is not None:
            raise InputError(
                f"{home.name} is known from few networks, of which there is no report; leave --report out."
            )
        from nas.report.few_text import left_out_networks_text

        own = verify_from_networks(home).as_json()
        return {"device": home.name, **own}, left_out_networks_text(home.name, own, page()), ()
    with progress() as show:
        found = verify_device(home, counted("leaving out networks and families", show))
    record = summary(found)
    paths: Sequence[Path] = ()
    if report is not None:
        from nas.report.latency import write_report

        paths = write_report(home.name, found, record, report)
    return {"device": home.name, **record}, left_out_text(home.name, record, page()), paths


@command.command()
@click.argument("network", callback=known_network, metavar="MODEL.onnx|ARCHITECTURE")
@device_option
@input_shape_option
@batch_option
@click.option("--now", "is_now", is_flag=True, help="At the speed that the device has now, which is looked at.")
@_JSON
def predict(
    network: str, home: DeviceHome, input_shapes: tuple[str, ...], batch: int | None, is_now: bool, as_json: bool
) -> None:
    """Predict the latency of a network: an ONNX file, a known name, an architecture file, or a zoo folder."""
    from nas.jobs.lut import predict as predict_network

    model, now = None, None
    if is_now:
        from nas.jobs.device_check import model_now

        with progress() as show:
            model, now = model_now(home, progress=show)
    found = predict_network(home, network, input_shape=input_shapes, batch=batch, model=model)
    estimate = found.estimate
    published = [
        {"latency_ms": row.latency_ms, "source": row.source, "protocol": row.protocol, "network": row.network}
        for row in found.published
    ]
    if as_json:
        segments = [{"segment": key, "mean_ms": ms} for key, ms in found.segments]
        record = {
            "network": network, "device": home.name, **found.facts.as_json(), "latency": estimate.as_json(),
            "published": published, "segments": segments, **({"model": found.model} if found.model else {}),
            **({"level": now.likely[0]} if now else {}),
        }  # fmt: skip
        click.echo(json.dumps(record, indent=1, ensure_ascii=False))
        return
    from nas.report.latency_text import predicted_text

    click.echo(predicted_text(network, home.name, found, page()))
    if now is not None:
        from nas.report.device_text import level_note

        level = 100.0 * (now.likely[0] - 1.0)
        click.echo(page().filled(f"{level_note(now)}; the latency is at {level:+.1f} %"))
    for text in estimate.warnings:
        tell("warning", text)
