from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nas.graph.operators import NUMERIC_COLUMNS
from nas.graph.ops import (
    Activation,
    Affine,
    Binary,
    Branch,
    Concat,
    Conv,
    GlobalPool,
    LearnedScale,
    Linear,
    MatMul,
    Norm,
    Op,
    Pool,
    Rearrange,
    Reduce,
    Resize,
    Shuffle,
    Slice,
    Softmax,
)
from nas.graph.rows import Row, Shape

REPVIT = (Branch(3), Branch(1, norm=False, bias=True), Branch(0, norm=False))


def conv(
    out: int = 8,
    kernel: tuple[int, int] = (3, 3),
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (1, 1, 1, 1),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    bias: bool = False,
    norm: bool = False,
    branches: tuple[Branch, ...] = (),
    sum_norm: bool = False,
) -> Conv:
    return Conv(out, kernel, stride, padding, dilation, groups, bias, norm, branches, sum_norm)


def places(length: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """How often a window fits, by moving it."""
    return sum(
        1 for start in range(-before, length + after, stride) if start + dilation * (kernel - 1) < length + after
    )


def column(row: Row, name: str) -> float:
    return float(row[1 + NUMERIC_COLUMNS.index(name)])


@given(
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(*[st.integers(0, 3)] * 4),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_a_convolution_has_one_value_wherever_its_window_fits(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: tuple[int, int],
) -> None:
    top, left, bottom, right = padding
    rows = places(size[0], kernel[0], stride[0], top, bottom, dilation[0])
    columns = places(size[1], kernel[1], stride[1], left, right, dilation[1])
    op = conv(8, kernel, stride=stride, padding=padding, dilation=dilation)
    if rows and columns:
        assert op.infer(((4, *size),)) == (8, rows, columns)
    else:
        with pytest.raises(ValueError, match="at least as large as the kernel"):
            op.infer(((4, *size),))


@given(length=st.integers(1, 20), kernel=st.integers(1, 4), stride=st.integers(1, 4), padding=st.integers(0, 2))
def test_a_pooling_has_one_value_wherever_its_window_fits(length: int, kernel: int, stride: int, padding: int) -> None:
    assume(length + 2 * padding >= kernel)
    op = Pool("max", kernel, stride, padding)
    assert op.infer(((4, length, length),))[1] == places(length, kernel, stride, padding, padding)


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "padding", "rounded_up"),
    [
        (112, 3, 2, 0, 56),  # SqueezeNet: windows at 0, 2, ..., 108 fit; one more starts at 110
        (111, 3, 2, 0, 55),  # fits exactly
        (5, 2, 3, 0, 2),  # windows at 0 and 3 fit
        (4, 1, 4, 0, 1),  # the next one would start outside
        (4, 2, 2, 1, 3),  # at -1, 1, 3
    ],
)
def test_rounding_up_adds_a_window_that_starts_inside(
    length: int, kernel: int, stride: int, padding: int, rounded_up: int
) -> None:
    op = Pool("max", kernel, stride, padding, ceil=True)
    assert op.infer(((4, length, length),))[1] == rounded_up


