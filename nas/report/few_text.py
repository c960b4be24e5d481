"""Tables from few networks as text: what was made, of what, and how networks left out are predicted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.jobs.lut_networks import FromNetworks
from nas.measure.few import FewTable
from nas.measure.fit import BuiltTable
from nas.report.lut_text import built_text, faults_text, left_out_line
from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual


def any_built_text(found: BuiltTable | FewTable, page: Page = PLAIN, *, reached: bool = True) -> str:
    """What came of timings, whichever model was fitted to them."""
    if isinstance(found, FewTable):
        return few_text(found, page, reached=reached)
    return built_text(found, page, reached=reached)


def few_text(found: FewTable, page: Page = PLAIN, *, reached: bool = True) -> str:
    """What was timed, what the model is made of, and how networks left out were predicted."""
    record = found.as_json()
    rows = [(name, *(f"{100 * value:.1f} %" for value in part.values())) for name, part in record["left_out"].items()]
    columns = [textual("", wrap=True), numeric("median error"), numeric("within 5 %"), numeric("within 10 %")]
    further = (
        f"`nas lut verify --device {record['device']}` times fresh networks; `nas lut build"
        f" --device {record['device']} --space {found.space_reference}` times hundreds, for a table of its own"
        if reached
        else f"`nas lut bundle --device {record['device']} --space {found.space_reference} --out DIR` writes further"
        " networks"
    )
    return "\n".join((
        page.filled(f"{record['device']}: {found.networks} networks timed; wrote the operator costs to {found.folder}"),
        page.filled(record["model"]),
        *map(page.filled, faults_text(found.faults)),
        "",
        "each timed network predicted from the others:",
        table(columns, rows, page),
        "",
        page.filled(
            f"half of their 90 % intervals: {100 * record['half_width']:.1f} % in the median;"
            f" {100 * record['inside_interval_left_out']:.0f} % are inside; {further}"
        ),
    ))  # fmt: skip


def from_networks_text(found: FromNetworks, page: Page = PLAIN) -> str:
    """What a device was fitted to, with whose help, and how that predicts networks left out."""
    record = found.as_json()
    new = f"{found.added} of them new; " if found.added else ""
    lines = [f"{record['device']}: {found.rows} networks; {new}wrote the operator costs to {found.folder}"]
    lines.append(record["model"])
    if found.left_out:
        lines.append(_left_out_words(record["manifest"]))
    if record["manifest"]["families"] == 1:
        lines.append(
            "All networks are of one family: what others cost is a guess, and intervals are at least ±35 %. Time"
            " networks of other families, and import them as well."
        )
    return "\n".join(map(page.filled, lines))


def left_out_networks_text(device: str, record: Mapping[str, Any], page: Page = PLAIN) -> str:
    """The record of `nas.jobs.lut_networks.LeftOutNetworks`."""
    parts = {"networks left out": record["network_out"], "families left out": record["family_out"] or {}}
    names = {"ours": "", "scaled": ", one other device scaled"}
    rows = [
        (f"{what}{names[name]}", f"{part['median']:.1%}", f"{part['mean']:.1%}")
        for what, scores in parts.items()
        for name, part in scores.items()
    ]
    networks = [
        (one["network"], f"{one['published_ms']:g}", f"{one['predicted_ms']:.4g}") for one in record["networks"]
    ]
    intervals = record["intervals"]
    return "\n\n".join((
        page.filled(f"{device}: {record['rows']['networks']} networks, each predicted from the others"),
        table([textual("error of the latency", wrap=True), numeric("median"), numeric("mean")], rows, page),
        page.filled(
            f"inside the 90 % interval: {intervals['coverage']:.0%}; half of it in the median:"
            f" {intervals['median_half_width']:.1%}"
        ),
        table([textual("network"), numeric("published ms"), numeric("predicted ms")], networks, page),
    ))  # fmt: skip


def _left_out_words(manifest: Mapping[str, Any]) -> str:
    inside = 100 * manifest["inside_interval_left_out"]
    return f"networks left out: {left_out_line(manifest['left_out'])}; {inside:.0f} % inside their intervals"


def shares_text(record: Mapping[str, Any], page: Page = PLAIN) -> str:
    """The costs of a device that other devices helped to fit: how like each it is, and what it rests on."""
    manifest, coefficients = record["manifest"], record["coefficients"]
    rows = [
        (name, f"{coefficients[f'level of {name}']:.4g}", f"{100 * coefficients[f'share of {name}']:.0f} %")
        for name in manifest["others"]
    ]
    columns = [textual("other device", wrap=True), numeric("times its latencies"), numeric("share of their average")]
    facts = [
        manifest["model"],
        _left_out_words(manifest) if manifest["left_out"] else "",
        "; ".join(f"{name} {value}" for name, value in manifest.get("environment", {}).items()),
    ]
    return "\n".join((table(columns, rows, page), "", *(page.filled(fact) for fact in facts if fact)))
