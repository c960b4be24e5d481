"""Bundles as text: what was written, and what came of the times that came back."""

from __future__ import annotations

from collections.abc import Mapping

from nas.jobs.lut_bundle import ImportedBundle, MadeBundle
from nas.measure.bundle import PAGE_FILE, TIMINGS_FILE
from nas.report.few_text import any_built_text
from nas.report.page import PLAIN, Page

_APART = 0.05
"""How far the reference's two times may be apart where a device was steady."""
_LISTED = 8


def bundle_text(found: MadeBundle, page: Page = PLAIN) -> str:
    """What a bundle holds, and what to do with it."""
    record = found.as_json()
    roles = {"known": "known networks", "probe": "probes of other operators", "space": f"networks of {record['space']}"}
    counts = ["the reference", *(f"{record['roles'][r]} {what}" for r, what in roles.items() if r in record["roles"])]
    lines = [
        (
            f"{record['device']}: {record['networks']} networks to time ({', '.join(counts)}), {record['files']} files"
            f" ({', '.join(record['formats'])}; {record['size_bytes'] / 1e6:.0f} MB) in {found.folder};"
            f" {record['written']} were written now"
        ),
        *_left_out(found.bundle.left_out),
        (
            f"{PAGE_FILE} there says how they are timed; fill in {TIMINGS_FILE}, then: `nas lut import"
            f" {found.folder / TIMINGS_FILE} --device {record['device']}`"
        ),
    ]
    return "\n".join(map(page.filled, lines))


def _left_out(reasons: Mapping[str, str]) -> list[str]:
    if not reasons:
        return []
    name, reason = next(iter(reasons.items()))
    return [f"left out, as a format cannot hold them: {len(reasons)} (--json names all), first {name}: {reason}"]


def imported_bundle_text(found: ImportedBundle, page: Page = PLAIN, *, reached: bool = False) -> str:
    """How many times were taken, what is missing, and the table that they gave."""
    parts = [f"{found.added} new", f"{found.unchanged} as before"]
    parts += [f"{found.corrected} corrected"] if found.corrected else []
    parts += [f"{found.elsewhere} timed in another way before, which stay so"] if found.elsewhere else []
    lines = [
        (
            f"{found.device}: times of {len(found.times.rows)} networks beside the reference read"
            f" ({found.times.format}): {', '.join(parts)}"
        )
    ]
    if found.times.missing:
        names = ", ".join(found.times.missing[:_LISTED])
        more = f" and {len(found.times.missing) - _LISTED} more" if len(found.times.missing) > _LISTED else ""
        lines.append(
            f"{len(found.times.missing)} are not filled in: {names}{more}; import the file again when there is more"
        )
    if found.needed:
        lines.append(
            f"{found.timed} networks are timed, and a table needs {found.least}, the reference among them:"
            f" {found.needed} more; what there is is kept"
        )
    elif found.table is None:
        lines.append("nothing is new: the table is that of these times already")
    text = "\n".join(map(page.filled, lines))
    return f"{text}\n{any_built_text(found.table, page, reached=reached)}" if found.table else text


def warnings(found: ImportedBundle) -> list[str]:
    """What makes the times doubtful."""
    if len(found.reference_ms) < 2:
        return ["the reference has one time; its other one would tell whether the device slowed down meanwhile"]
    first, last = found.reference_ms
    if abs(last / first - 1.0) <= _APART:
        return []
    return [
        (
            f"the reference took {first:.4g} ms first and {last:.4g} ms last ({100 * (last / first - 1):+.0f} %): the"
            " device did not stay as fast as it was; let it cool down, and time all again"
        )
    ]
