from __future__ import annotations

import math
from pathlib import Path

import pytest

from nas.errors import InputError
from nas.latency.table.lookup import ACTIVATIONS, LookupRow, LookupTable, read_lookup_table
from tests.shared_data import shared_data

STEM = "Conv-input:32x32x3-output:16x16x8"
PLAIN = "expanded_conv-input:16x16x8-output:16x16x8-expand:8-kernel:3-stride:1-idskip:1-se:0-hs:0"
SQUEEZED = "expanded_conv-input:16x16x8-output:8x8x16-expand:24-kernel:5-stride:2-idskip:0-se:1-hs:1"
LAST = "Conv_1-input:8x8x16-output:8x8x96"
POOL, HIDDEN, LOGITS = (
    "AvgPool2D-input:8x8x96-output:1x1x96",
    "Conv_2-input:1x1x96-output:1x1x128",
    "Logits-input:1x1x128-output:10",
)
TIMES = {
    STEM: (0.5, 0.01, 90), PLAIN: (0.4, 0.02, 80), SQUEEZED: (0.3, 0.03, 70), LAST: (0.2, 0.01, 60),
    POOL: (0.01, 0.001, 50), HIDDEN: (0.02, 0.002, 40), LOGITS: (0.04, 0.003, 45),
}  # fmt: skip


def text(times: dict[str, tuple[float, float, int]]) -> str:
    """A table as PyYAML writes it."""
    return "".join(
        f"{name}:\n  count: {count}\n  mean: {mean}\n  std: {std}\n" for name, (mean, std, count) in times.items()
    )


WHOLE = text(TIMES)


PROXYLESS = "expanded_conv-input:15x15x8-output:8x8x12-expand:3-kernel:5-stride:2-idskip:0"
PROXYLESS_CSV = "15x15x8-8x8x12-expand:3-kernel:5-stride:2"
NSGANET = "MBConv-input:16x16x8-output:8x8x16-expand:4-kernel:5-stride:2-idskip:0-se:1"


def read(folder: Path, content: str, *activations: str) -> LookupTable:
    path = folder / "32_lookup_table.yaml"
    path.write_text(content, encoding="utf-8")
    return read_lookup_table(path, activations)


def test_layers_become_our_segments_with_their_facts(tmp_path: Path) -> None:
    table = read(tmp_path, WHOLE)
    assert table.image_size == 32
    rows = {row.segment: (row.mean_ms, row.std_ms, row.count) for row in table.rows}
    # Squeeze-and-excitation: 24 // 4 = 6 channels, rounded to 8.
    squeezed = (
        "conv1x1s1 8x16x16>24x16x16+hswish; conv5x5s2g24 24x8x8+hswish; gap 24x1x1; conv1x1s1 8x1x1+relu;"
        " conv1x1s1 24x1x1+hsigmoid; mul(2,5) 24x8x8; conv1x1s1 16x8x8"
    )
    head = rows.pop("gap 96x8x8>96; linear 128+hswish; linear 10")
    assert head == pytest.approx((0.07, 0.006, 40))
    assert rows == {
        "conv3x3s2 3x32x32>8x16x16+hswish": (0.5, 0.01, 90),
        "conv3x3s1g8 8x16x16>8x16x16+relu; conv1x1s1 8x16x16; add(0,2) 8x16x16": (0.4, 0.02, 80),
        squeezed: (0.3, 0.03, 70),
        "conv1x1s1 16x8x8>96x8x8+hswish": (0.2, 0.01, 60),
    }
    assert {row.names for row in table.rows} == {(STEM,), (PLAIN,), (SQUEEZED,), (LAST,), (POOL, HIDDEN, LOGITS)}


def test_the_interval_is_of_one_timing_and_keeps_the_deviation() -> None:
    row = LookupRow(segment="x", names=("x",), count=100, mean_ms=2.0, std_ms=0.1)
    low, high = row.interval_ms()
    assert (low, high) == pytest.approx((2.0 * math.exp(-1.6449 * 0.05), 2.0 * math.exp(1.6449 * 0.05)))
    assert 2.0 * math.log(high / low) / (2 * 1.6449) == pytest.approx(0.1)
    exact = LookupRow(segment="x", names=("x",), count=1, mean_ms=2.0, std_ms=0.0)
    assert exact.interval_ms() == (2.0, 2.0)


