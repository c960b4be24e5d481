from __future__ import annotations

import csv
import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from nas.blocks.rounding import make_divisible
from nas.errors import InputError, NasError, UnknownOperatorError
from nas.jobs.lut import describe, fit_device, predict
from nas.jobs.lut_import import Imported, ImportedOperators, import_any, import_tables
from nas.latency import device_home, load_latency
from nas.latency.table.rows import TableRow, read_table, table_text
from nas.space import Architecture, known_network
from nas.space.architecture import make_layer
from tests.latency.table.test_lookup import LAST, TIMES, text
from tests.latency.table.test_operator_times import operator_table
from tests.latency.test_device import TEXT
from tests.shared_data import shared_data

BLOCK = "15x15x8-8x8x12-expand:3-kernel:5-stride:2"
LAST_SEGMENT = "conv1x1s1 16x8x8>96x8x8+hswish"
SEGMENTS = ("conv1x1s1 16x56x56>24x56x56+relu", "conv1x1s1 24x56x56>24x56x56+relu")
ROWS = [
    TableRow(segment=key, mean_ms=0.5, low_ms=0.4, high_ms=0.6, count=3, source="measured", date="2024-05-01")
    for key in SEGMENTS
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the device "mine" in a workspace of its own."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    place = tmp_path.resolve() / "latency_tables" / "mine"
    place.mkdir(parents=True)
    (place / "device.yaml").write_text(TEXT, encoding="utf-8")
    return place


def table(path: Path, rows: list[TableRow]) -> Path:
    path.write_text(table_text(rows), encoding="utf-8")
    return path


def lookup(path: Path, size: int, *, factor: float = 1.0) -> Path:
    """The hand-made table for another image size: a stem of its own, all other layers the same, times `factor`."""
    scaled = {name: (mean * factor, std, count) for name, (mean, std, count) in TIMES.items()}
    content = text(scaled).replace("32x32x3-output:16x16x8", f"{size}x{size}x3-output:{size // 2}x{size // 2}x8")
    path.write_text(content, encoding="utf-8")
    return path


def small_network(resolution: int = 32) -> Architecture:
    """The network of the hand-made table."""
    layers = (
        make_layer("conv", {"out": 8, "stride": 2, "act": "hswish"}),
        make_layer("mbconv", {"out": 8, "hidden": 8, "act": "relu"}),
        make_layer("mbconv", {"out": 16, "hidden": 24, "kernel": 5, "stride": 2, "act": "hswish", "se": 8}),
        make_layer("conv", {"out": 96, "kernel": 1, "act": "hswish"}),
        make_layer("head", {"hidden": 128, "act": "hswish"}),
    )
    return Architecture(name="small", family="ofa", resolution=resolution, layers=layers, num_classes=10)


def test_a_lookup_table_gives_the_sum_of_its_layers(folder: Path) -> None:
    found = import_tables(device_home("mine"), [lookup(folder.parent / "t.yaml", 32)])
    assert (found.folder, found.rows, found.added) == (folder, 5, 5)
    estimate = load_latency("mine").estimate(small_network())
    assert estimate.mean_ms == pytest.approx(sum(mean for mean, _, _ in TIMES.values()))
    assert estimate.source == "measured"
    rows = read_table(folder / "table.csv")
    assert {row.date for row in rows.values()} == {"2024-05-01"}  # that of device.yaml
    parts = describe(device_home("mine"))["coverage"]
    assert [(part["source"], part["rows"], part["fewest"], part["most"]) for part in parts] == [("measured", 5, 40, 90)]


def test_all_missing_segments_are_named(folder: Path) -> None:
    import_tables(device_home("mine"), [lookup(folder.parent / "t.yaml", 32)])
    with pytest.raises(UnknownOperatorError, match="lacks 5 of 5: segment 1") as caught:
        load_latency("mine").estimate(small_network(64))
    assert all(f", {number} [" in str(caught.value) for number in (2, 3, 4, 5))
    layers = small_network().layers
    deeper = replace(small_network(), layers=(*layers[:2], layers[1].with_args(kernel=7), layers[1], *layers[2:]))
    with pytest.raises(UnknownOperatorError, match=r"lacks 1 of 7: segment 3 \[conv7x7s1g8 8x16x16"):
        load_latency("mine").estimate(deeper)


def test_more_than_a_dozen_missing_segments_are_counted(folder: Path) -> None:
    import_tables(device_home("mine"), [lookup(folder.parent / "t.yaml", 32)])
    network = known_network("mobilenetv2-1.0")
    distinct = len({segment.key for segment in network.segments()})
    with pytest.raises(UnknownOperatorError, match=rf"\], and {distinct - 12} more; measure or import"):
        predict(device_home("mine"), "mobilenetv2-1.0")


@pytest.mark.parametrize("turned", [False, True])
def test_of_several_image_sizes_the_largest_is_taken_in_any_order(folder: Path, turned: bool) -> None:
    files = [lookup(folder.parent / f"{size}.yaml", size, factor=size / 32) for size in (32, 34, 36)]
    found = import_tables(device_home("mine"), files[::-1] if turned else files)
    assert (found.rows, found.added, len(found.sizes)) == (7, 7, 8)
    row = read_table(folder / "table.csv")[LAST_SEGMENT]
    assert row.mean_ms == pytest.approx(TIMES[LAST][0] * 36 / 32)


def test_a_later_import_replaces_and_says_so(folder: Path) -> None:
    small, large = (lookup(folder.parent / f"{size}.yaml", size, factor=size / 32) for size in (32, 36))
    import_tables(device_home("mine"), [small, large])
    again = import_tables(device_home("mine"), [small])
    assert (again.added, again.unchanged, len(again.replaced), again.rows) == (0, 1, 4, 6)
    choice = next(c for c in again.replaced if c.taken.segment == LAST_SEGMENT)
    assert (choice.left.mean_ms, choice.taken.mean_ms) == pytest.approx((TIMES[LAST][0] * 36 / 32, TIMES[LAST][0]))
    assert load_latency("mine").estimate(small_network()).mean_ms == pytest.approx(1.47)


def test_a_table_like_ours_is_taken_over_row_by_row(folder: Path) -> None:
    file = table(folder.parent / "theirs.csv", ROWS)
    assert import_tables(device_home("mine"), [file]).added == 2
    assert list(read_table(folder / "table.csv").values()) == ROWS
    assert import_tables(device_home("mine"), [file, lookup(folder.parent / "t.yaml", 32)]).unchanged == 2
    assert import_tables(device_home("mine"), [folder / "table.csv"]).unchanged == 7


def test_rows_that_two_files_agree_on_are_no_fault(folder: Path) -> None:
    one, two = table(folder.parent / "a.csv", ROWS), table(folder.parent / "b.csv", ROWS[:1])
    found = import_tables(device_home("mine"), [one, two])
    assert (found.rows, found.added, found.sizes) == (2, 2, ())


def test_what_a_file_does_not_say_is_told(folder: Path) -> None:
    file = folder.parent / "t.csv"
    file.write_text(f"{BLOCK},1.0\n9x9,2.0\n", encoding="utf-8")
    (found,) = import_tables(device_home("mine"), [file]).files
    assert (found.form, found.assumed, [row.name for row in found.refused]) == ("ProxylessNAS", 1, ["9x9"])
    (row,) = read_table(folder / "table.csv").values()
    assert (row.source, row.count, row.date) == ("measured", 1, "2024-05-01")


def test_a_weaker_source_never_replaces_a_stronger_one(folder: Path) -> None:
    import_tables(device_home("mine"), [table(folder.parent / "a.csv", ROWS)])
    printed = [replace(ROWS[0], source="modelled", count=0, mean_ms=0.55), replace(ROWS[1], mean_ms=0.45)]
    found = import_tables(device_home("mine"), [table(folder.parent / "b.csv", printed)])
    assert [choice.taken for choice in found.kept] == [ROWS[0]]
    assert [choice.left for choice in found.replaced] == [ROWS[1]]
    assert list(read_table(folder / "table.csv").values()) == [ROWS[0], printed[1]]


def test_two_files_with_one_segment_and_no_rule_between_them_are_refused(folder: Path) -> None:
    one, two = table(folder.parent / "a.csv", ROWS), table(folder.parent / "b.csv", [replace(ROWS[0], mean_ms=0.55)])
    with pytest.raises(InputError, match=r"must come from one file, .*a\.csv and .*b\.csv have conv1x1s1 16x56x56"):
        import_tables(device_home("mine"), [one, two])
    same = lookup(folder.parent / "a.yaml", 32), lookup(folder.parent / "b.yaml", 32, factor=2.0)
    with pytest.raises(InputError, match="must come from one file"):
        import_tables(device_home("mine"), same)
    assert not (folder / "table.csv").exists()


def test_a_shipped_device_is_copied_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_latency("iphone12")
    shipped = device_home("iphone12").folder
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    network = known_network("mobilenetv3-large-1.0")
    segment = network.segments()[3]
    key = segment.key
    row = replace(ROWS[0], segment=key, mean_ms=0.02, low_ms=0.019, high_ms=0.021)
    found = import_tables(device_home("iphone12"), [table(tmp_path / "mine.csv", [row])])
    assert (found.added, len(found.replaced), found.rows) == (0, 1, len(read_table(shipped / "table.csv")))
    own = tmp_path.resolve() / "latency_tables" / "iphone12"
    assert device_home("iphone12").folder.resolve() == found.folder == own
    assert {path.name for path in own.iterdir()} == {path.name for path in shipped.iterdir()}
    old = before.segment_costs([key], [segment.operators]).mean_ms[0]
    expected = before.estimate(network).mean_ms + network.segments().count(segment) * (0.02 - old)
    assert load_latency("iphone12").estimate(network).mean_ms == pytest.approx(expected)
    assert row.mean_ms == read_table(own / "table.csv")[key].mean_ms


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.txt", "x\n", "its name ends in neither"),
        ("t", "x\n", "its name ends in neither"),
        ("t.csv", "segment,mean_us,low_us,high_us,count,source,date\n", "'mean_us' is none of them"),
        ("t.csv", "segment,mean_ms,low_ms,high_ms,count,source,date\n", "must hold at least one row"),
        ("t.csv", table_text([replace(ROWS[0], mean_ms=500.0, high_ms=600.0)]), "if they are microseconds"),
        ("t.yaml", text({LAST: (2e6, 1.0, 3)}), "milliseconds of one segment"),
        ("t.yaml", "x: y\n", "all 1 are refused: x (no text that is known"),
    ],
)
def test_a_bad_file_changes_nothing(folder: Path, name: str, content: str, words: str) -> None:
    import_tables(device_home("mine"), [table(folder.parent / "a.csv", ROWS)])
    before = (folder / "table.csv").read_bytes()
    (folder.parent / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=f"{name}[:, ]") as caught:
        import_tables(device_home("mine"), [lookup(folder.parent / "good.yaml", 32), folder.parent / name])
    assert words in str(caught.value)
    assert (folder / "table.csv").read_bytes() == before


