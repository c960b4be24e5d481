"""The known networks against reference code, traced operators and printed figures; names and family files."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from nas.errors import InputError
from nas.graph.operators import NUMERIC_COLUMNS, OperatorTable, as_traced, read_operator_lists
from nas.space import find_known, known_as, known_names, known_network
from nas.space.seeds import families, instantiate, read_family
from nas.space.shrink import shrink_moves
from tests.shared_data import shared_data

_COUNTS = Path(__file__).parent / "reference_counts.csv"
"""Counted in the reference code itself, by `python -m benchmarks.reference_networks`."""


def _reference_rows() -> list[dict[str, str]]:
    with _COUNTS.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("row", _reference_rows(), ids=lambda row: f"{row['network']} {row['reference']}")
def test_counts_equal_the_reference_code(row: dict[str, str]) -> None:
    graph = known_network(row["network"]).at_resolution(int(row["resolution"])).graph()
    for count in ("training_params", "training_macs", "params", "macs"):
        assert getattr(graph, count) == int(row[count]), count


def test_every_network_has_reference_counts() -> None:
    referenced = {row["network"] for row in _reference_rows()}
    without = {name for name in known_names() if name not in referenced}
    # The steps of RepViT's design path were never published as code; once-for-all's networks as configurations alone.
    path = {f"repvit-path{step:02d}" for step in range(11)}
    assert without == path | {f"ofa-mobilenetv3-note10-{ms}ms" for ms in (30, 41, 50, 64)}


# Keras prints these totals (with running statistics, two a channel): keras.io/api/applications.
@pytest.mark.parametrize(
    ("name", "total", "trainable"),
    [("mobilenetv1-1.0", 4_253_864, 4_231_976), ("mobilenetv2-1.0", 3_538_984, 3_504_872)],
)
def test_totals_that_keras_prints(name: str, total: int, trainable: int) -> None:
    graph = known_network(name).graph()
    folded = graph.training_params - graph.params  # one a channel of each batch norm
    assert (graph.training_params, graph.training_params + 2 * folded) == (trainable, total)


@cache
def _traced(relative: str) -> dict[str, OperatorTable]:
    return read_operator_lists(shared_data(relative))


_IPHONE, _ACCURACY = "iphone12/operators.csv.gz", "published/accuracy_operators.csv.gz"
_TRACED = [
    *(
        (f"mobilenetv1-{w}@{r}", _ACCURACY, f"mobilenetv1:{w}@{r}")
        for w, r in (("1.0", 224), ("0.25", 224), ("0.75", 160))
    ),
    ("mobilenetv1-1.0", _IPHONE, "MobileNetV1"),
    *(
        (f"mobilenetv2-{w}@{r}", _ACCURACY, f"mobilenetv2:{w}@{r}")
        for w, r in (("1.4", 224), ("1.3", 224), ("1.0", 96), ("0.75", 192), ("0.5", 160), ("0.35", 128), ("0.25", 224))
    ),
    *(
        (f"mobilenetv3-{size}-{w}", _ACCURACY, f"mobilenetv3_{size}:{w}@224")
        for size, w in (("large", "1.0"), ("large", "0.75"), ("large", "1.25"), ("small", "1.0"), ("small", "0.75"))
    ),
    *(
        (f"mobilenetv3-{size}-minimalistic-1.0", _ACCURACY, f"mobilenetv3_{size}_minimal_100@224")
        for size in ("large", "small")
    ),
    ("mnasnet-a1", _ACCURACY, "semnasnet:1.0@224"),
    ("mnasnet-b1", _ACCURACY, "mnasnet_100@224"),
    ("mnasnet-small", _ACCURACY, "mnasnet_small@224"),
    *(
        (f"efficientnet-lite{i}", _ACCURACY, f"tf_efficientnet_lite{i}@{r}")
        for i, r in enumerate((224, 240, 260, 280, 300))
    ),
    *((f"efficientnet-b{i}@{r}", _IPHONE, f"EfficientNet-B{i}") for i, r in enumerate((224, 240, 288, 300))),
    ("efficientnet-b2", _ACCURACY, "tf_efficientnet_b2@260"),
    *((f"repvgg-{size}", _ACCURACY, f"repvgg_{size}@224") for size in ("a0", "a1", "a2", "b0")),
    *((f"mobileone-s{i}", _ACCURACY, f"mobileone_s{i}@224") for i in range(5)),
    *(
        (f"repvit-m{size.replace('_', '.')}", _IPHONE, f"RepViT-m{size}")
        for size in ("0_6", "0_9", "1_0", "1_1", "1_5", "2_3")
    ),
    *((f"repvit-path{step}", _IPHONE, f"RepViT-path{step}") for step in ("00", "01", "03", "04", "06", "07", "08")),
    *((f"mobilevit-{size}", _ACCURACY, f"mobilevit_{size}@256") for size in ("xxs", "xs", "s")),
    *((f"mobilevitv2-{p / 100}", _ACCURACY, f"mobilevitv2_{p:03d}@256") for p in (50, 75, 100, 125, 150, 175)),
    ("mobilevitv2-2.0@384", _IPHONE, "MobileViTv2-200@384"),
    *((f"shufflenetv2-{w}", _ACCURACY, f"shuf:{w}@224") for w in ("0.5", "1.0", "1.5", "2.0")),
    ("fbnet-c", _ACCURACY, "fbnetc_100@224"),
    ("ghostnet-1.0", _ACCURACY, "ghostnet_100@224"),
    ("poolformer-s12", _ACCURACY, "poolformer_s12@224"),
    *(
        (f"ofa-mobilenetv3-note10-{ms}ms", _ACCURACY, f"ofa:note10_lat-{ms}ms_top1-{top1}_finetune-75@{size}")
        for ms, top1, size in ((30, 78.4, 224), (41, 79.3, 220), (50, 79.7, 220), (64, 80.2, 260))
    ),
]


@pytest.mark.parametrize(("name", "file", "traced"), _TRACED, ids=[f"{name} {traced}" for name, _, traced in _TRACED])
def test_operators_equal_the_traced_ones(name: str, file: str, traced: str) -> None:
    ours, theirs = as_traced(known_network(name).graph().operators()), _traced(file)[traced]
    columns = set(NUMERIC_COLUMNS)
    if "vit" in name and not name.startswith("repvit"):
        # Tracers see copies where a tensor is reshaped, no product with a constant, and call tokens maps.
        ours, theirs = _without(ours, "layout", "scale"), _without(theirs, "layout", "scale")
        columns -= {"out_channels", "out_height", "out_width", "input_elements"}
        theirs = _named(theirs, "mul", "se_mul")
    if traced.startswith("tf_") or "minimal" in traced:
        # TensorFlow pads in an operator of its own, so that the next one reads a larger map.
        theirs = _without(theirs, "layout")
        columns -= {"input_elements"}
    if name.startswith("ofa-"):
        # Its code averages by a mean over axes and clips by an addition; the tracer has neither, nor acts of SE.
        learned = ("dense", "dw", "pw", "lin")
        ours, theirs = (table.select(np.isin(table.kind, learned)) for table in (ours, theirs))
    if name == "poolformer-s12":
        # The tracer's code normalises behind the last pooling, the authors' before it.
        assert list(ours.kind[-3:]) == ["norm", "gap", "lin"]
        ours, theirs = ours.select(slice(0, -3)), theirs.select(slice(0, -5))
    assert list(ours.kind) == list(theirs.kind)
    for column in columns:
        assert np.array_equal(getattr(ours, column), getattr(theirs, column)), column


def _without(table: OperatorTable, *kinds: str) -> OperatorTable:
    return table.select(~np.isin(table.kind, kinds))


def _named(table: OperatorTable, kind: str, name: str) -> OperatorTable:
    return OperatorTable(
        kind=np.where(table.kind == kind, name, table.kind), **{c: getattr(table, c) for c in NUMERIC_COLUMNS}
    )


def test_published_figures_are_the_printed_ones() -> None:
    with shared_data("published/imagenet_top1.csv").open(encoding="utf-8", newline="") as stream:
        printed = [
            (row["source"], *(float(row[key] or "nan") for key in ("top1", "params_M", "macs_M")))
            for row in csv.DictReader(stream)
        ]
    for family in families().values():
        for variant, entry in family.variants.items():
            for figures in (entry.get("published"), *entry.get("published_at", {}).values()):
                if figures is None or figures["source"].startswith("arXiv"):
                    continue  # papers are not in the file
                wanted = [float("nan") if figures[k] is None else figures[k] for k in ("top1", "params_M", "macs_M")]
                found = [row for row in printed if np.array_equal(row[1:], wanted, equal_nan=True)]
                assert figures["source"] in {row[0] for row in found}, (family.name, variant)


def test_published_size_fits_ours() -> None:
    for name in known_names():
        known = find_known(name)
        network, params_m = known.architecture, known.published.get("params_M")
        if params_m:
            # Printed figures round, and count either form; MobileNetV3's papers count more than their code has.
            slack = 0.25 if name.startswith("mobilenetv3-small") else 0.06
            ratio = float(params_m) * 1e6 / network.params
            assert 1 - slack < ratio < 1.15 + slack, name


def test_the_page_of_known_networks_has_all_of_them() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "known-networks.md").read_text(encoding="utf-8")
    assert [name for name in known_names() if f"| `{name}` |" not in page] == []


def test_names_are_unique_and_so_are_networks() -> None:
    names = list(known_names())
    digests = {name: known_network(name).digest for name in names}
    assert len(set(names)) == len(names)
    assert digests.pop("repvit-path10") == digests["repvit-m0.9"]  # the end of the path
    assert len(set(digests.values())) == len(digests)


def _widths(name: str) -> list[object]:
    return [dict(layer.args).get("out") for layer in known_network(name).layers]


def test_width_multiplier_rounds_as_the_family_does() -> None:
    # 32 w = 19.2 → 16, which is below 90 % of it → 24; 16 w = 9.6 → 8, below 90 % → 16; 24 w = 14.4 → 16.
    widths = _widths("mobilenetv2-0.6@192")
    assert widths[:3] == [24, 16, 16]
    assert widths[-2:] == [1280, None]
    assert _widths("mobilenetv2-1.4")[-2] == 1792
    assert known_network("mobilenetv2-0.6@192").resolution == 192
    assert _widths("mobilenetv1-0.3")[:2] == [9, 19]  # rounded down


@pytest.mark.parametrize(
    ("name", "params_m", "macs_m"),
    # github tensorflow/tpu models/official/mnasnet/README.md, which counts about 1 % more multiply-adds than we do.
    [("1.4", 6.1, 591.5), ("0.75", 2.9, 226.7), ("0.5", 2.1, 105.2), ("0.35", 1.7, 63.2), ("0.35@96", 1.7, 12.7)],
)
def test_a_multiplier_may_follow_a_variant_that_is_a_word(name: str, params_m: float, macs_m: float) -> None:
    found = known_network(f"mnasnet-a1-{name}")
    assert found.name == f"mnasnet-a1-{name}"
    assert found.params / 1e6 == pytest.approx(params_m, abs=0.05)
    assert found.macs / 1e6 == pytest.approx(0.985 * macs_m, rel=0.01)


def test_compound_scaling() -> None:
    # B3: width 1.2, depth 1.4. Depths ceil(1.4 · (1, 2, 2, 3, 3, 4, 1)) = 2, 3, 3, 5, 5, 6, 2.
    # Widths 1.2 · (32, 16, 24, 40, 80, 112, 192, 320, 1280) to multiples of 8: 38.4 → 40, 19.2 → 24, 28.8 → 32, …
    expected = [40, *[24] * 2, *[32] * 3, *[48] * 3, *[96] * 5, *[136] * 5, *[232] * 6, *[384] * 2, 1536, None]
    assert _widths("efficientnet-b3") == expected
    assert [known_network(f"efficientnet-b{i}").resolution for i in range(4)] == [224, 240, 260, 300]


def test_lite_keeps_stem_head_and_outer_repeats() -> None:
    # Lite 4: width 1.4, depth 1.8; depths 1, ceil(1.8 · (2, 2, 3, 3, 4)) = 4, 4, 6, 6, 8, then 1.
    expected = [32, 24, *[32] * 4, *[56] * 4, *[112] * 6, *[160] * 6, *[272] * 8, 448, 1280, None]
    assert _widths("efficientnet-lite4") == expected


def test_published_follows_the_resolution() -> None:
    assert find_known("mobilenetv1-0.5@160").published["top1"] == 59.1
    assert find_known("mobilenetv1-0.5@176").published == {}


def test_a_network_is_known_by_its_name_and_only_while_it_is_the_same() -> None:
    known = find_known("mobilenetv1-0.5@160")
    network = known.architecture
    assert known_as(network) == known
    assert (known.name, known.family) == ("mobilenetv1-0.5@160", "mobilenetv1")
    assert "1704.04861" in known.paper
    for changed in (
        network.at_resolution(192),
        network.adapted(num_classes=10),
        next(narrower for _, narrower in shrink_moves(network)),
        network.named("mine"),
        network.named("mobilenetv1-1.0"),
        network.named("mobilenetv1-9.0"),
    ):
        assert known_as(changed) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mobilenetv9-1.0", ["mobilenetv1-1.0", "nas arch list"]),
        ("repvit-m3.0", ["repvit-m2.3"]),
        ("mobilenetv2-3.0", ["width of mobilenetv2-3.0", "0.1 to 2"]),
        ("mobilenetv3-large-0.2", ["width", "0.75 to 2"]),
        ("shufflenetv2-0.7", ["shufflenetv2-0.5"]),
        ("mobilenetv1-1.0@big", ["resolution", "'big'"]),
        ("mobilenetv1-1.0@8", ["resolution", "32 to 4096"]),
        ("mobilenetv1-1.0@²", ["resolution", "'²'"]),
        ("mobilenetv1-1.0@" + "9" * 5000, ["resolution"]),
        ("mobilenetv2-" + "9" * 500, ["width"]),
        ("squeezenet-1.0@32", ["64 to 4096"]),
        ("squeezenext-1.0-24", ["squeezenext-1.0-23"]),
        ("mnasnet-0.75", ["mnasnet-a1"]),  # Which of its variants?
        ("mnasnet-a1-2.0", ["width", "0.35 to 1.4"]),
        ("mobilenetv2-1.0-0.5", ["mobilenetv2-1.0"]),
        ("", ["nas arch list"]),
    ],
)
def test_bad_names(name: str, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        known_network(name)
    for word in words:
        assert word in str(caught.value)


def test_every_known_network_takes_its_smallest_resolution() -> None:
    for family in families().values():
        variant = next(iter(family.variants))
        assert known_network(f"{family.name_of(variant)}@{family.min_resolution}").macs > 0


def _family(tmp_path: Path, **changes: object) -> Path:
    document = {
        "schema": 1,
        "family": "toy",
        "paper": "none",
        "variants": {
            "a": {"layers": [{"block": "conv", "depth": 3, "out": 8, "stride": [2, 1, "..."]}, {"block": "head"}]}
        },
        **changes,
    }
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in document.items() if value is not None}))
    return path


def test_a_figure_that_nobody_printed_is_absent_or_null(tmp_path: Path) -> None:
    published = {"top1": 75.2, "params_M": None, "source": "our wiki"}
    path = _family(tmp_path, variants={"a": {"layers": [{"block": "head"}], "published": published}})
    found = instantiate(read_family(path), "a").published
    assert found == {"top1": 75.2, "params_M": None, "macs_M": None, "source": "our wiki"}


def test_an_ellipsis_repeats_the_last_value(tmp_path: Path) -> None:
    network = instantiate(read_family(_family(tmp_path)), "a").architecture
    assert [layer.arg("stride") for layer in network.layers[:3]] == [2, 1, 1]


def test_defaults_give_way_to_the_stage(tmp_path: Path) -> None:
    layers = [{"block": "conv", "out": 8}, {"block": "conv", "out": 8, "act": "gelu"}, {"block": "head"}]
    path = _family(tmp_path, defaults={"conv": {"act": "silu"}}, variants={"a": {"layers": layers}})
    assert [layer.arg("act") for layer in instantiate(read_family(path), "a").architecture.layers] == [
        "silu",
        "gelu",
        "none",
    ]


def _stage(**stage: object) -> dict[str, object]:
    return {"variants": {"a": {"layers": [{"block": "conv", "out": 8, **stage}]}}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 2}, ["schema must be 1"]),
        ({"paper": None}, ["'paper'", "missing"]),
        ({"variants": {}}, ["variants", "at least one"]),
        ({"width": [2, 1]}, ["width must be"]),
        ({"rounding": "up"}, ["rounding", "'up'"]),
        ({"layer": []}, ["'layer'", "layers"]),
        ({"variants": {"a": {"publish": {}}}}, ["variants.a", "published"]),
        ({"variants": {"a": []}}, ["variants.a must be a mapping"]),
        ({"variants": {"a": {"width": 1.0}}}, ["a must have layers"]),
        ({"variants": {"a": {"layers": "conv"}}}, ["variants.a: layers must be a list"]),
        ({"variants": {"a": {"layers": [], "width": "2"}}}, ["variants.a: width must be a multiplier"]),
        ({"variants": {"a": {"layers": [], "depth": 0}}}, ["variants.a: depth must be a multiplier"]),
        ({"variants": {"a": {"layers": [], "resolution": "224"}}}, ["variants.a: resolution must be an integer"]),
        ({"variants": {"a": {"published_at": [224]}}}, ["variants.a: published_at must map"]),
        ({"variants": {"a": {"published_at": {"192": {"top5": 90}}}}}, ["variants.a.published_at.192", "'top5'"]),
        ({"variants": {"a": {"published_at": {"large": {}}}}}, ["variants.a: published_at must map"]),
        *(
            ({"variants": {"a": {"published": {"source": "our wiki", **figures}}}}, ["variants.a.published", *words])
            for figures, words in (
                ({"top1": "75.2 %"}, ["top1 must be in percent", "'75.2 %'"]),
                ({"top1": 0.752}, ["top1 must be in percent, above 1, at most 100", "0.752"]),
                ({"top1": True}, ["top1 must be in percent"]),
                ({"top1": 101}, ["at most 100"]),
                ({"params_M": "5.4M"}, ["params_M must be a number of millions above 0", "'5.4M'"]),
                ({"macs_M": 0}, ["macs_M must be a number of millions above 0"]),
                ({"top1": 75.2, "source": 3}, ["source must be a text"]),
                ({"top1": 75.2, "source": None}, ["source must be a text"]),
            )
        ),
        ({"variants": {"a": {"paper": 3}}}, ["variants.a: paper must be a text"]),
        ({"width": ["0.5x", 2]}, ["width must be", "'0.5x'"]),
        ({"width": [True, 2]}, ["width must be"]),
        ({"separator": 1}, ["separator must be a text"]),
        ({"rounding": [8]}, ["rounding", "[8]"]),
        ({"defaults": {"conv": 3}}, ["defaults must map blocks"]),
        ({"variants": {"a": {"layers": [{"block": ["conv"]}]}}}, ["stage 1 must be a mapping with the key block"]),
        (_stage(depth=0), ["a: stage 1", "depth"]),
        (_stage(depth=10**9), ["a: stage 1", "depth must be an integer from 1 to 1000"]),
        (_stage(out="in/0"), ["out must be int, but got 'in/0'"]),
        (_stage(depth=2, stride=[2, 1, 1]), ["one value a block (2)"]),
        (_stage(out="hidden/4"), ["refers to hidden"]),
        (_stage(stride=-1), ["stride must be one of 1, 2", "-1"]),
        (_stage(kernel=4), ["kernel must be odd", "4"]),
        ({"variants": {"a": {"layers": [{"out": 8}]}}}, ["key block"]),
        ({"variants": {"a": {"layers": [{"block": "cnov", "out": 8}]}}}, ["'cnov'", "conv"]),
        ({"variants": {"a": {"layers": [{"block": "shufflenetv2", "out": 7}]}}}, ["stage 1", "groups must divide"]),
    ],
)
def test_bad_family_files(tmp_path: Path, changes: dict[str, object], words: list[str]) -> None:
    path = _family(tmp_path, **changes)
    with pytest.raises(InputError) as caught:
        instantiate(read_family(path), "a")
    for word in ["toy.yaml", *words]:
        assert word in str(caught.value)