def test_a_table_without_a_stem_is_of_no_image_size(tmp_path: Path) -> None:
    table = read(tmp_path, text({PLAIN: TIMES[PLAIN]}))
    assert table.image_size is None
    assert len(table.rows) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (WHOLE[:-2], "the last row must end with a line break"),
        (WHOLE[: WHOLE.index("  mean")], f"{STEM}: the key 'mean' must be given"),
        (WHOLE + LAST.replace("96", "88")[:20], "line 30 must be valid YAML"),
        (WHOLE.replace("  mean: 0.4\n", ""), f"{PLAIN}: the key 'mean' must be given"),
        (WHOLE.replace("mean: 0.4\n", "mean_us: 400\n"), "times must be in ms, but 'mean_us' names another unit"),
        (WHOLE.replace("mean: 0.4\n", "means: 0.4\n"), "got 'means'; did you mean 'mean'?"),
        (WHOLE + "unit: us\n", "times must be in ms, but unit is 'us'"),
        (WHOLE.replace("mean: 0.4\n", "mean: -0.4\n"), "mean must be a positive finite number of ms, but got -0.4"),
        (WHOLE.replace("mean: 0.4\n", "mean: .nan\n"), "a number must be finite, and at most 1e30, but got .nan"),
        (WHOLE.replace("mean: 0.4\n", "mean: 0\n"), "mean must be a positive"),
        (WHOLE.replace("mean: 0.4\n", "mean: 0.4ms\n"), "mean must be a positive finite number of ms, but got '0.4ms'"),
        (WHOLE.replace("mean: 0.4\n", "mean: true\n"), "mean must be a positive"),
        (WHOLE.replace("std: 0.02\n", "std: -1\n"), "std must be a number of ms from 0 to 10 times the mean"),
        (WHOLE.replace("std: 0.02\n", "std: 20\n"), "std must be"),
        (
            WHOLE.replace("std: 0.02\n", "var: 400\n"),
            "var must be a number of ms² from 0 to 10 times the mean (0.4), sq",
        ),
        (WHOLE.replace("std: 0.02\n", "var: -1\n"), "var must be a number of ms²"),
        (WHOLE.replace("std: 0.02\n", "std: 0.02\n  var: 0.0004\n"), "std and var say the same"),
        (WHOLE.replace("count: 80\n", "count: 0\n"), "count must be a whole number"),
        (WHOLE.replace("count: 80\n", "count: 1.5\n"), "count must be a whole number"),
        (WHOLE + text({PLAIN: TIMES[PLAIN]}), "comes again"),
        (WHOLE + f"{PROXYLESS}: 1.0\n{PROXYLESS_CSV}: 2.0\n", "rows of one segment must have the same figures"),
        (f"{PLAIN}: [1, 2, 3]\n", "must be a mapping with the keys count, mean, std, var"),
        (f"{PLAIN}: !!python/object:os.system x\n", "tags are not allowed"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [" + "*b, " * 99 + "*b]\nd: [" + "*c, " * 999 + "*c]\n", "at most"),
        ("", "is empty"),
        ("x: y\n", "all 1 are refused: x (no text that is known; nearest: "),
        (text({POOL: TIMES[POOL], HIDDEN: TIMES[HIDDEN]}), "all 2 are refused"),
        (text({NSGANET: (0.5, 0.1, 3)}), "--activation relu, --activation hswish, or both"),
    ],
)
def test_a_bad_table_is_refused_naming_file_layer_and_rule(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InputError, match="32_lookup_table.yaml") as caught:
        read(tmp_path, content)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("-se:0-hs:0", "-se:0", "must say both se and hs, as once-for-all's, or neither; nearest: expanded_conv-input"),
        ("16x16x8-output:16x16x8", "16x16x0-output:16x16x0", "no text that is known; nearest: expanded_conv-input"),
        (LAST, "Conv_9-input:8x8x16-output:8x8x96", "-input:HxWxC-output:HxWxC (all tools)"),
        ("kernel:3", "kernel:4", "kernel must be odd and at least 1, but got 4"),
        ("stride:2", "stride:3", "stride must be one of 1, 2, but got 3"),
        ("output:8x8x16-expand", "output:9x9x16-expand", "output must be 8x8x16, as the layer gives, but got 9x9x16"),
        ("idskip:1", "idskip:0", "idskip must be 1 where stride is 1 and the widths agree, and 0 elsewhere, but got 0"),
        ("idskip:0", "idskip:1", "idskip must be 1 where stride is 1 and the widths agree, and 0 elsewhere, but got 1"),
        ("expand:24", "expand:3", "expand must be the inner width, at least the input's 8 channels"),
    ],
)
def test_a_row_that_is_no_layer_here_is_refused_by_itself(tmp_path: Path, old: str, new: str, words: str) -> None:
    table = read(tmp_path, WHOLE.replace(old, new))
    assert len(table.rows) == 4
    (refused,) = table.refused
    assert words in refused.reason
    assert f"\n{refused.name}:" in f"\n{WHOLE.replace(old, new)}"


def test_parts_of_a_head_without_the_others_are_refused_one_by_one(tmp_path: Path) -> None:
    narrow = "AvgPool2D-input:8x8x88-output:1x1x88"
    table = read(tmp_path, WHOLE.replace(POOL, narrow))
    assert [row.name for row in table.refused] == [narrow, HIDDEN, LOGITS]
    assert all("this one lacks neighbours of its width" in row.reason for row in table.refused)