@pytest.mark.parametrize(("number", "rule"), [(errno.ENOSPC, "must have room"), (errno.EACCES, "must be writable")])
def test_where_nothing_can_be_written_nothing_is_lost(
    folder: Path, number: int, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_tables(device_home("mine"), [table(folder.parent / "a.csv", ROWS)])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(source: object, target: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(NasError, match=f"table.csv {rule}, but: {os.strerror(number)}"):
        import_tables(device_home("mine"), [lookup(folder.parent / "t.yaml", 32)])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_half_a_copy_of_a_shipped_device_does_not_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = device_home("iphone12").folder
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    real = os.replace

    def fail(source: str, target: Path) -> None:
        if target.name == "table.csv":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(NasError, match="No space left"):
        import_tables(device_home("iphone12"), [table(tmp_path / "a.csv", ROWS)])
    assert device_home("iphone12").folder == shipped


def test_a_fit_keeps_what_was_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    printed = read_table(device_home("pixel3-cpu").folder / "table.csv")
    row = replace(ROWS[0], segment=min(printed))
    import_tables(device_home("pixel3-cpu"), [table(tmp_path / "a.csv", [row, ROWS[1]])])
    fitted = fit_device(device_home("pixel3-cpu"))
    rows = read_table(fitted.folder / "table.csv")
    assert rows.keys() == printed.keys() | {ROWS[1].segment}
    assert {key for key, kept in rows.items() if kept.source == "measured"} == {row.segment, ROWS[1].segment}
    assert (rows[row.segment], rows[ROWS[1].segment]) == (row, ROWS[1])


def test_operators_make_costs_and_never_rows(folder: Path) -> None:
    file = folder.parent / "operators.txt"
    file.write_text(operator_table(), encoding="utf-8")
    import_tables(device_home("mine"), [lookup(folder.parent / "t.yaml", 32)])
    before = (folder / "table.csv").read_bytes()
    found = import_any(device_home("mine"), [file])
    assert isinstance(found, ImportedOperators)
    assert (len(found.found.times), [row.name for row in found.found.refused]) == (40, ["softmax,1,1,8,1,1"])
    assert (folder / "table.csv").read_bytes() == before
    estimate = load_latency("mine").estimate(known_network("mobilenetv1-0.25"))
    assert estimate.source == "predicted"
    # Whatever a network's operators take in it lies in the interval: from 13 % less to 45 % more than alone.
    assert estimate.low_ms < estimate.mean_ms / 1.45 and estimate.high_ms > estimate.mean_ms / 0.87
    assert load_latency("mine").estimate(small_network()).source == "measured"
    assert describe(device_home("mine"))["manifest"]["operators"] == 40
    assert isinstance(import_any(device_home("mine"), [file]), ImportedOperators)  # again


def test_too_few_operators_and_a_device_with_costs_of_its_own_are_refused(folder: Path) -> None:
    file = folder.parent / "operators.txt"
    file.write_text("".join(operator_table().splitlines(keepends=True)[:12]), encoding="utf-8")
    with pytest.raises(InputError, match="at least 12 of them to be fitted to, but it has 11"):
        import_any(device_home("mine"), [file])
    with pytest.raises(InputError, match="must be imported by itself"):
        import_any(device_home("mine"), [file, file])
    assert not (folder / "coefficients.json").exists()
    with pytest.raises(InputError, match="its are fitted to networks"):
        import_any(device_home("iphone12"), [file])


def note10_networks() -> Iterator[tuple[Architecture, dict[str, str]]]:
    """The networks specialised for the phone that networks.csv gives in full, each with its published row."""
    folder = shared_data("note10")
    with (folder / "specialised_networks.csv").open(encoding="utf-8", newline="") as stream:
        published = {row["name"]: row for row in csv.DictReader(stream)}
    with (folder / "networks.csv").open(encoding="utf-8", newline="") as stream:
        for name, rows in groupby(csv.DictReader(stream), key=lambda row: row["network"]):
            layers = [_layer(row) for row in rows if row["part"] != "classifier"]
            made = (make_layer(str(args.pop("block")), args) for args in layers)
            size = int(published[name]["image_size"])
            yield (
                Architecture(name=name, family="ofa", resolution=size, layers=tuple(made)),
                published[name],
            )


def _layer(row: dict[str, str]) -> dict[str, int | str]:
    out, act = int(row["out_channels"]), {"h_swish": "hswish", "relu": "relu"}[row["act_func"]]
    size = {"kernel": int(float(row["kernel_size"])), "stride": int(float(row["stride"]))}
    if row["part"] == "feature_mix_layer":
        return {"block": "head", "hidden": out, "act": act}
    if not row["part"].startswith("block"):
        return {"block": "conv", "out": out, "act": act, **size}
    hidden = int(float(row["mid_channels"] or row["in_channels"]))
    se = make_divisible(hidden // 4) if row["use_se"] == "True" else 0
    return {"block": "mbconv", "out": out, "hidden": hidden, "act": act, "se": se, **size}


def import_note10(folder: Path, sizes: str) -> Imported:
    return import_tables(
        device_home("mine"), sorted(shared_data("note10").glob(f"{sizes}_lookup_table.yaml"), reverse=True)
    )


@pytest.mark.parametrize("sizes", ["*", "224"])
def test_the_note10_tables_give_the_published_sum_or_name_what_is_missing(folder: Path, sizes: str) -> None:
    found = import_note10(folder, sizes)
    assert found.rows == {"*": 448, "224": 94}[sizes]
    complete = []
    for network, published in note10_networks():
        file = folder.parent / "architecture.yaml"
        file.write_text(network.to_yaml(), encoding="utf-8")
        if published["table_sum_ms"]:
            estimate = predict(device_home("mine"), str(file)).estimate
            assert estimate.mean_ms == pytest.approx(float(published["table_sum_ms"]), rel=1e-12)
            assert estimate.source == "measured"
            complete.append(network.name)
        else:
            with pytest.raises(UnknownOperatorError, match=r"lacks [0-9]+ of [0-9]+: segment 1 \[conv3x3s2"):
                predict(device_home("mine"), str(file))
    assert complete == ["note10_lat-30ms_top1-78.4_finetune-75"]


def test_the_note10_tables_of_all_sizes_agree_within_a_hundredth(folder: Path) -> None:
    found = import_note10(folder, "*")
    assert found.rows + len(found.sizes) == sum(len(file.rows) for file in found.files)
    assert {file.image_size for file in found.files} == {160, 176, 192, 208, 224}
    assert all(choice.left.mean_ms == pytest.approx(choice.taken.mean_ms, rel=0.01) for choice in found.sizes)
    counts = describe(device_home("mine"))["coverage"][0]
    assert (counts["rows"], counts["fewest"] > 0) == (448, True)
