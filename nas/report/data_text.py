"""A data set as text: what it holds, what was done to its pixels, what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual

_FORMS = {"folder": "a folder of classes", "npz": "an .npz file", "csv": "a .csv file"}
_NOTES = {
    "rotated": "turned upright, as EXIF says", "palette": "of a palette", "alpha": "with alpha, over white",
    "16 bit": "of 16 bits, the upper 8 kept", "CMYK": "CMYK, made RGB", "animated": "animated, the first frame taken",
}  # fmt: skip


def data_text(record: Mapping[str, Any], page: Page = PLAIN) -> str:
    """The record of `nas data show --json` for people: facts, the classes, warnings."""
    images, classes = record["images"], record["classes"]
    lines = [
        page.filled(f"{record['path']}: {images:,} images in {len(classes)} classes, {_FORMS[record['form']]}"),
        "",
    ]
    facts = {
        "splits": ", ".join(_split(name, split) for name, split in record["splits"].items()),
        "pixels": _pixels(record["sizes"]),
        "channels": _counts({"gray": record["channels"].get("1", 0), "color": record["channels"].get("3", 0)}),
        "formats": _counts(record["formats"]),
        "changed": _counts({_NOTES[note]: count for note, count in record["notes"].items()}),
        "copies": f"{record['copies']:,} of another image in the same split" if record["copies"] else "",
        "besides": _files(record["other_files"]),
    }
    lines += [page.filled(text, indent=f"  {name:9} ", hanging=" " * 12) for name, text in facts.items() if text]
    columns = [textual("class", wrap=True), numeric("train"), numeric("val"), numeric("test")]
    rows = [(one["name"], *(f"{one[split]:,}" for split in record["splits"])) for one in classes]
    lines += ["", table(columns, rows, page)]
    if record["warnings"]:
        lines.append("")
        lines += [page.filled(f"warning: {warning}", hanging="  ") for warning in record["warnings"]]
    return "\n".join(lines)


def _split(name: str, split: Mapping[str, Any]) -> str:
    return f"{name} {split['images']:,}{' (drawn here)' if split['drawn'] else ''}"


def _pixels(sizes: Mapping[str, Any]) -> str:
    """Width × height, as people write it; the record has rows first."""
    low, middle, high = (
        f"{width} × {height}" for height, width in (sizes[which] for which in ("smallest", "median", "largest"))
    )
    return f"all {low}" if sizes["different"] == 1 else f"{low} to {high}, in the middle {middle}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


def _files(files: Mapping[str, Any]) -> str:
    if not files["count"]:
        return ""
    first = ", ".join(files["first"][:3]) + (", …" if files["count"] > 3 else "")
    what = "file that is no image" if files["count"] == 1 else "files that are no images"
    return f"{files['count']:,} {what}: {first}"