@pytest.mark.parametrize(
    ("figures", "std", "count"),
    [
        ("{mean: 0.4, var: 0.0004, count: 80}", 0.02, 80),
        ("{mean: 0.4, std: 0.02}", 0.02, None),
        ("{mean: 0.4, count: 80}", None, 80),
        ("{mean: 0.4}", None, None),
        ("0.4", None, None),
    ],
)
def test_only_the_mean_must_be_there(tmp_path: Path, figures: str, std: float | None, count: int | None) -> None:
    (row,) = read(tmp_path, f"{PLAIN}: {figures}\n").rows
    assert (row.mean_ms, row.count) == (0.4, count)
    assert row.std_ms == pytest.approx(std)
    # Without a deviation 5 % of the mean: 0.4 exp(±1.6449 · 0.05).
    low, high = row.interval_ms()
    assert (low, high) == pytest.approx((0.4 * math.exp(-0.082245), 0.4 * math.exp(0.082245)))


def test_proxylessnas_has_ratios_and_relu6(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        "Conv-input:30x30x3-output:15x15x8: {mean: 0.1}\n"
        "expanded_conv-input:15x15x8-output:15x15x8-expand:1-kernel:3-stride:1-idskip:1: {mean: 0.2}\n"
        f"{PROXYLESS}: {{mean: 0.3}}\n"
        "Conv_1-input:8x8x12-output:8x8x40: {mean: 0.4}\nLogits-input:8x8x40-output:10: {mean: 0.5}\n",
    )
    assert (table.form, table.image_size, table.refused) == ("ProxylessNAS", 30, ())
    assert {row.segment: row.mean_ms for row in table.rows} == {
        "conv3x3s2 3x30x30>8x15x15+relu6": 0.1,
        "conv3x3s1g8 8x15x15>8x15x15+relu6; conv1x1s1 8x15x15; add(0,2) 8x15x15": 0.2,
        "conv1x1s1 8x15x15>24x15x15+relu6; conv5x5s2g24 24x8x8+relu6; conv1x1s1 12x8x8": 0.3,
        "conv1x1s1 12x8x8>40x8x8+relu6": 0.4,
        "gap 40x8x8>40; linear 10": 0.5,
    }


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_nsganetv2_has_ratios_se_and_the_activation_that_is_asked_for(tmp_path: Path, act: str) -> None:
    content = f"{STEM}: {{mean: 0.1}}\n{NSGANET}: {{mean: 0.2, var: 0.0001}}\n"
    table = read(tmp_path, content, act)
    assert (table.form, table.image_size) == ("NSGANetV2", 32)
    # Four times 8 channels, a quarter of which is 8.
    assert {row.segment: row.mean_ms for row in table.rows} == {
        "conv3x3s2 3x32x32>8x16x16+hswish": 0.1,
        f"conv1x1s1 8x16x16>32x16x16+{act}; conv5x5s2g32 32x8x8+{act}; gap 32x1x1; conv1x1s1 8x1x1+relu;"
        " conv1x1s1 32x1x1+hsigmoid; mul(2,5) 32x8x8; conv1x1s1 16x8x8": 0.2,
    }
    assert len(read(tmp_path, content, *ACTIVATIONS).rows) == 3


def test_a_width_is_no_ratio(tmp_path: Path) -> None:
    table = read(tmp_path, f"{PROXYLESS}: 1.0\n{PROXYLESS.replace('expand:3', 'expand:24')}: 1.0\n")
    assert [row.reason.partition(",")[0] for row in table.refused] == [
        "expand must be the ratio of the inner width to the input's channels"
    ]


def test_every_form_of_the_samples_is_read() -> None:
    folder = shared_data().parent / "cases" / "tables"
    if not folder.exists():
        pytest.skip(f"needs the sample tables: {folder} is absent")
    found = {
        name: read_lookup_table(folder / name, ["relu"])
        for name in (
            "once_for_all_var.yaml", "once_for_all.json", "proxylessnas.csv", "proxylessnas.yaml", "nsganetv2.yaml",
        )
    }  # fmt: skip
    assert {name: (table.form, len(table.rows), len(table.refused)) for name, table in found.items()} == {
        "once_for_all_var.yaml": ("once-for-all", 3, 0),
        "once_for_all.json": ("once-for-all", 2, 1),
        "proxylessnas.csv": ("ProxylessNAS", 3, 0),
        "proxylessnas.yaml": ("ProxylessNAS", 3, 0),
        "nsganetv2.yaml": ("NSGANetV2", 2, 0),
    }
    assert [row.mean_ms for row in found["proxylessnas.csv"].rows] == [5.5, 14.25, 4.75]
    assert found["once_for_all_var.yaml"].rows[1].std_ms == pytest.approx(0.03)  # the root of 0.0009


def test_a_unit_beside_the_rows_may_be_ms(tmp_path: Path) -> None:
    assert read(tmp_path, f"unit: ms\n{WHOLE}") == read(tmp_path, WHOLE)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent.yaml must be a readable YAML file"):
        read_lookup_table(tmp_path / "absent.yaml")
