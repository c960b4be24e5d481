from __future__ import annotations

import math
from pathlib import Path

import pytest

from nas.errors import InputError
from nas.latency.table.ofa import OfaRow, OfaTable, read_ofa_table

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


def read(folder: Path, content: str) -> OfaTable:
    path = folder / "32_lookup_table.yaml"
    path.write_text(content, encoding="utf-8")
    return read_ofa_table(path)


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
    row = OfaRow(segment="x", names=("x",), count=100, mean_ms=2.0, std_ms=0.1)
    low, high = row.interval_ms()
    assert (low, high) == pytest.approx((2.0 * math.exp(-1.6449 * 0.05), 2.0 * math.exp(1.6449 * 0.05)))
    assert 2.0 * math.log(high / low) / (2 * 1.6449) == pytest.approx(0.1)
    exact = OfaRow(segment="x", names=("x",), count=1, mean_ms=2.0, std_ms=0.0)
    assert exact.interval_ms() == (2.0, 2.0)


def test_a_table_without_a_stem_is_of_no_image_size(tmp_path: Path) -> None:
    table = read(tmp_path, text({PLAIN: TIMES[PLAIN]}))
    assert table.image_size is None
    assert len(table.rows) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (WHOLE[:-2], "the last row must end with a line break"),
        (WHOLE[: WHOLE.index("  std")], f"{STEM}: the key 'std' must be given"),
        (WHOLE + LAST.replace("96", "88")[:20], "line 30 must be valid YAML"),
        (WHOLE.replace("  std: 0.02\n", ""), f"{PLAIN}: the key 'std' must be given"),
        (WHOLE.replace("  mean: 0.4\n", ""), f"{PLAIN}: the key 'mean' must be given"),
        (WHOLE.replace("  count: 80\n", ""), f"{PLAIN}: the key 'count' must be given"),
        (WHOLE.replace("mean: 0.4\n", "mean_us: 400\n"), "got 'mean_us'; did you mean 'mean'?"),
        (WHOLE.replace("mean: 0.4\n", "mean: -0.4\n"), "mean must be a positive finite number of ms, but got -0.4"),
        (WHOLE.replace("mean: 0.4\n", "mean: .nan\n"), "mean must be a positive finite number of ms, but got nan"),
        (WHOLE.replace("mean: 0.4\n", "mean: 0\n"), "mean must be a positive"),
        (WHOLE.replace("mean: 0.4\n", "mean: 0.4ms\n"), "mean must be a positive finite number of ms, but got '0.4ms'"),
        (WHOLE.replace("mean: 0.4\n", "mean: true\n"), "mean must be a positive"),
        (WHOLE.replace("std: 0.02\n", "std: -1\n"), "std must be a number of ms from 0 to 10 times the mean"),
        (WHOLE.replace("std: 0.02\n", "std: 20\n"), "std must be"),
        (WHOLE.replace("count: 80\n", "count: 0\n"), "count must be a whole number"),
        (WHOLE.replace("count: 80\n", "count: 1.5\n"), "count must be a whole number"),
        (WHOLE + text({PLAIN: TIMES[PLAIN]}), "comes again"),
        (WHOLE + "Conv_9-input:1x1x1-output:1x1x1: {count: 1, mean: 1, std: 0}\n", "a row must be of the form"),
        (WHOLE.replace("-se:0-hs:0", ""), "a row must be of the form"),
        (WHOLE.replace("16x16x8-output:16x16x8", "16x16x0-output:16x16x0"), "a row must be of the form"),
        (f"{PLAIN}: 0.4\n", "must be a mapping with the keys count, mean, std"),
        (f"{PLAIN}: [1, 2, 3]\n", "must be a mapping with the keys count, mean, std"),
        (f"{PLAIN}: !!python/object:os.system x\n", "tags are not allowed"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [" + "*b, " * 99 + "*b]\nd: [" + "*c, " * 999 + "*c]\n", "at most"),
        ("", "is empty"),
        (WHOLE.replace("kernel:3", "kernel:4"), "kernel must be odd"),
        (WHOLE.replace("stride:2", "stride:3"), "stride must be one of 1, 2"),
        (WHOLE.replace("output:8x8x16-expand", "output:9x9x16-expand"), "output must be 8x8x16, as the layer gives"),
        (WHOLE.replace("idskip:1", "idskip:0"), "idskip must be 1 where"),
        (WHOLE.replace("idskip:0", "idskip:1"), "idskip must be 1 where"),
        (text({POOL: TIMES[POOL], HIDDEN: TIMES[HIDDEN]}), "this one lacks neighbours of its width"),
        (WHOLE.replace("AvgPool2D-input:8x8x96-output:1x1x96", "AvgPool2D-input:8x8x88-output:1x1x88"), "neighbours"),
    ],
)
def test_a_bad_table_is_refused_naming_file_layer_and_rule(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InputError, match="32_lookup_table.yaml") as caught:
        read(tmp_path, content)
    assert words in str(caught.value)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent.yaml must be a readable YAML file"):
        read_ofa_table(tmp_path / "absent.yaml")