@pytest.mark.parametrize(
    ("op", "inputs", "params", "training_params", "macs"),
    [
        # 3·3·4·8 weights; 5·5 places
        (conv(norm=False), ((4, 5, 5),), 288, 288, 288 * 25),
        (conv(bias=True), ((4, 5, 5),), 288 + 8, 288 + 8, 288 * 25),
        (conv(norm=True), ((4, 5, 5),), 288 + 8, 288 + 16, 288 * 25),
        (conv(bias=True, norm=True), ((4, 5, 5),), 288 + 8, 288 + 24, 288 * 25),
        # each output sees 2 of the 4 inputs
        (conv(groups=2), ((4, 5, 5),), 144, 144, 144 * 25),
        (conv(4, groups=4, stride=(2, 2)), ((4, 5, 5),), 36, 36, 36 * 9),
        (conv(8, (1, 3), padding=(0, 1, 0, 1)), ((4, 5, 5),), 96, 96, 96 * 25),
        (conv(padding=(2, 2, 2, 2), dilation=(2, 2)), ((4, 5, 5),), 288, 288, 288 * 25),
        # MobileOne: two 3x3, one 1x1, one identity, each with its batch norm
        (
            conv(4, branches=(Branch(3), Branch(3), Branch(1), Branch(0))),
            ((4, 5, 5),), 144 + 4, 2 * 144 + 16 + 4 * 8, 144 * 25,
        ),
        # RepViT: 3x3 with batch norm, biased 1x1, bare identity, batch norm after the sum; depthwise
        (
            conv(4, groups=4, branches=REPVIT, sum_norm=True),
            ((4, 5, 5),), 36 + 4, 36 + 8 + 4 + 4 + 8, 36 * 25,
        ),
        (conv(4, branches=(Branch(3, norm=False), Branch(0, norm=False))), ((4, 5, 5),), 144, 144, 144 * 25),
        (Linear(10), ((4,),), 50, 50, 40),
        (Linear(10, bias=False), ((4,),), 40, 40, 40),
        (Linear(10, bias=False, pre_norm=True), ((4,),), 50, 48, 40),
        (Linear(10), ((6, 4),), 50, 50, 6 * 40),
        (MatMul(), ((2, 6, 4), (2, 4, 5)), 0, 0, 2 * 6 * 5 * 4),
        (MatMul(transpose=True), ((2, 6, 4), (2, 5, 4)), 0, 0, 2 * 6 * 5 * 4),
        (Activation("prelu"), ((4, 5, 5),), 4, 4, 0),
        (Activation("relu"), ((4, 5, 5),), 0, 0, 0),
        (LearnedScale(), ((4, 5, 5),), 4, 4, 0),
        (LearnedScale(), ((6, 4),), 4, 4, 0),
        (Norm("layer"), ((6, 4),), 8, 8, 0),
        (Norm("group"), ((4, 5, 5),), 8, 8, 0),
        (Norm("batch"), ((4, 5, 5),), 8, 8, 0),
        (GlobalPool(), ((4, 5, 5),), 0, 0, 0),
    ],
)  # fmt: skip
def test_counts_follow_from_the_definition(
    op: Op, inputs: tuple[Shape, ...], params: int, training_params: int, macs: int
) -> None:
    out = op.infer(inputs)
    assert op.params(inputs) == params
    assert op.training_params(inputs) == training_params
    assert op.macs(inputs, out) == macs


def test_macs_of_the_training_form_count_every_branch() -> None:
    op = conv(4, branches=(Branch(3), Branch(3), Branch(1), Branch(0)))
    assert op.training_macs(((4, 5, 5),), (4, 5, 5)) == (2 * 144 + 16) * 25
    assert conv(4).training_macs(((4, 5, 5),), (4, 5, 5)) == 144 * 25


@pytest.mark.parametrize(
    ("op", "inputs", "out"),
    [
        (GlobalPool(), ((4, 5, 6),), (4, 1, 1)),
        (GlobalPool(flatten=True), ((4, 5, 6),), (4,)),
        (Binary("mul"), ((4, 5, 6), (4, 1, 1)), (4, 5, 6)),
        (Binary("mul"), ((1, 5, 6), (4, 5, 6)), (4, 5, 6)),
        (Concat(), ((4, 5, 6), (3, 5, 6)), (7, 5, 6)),
        (Slice(1, 3), ((4, 5, 6),), (2, 5, 6)),
        (Shuffle(2), ((4, 5, 6),), (4, 5, 6)),
        (Rearrange((2, 2, 30), (1, 0, 2), (2, 60)), ((4, 5, 6),), (2, 60)),
        (MatMul(), ((7, 5), (5, 3)), (7, 3)),
        (Reduce("sum", 1), ((4, 5, 6),), (4, 1, 6)),
        (Resize(9, 7), ((4, 5, 6),), (4, 9, 7)),
        (Affine(2.0, 1.0), ((4, 5, 6),), (4, 5, 6)),
        (Softmax(), ((4, 5),), (4, 5)),
    ],
)
def test_the_shape_of_a_result(op: Op, inputs: tuple[Shape, ...], out: Shape) -> None:
    assert op.infer(inputs) == out


@pytest.mark.parametrize(
    ("op", "inputs", "words"),
    [
        (conv(groups=3), ((4, 5, 5),), "groups must divide the channels"),
        (conv(6, groups=4), ((4, 5, 5),), "groups must divide the channels"),
        (conv(0), ((4, 5, 5),), "at least one output channel"),
        (conv(8, branches=(Branch(3), Branch(0))), ((4, 5, 5),), "an identity branch must keep width and size"),
        (conv(4, stride=(2, 2), branches=(Branch(0),)), ((4, 5, 5),), "an identity branch must keep"),
        (conv(4, padding=(0, 0, 0, 0), branches=(Branch(3), Branch(1))), ((4, 5, 5),), "a branch must fit"),
        (conv(4, branches=(Branch(3), Branch(5))), ((4, 5, 5),), "a branch must fit"),
        (conv(4, branches=(Branch(3), Branch(2))), ((4, 5, 5),), "both odd or both even"),
        (conv(4, (1, 3), padding=(0, 1, 0, 1), branches=(Branch(1),)), ((4, 5, 5),), "square"),
        (conv(4, padding=(0, 0, 1, 1), branches=(Branch(3),)), ((4, 5, 5),), "evenly padded"),
        (Pool("max", 3, 2), ((4, 2, 2),), "at least as large as the pool"),
        (Activation("softplus"), ((4, 5, 5),), "activation must be one of"),
        (Binary("add"), ((4, 5, 5), (4, 5, 4)), "broadcastable"),
        (Binary("add"), ((4, 5, 5), (4,)), "same number of axes"),
        (Concat(), ((4, 5, 5), (4, 5, 4)), "the same size"),
        (Slice(2, 5), ((4, 5, 5),), "within 4 channels"),
        (Slice(2, 2), ((4, 5, 5),), "within 4 channels"),
        (Shuffle(3), ((4, 5, 5),), "groups must divide"),
        (Rearrange((4, 24), (1, 0), (24, 4)), ((4, 5, 5),), "keep the elements"),
        (Rearrange((4, 25), (0, 0), (25, 4)), ((4, 5, 5),), "a permutation"),
        (MatMul(), ((7, 5), (4, 3)), "operands must fit"),
        (MatMul(), ((2, 7, 5), (3, 5, 3)), "operands must fit"),
    ],
)
def test_operands_that_do_not_fit_are_refused(op: Op, inputs: tuple[Shape, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        op.infer(inputs)


@pytest.mark.parametrize(
    ("op", "inputs", "kind"),
    [
        (conv(), ((4, 5, 5),), "dense"),
        (conv(groups=2), ((4, 5, 5),), "grp"),
        (conv(8, groups=4), ((4, 5, 5),), "dw"),  # one group a channel, whatever each group makes of it
        (conv(4, groups=4), ((4, 5, 5),), "dw"),
        (conv(8, (1, 1), padding=(0, 0, 0, 0)), ((4, 5, 5),), "pw"),
        (conv(8, (1, 1), padding=(0, 0, 0, 0)), ((4, 1, 1),), "lin"),
        (Linear(10), ((4,),), "lin"),
        (Linear(10), ((6, 4),), "pw"),
        (MatMul(), ((7, 5), (5, 3)), "mm"),
        (Activation("hswish"), ((4, 5, 5),), "act:hswish"),
        (GlobalPool(), ((4, 5, 5),), "gap"),
        (Pool("avg", 2, 2), ((4, 6, 6),), "avgpool"),
        (Pool("max", 2, 2), ((4, 6, 6),), "pool"),
        (Binary("add"), ((4, 5, 5), (4, 5, 5)), "add"),
        (Binary("max"), ((4, 5, 5), (4, 5, 5)), "add"),
        (Binary("mul"), ((4, 5, 5), (4, 5, 5)), "mul"),
        (Binary("mul"), ((4, 5, 5), (4, 1, 1)), "se_mul"),
        (LearnedScale(), ((4, 5, 5),), "scale"),
        (Concat(), ((4, 5, 5), (4, 5, 5)), "cat"),
        (Norm("layer"), ((6, 4),), "norm:layer"),
        (Softmax(), ((6, 4),), "softmax"),
        (Resize(9, 9), ((4, 5, 5),), "resize"),
    ],
)
def test_a_row_has_its_kind_and_its_own_counts(op: Op, inputs: tuple[Shape, ...], kind: str) -> None:
    out = op.infer(inputs)
    (row,) = op.rows(inputs, out)
    assert row[0] == kind
    assert len(row) == 1 + len(NUMERIC_COLUMNS)
    assert column(row, "macs") == op.macs(inputs, out)
    assert column(row, "input_elements") >= 1


def test_the_row_of_a_convolution() -> None:
    op = conv(8, stride=(2, 2), groups=2, bias=True)
    (row,) = op.rows(((4, 5, 5),), (8, 3, 3))
    # kind, kernel, stride, groups, channels in and out, size, MACs, numbers read, written, weights (no bias)
    assert row == ("grp", 3, 2, 2, 4, 8, 3, 3, 144 * 9, 100, 72, 144)


def test_what_is_moved_together_is_told() -> None:
    """In the column of input channels: they are what a runtime copies at once, or keeps in blocks."""
    together = 4
    (part,) = Slice(0, 2).rows(((4, 5, 5),), (2, 5, 5))
    assert (part[0], part[together]) == ("slice", 4)
    (joined,) = Concat().rows(((32, 5, 5), (48, 5, 5)), (80, 5, 5))
    assert (joined[0], joined[together]) == ("cat", 16)
    assert {row[together] for row in Shuffle(2).rows(((4, 5, 5),), (4, 5, 5))} == {25}
    # (2, 2, 5, 5) with the first two axes exchanged moves whole maps; tokens of a map are brought together one by one.
    (whole,) = Rearrange((2, 2, 25), (1, 0, 2), (4, 5, 5)).rows(((4, 5, 5),), (4, 5, 5))
    (single,) = Rearrange((4, 25), (1, 0), (25, 4)).rows(((4, 5, 5),), (25, 4))
    assert (whole[together], single[together]) == (25, 1)


@pytest.mark.parametrize(
    ("op", "inputs", "run"),
    [
        (Norm("layer"), ((6, 4),), 4),  # each token by itself
        (Norm("batch"), ((4, 5, 5),), 25),  # each channel by its own numbers
        (Norm("group"), ((4, 5, 5),), 100),
        (Softmax(), ((2, 6, 4),), 4),
        (Affine(2.0, 1.0), ((4, 5, 5),), 100),
        (LearnedScale(), ((4, 5, 5),), 25),
        (LearnedScale(), ((6, 4),), 4),
        (Binary("mul"), ((4, 5, 5), (4, 1, 1)), 25),
        (Binary("mul"), ((1, 5, 5), (4, 5, 5)), 25),  # one map for all channels
        (Binary("mul"), ((6, 4), (6, 1)), 4),
        (Binary("mul"), ((6, 4), (1, 4)), 4),
        (Binary("mul"), ((4, 5, 5), (1, 1, 1)), 100),
    ],
)
def test_what_is_worked_at_once_is_told(op: Op, inputs: tuple[Shape, ...], run: int) -> None:
    """In the column of input channels, too: the pieces between are what such operators lose time at."""
    (row,) = op.rows(inputs, op.infer(inputs))
    assert row[4] == run


def test_views_leave_nothing_to_do() -> None:
    assert Rearrange((4, 25), (0, 1), (4, 25)).rows(((4, 5, 5),), (4, 25)) == ()
    assert len(Rearrange((4, 25), (1, 0), (25, 4)).rows(((4, 5, 5),), (25, 4))) == 1
    assert len(Shuffle(2).rows(((4, 5, 5),), (4, 5, 5))) == 2  # a transposition between two copies


def test_a_slice_of_all_is_told_from_that_of_a_part() -> None:
    (row,) = Slice(0, 4).rows(((4, 5, 5),), (4, 5, 5))
    assert row[0] == "slice:whole"


@pytest.mark.parametrize(
    ("split", "order", "merge", "where", "kind"),
    [
        ((4, 5, 6), (1, 2, 0), (5, 6, 4), "last", "layout:channels"),
        ((4, 5, 6), (1, 2, 0), (30, 4), "last", "layout:channels"),
        ((1, 4, 5, 6), (0, 2, 3, 1), (1, 5, 6, 4), "last", "layout:channels"),
        ((5, 6, 4), (2, 0, 1), (4, 5, 6), "first", "layout:channels"),
        ((1, 5, 6, 4), (0, 3, 1, 2), (1, 4, 5, 6), "first", "layout:channels"),
        ((5, 6, 4), (2, 0, 1), (4, 30), None, "layout"),  # merged as no map is; one axis goes to the front
        ((4, 5, 6), (1, 0, 2), (5, 4, 6), None, "layout"),
        ((4, 30), (1, 0), (30, 4), None, "layout"),
        ((4, 5, 6), (2, 1, 0), (6, 5, 4), None, "layout:scattered"),
        ((2, 2, 5, 6), (2, 3, 0, 1), (5, 6, 4), None, "layout:scattered"),
    ],
)
def test_it_is_told_where_a_rearrangement_brings_the_channels_and_whether_it_moves_more_than_an_axis(
    split: Shape, order: Shape, merge: Shape, where: str | None, kind: str
) -> None:
    rearrange = Rearrange(split, order, merge)
    assert rearrange.channels_to == where
    assert rearrange.rows(((4, 5, 6),), merge)[0][0] == kind


def test_different_work_has_different_text() -> None:
    different: list[Op] = [
        conv(), conv(stride=(2, 2)), conv(stride=(2, 1)), conv(groups=2), conv(dilation=(2, 2), padding=(2,) * 4),
        conv(padding=(0,) * 4), conv(padding=(0, 0, 2, 2)), conv(8, (5, 5), padding=(2,) * 4),
        conv(8, (1, 3), padding=(0, 1, 0, 1)), conv(8, (3, 1), padding=(1, 0, 1, 0)),
        Pool("max", 3, 2), Pool("avg", 3, 2), Pool("max", 3, 1), Pool("max", 2, 2), Pool("max", 3, 2, 1),
        Pool("max", 3, 2, ceil=True), Pool("avg", 3, 2, 1, count_pad=False), GlobalPool(),
        Binary("add"), Binary("mul"), Binary("max"), Affine(1.0, 0.0), Affine(1.0, 1.0), LearnedScale(), Concat(),
        Slice(0, 2), Slice(2, 4), Shuffle(2), Shuffle(4), Rearrange((4, 25), (1, 0), (25, 4)),
        Rearrange((4, 25), (0, 1), (4, 25)), MatMul(), MatMul(transpose=True), Softmax(), Norm("layer"), Norm("group"),
        Reduce("sum", 1), Reduce("mean", 1), Reduce("sum", 2), Resize(9, 7), Resize(9, 7, align_corners=True),
        Activation("relu"), Activation("relu6"),
    ]  # fmt: skip
    assert len({op.text() for op in different}) == len(different)


def test_forms_that_infer_alike_have_one_text() -> None:
    """The text is of the inference form: how its weights were trained makes no difference on a device."""
    alike = (conv(4), conv(4, norm=True), conv(4, bias=True), conv(4, branches=(Branch(3), Branch(0))))
    assert len({op.text() for op in alike}) == 1
