from __future__ import annotations

from pathlib import Path

import pytest

from nas.errors import InputError
from nas.latency.table.operator_times import OperatorTimes, is_operator_table, read_operator_times

HEADER = "board,engine 1.0,2024-05-01\n"


def operator_table() -> str:
    """Forty operators of a made-up device: 0.02 ms each, 1 ms for 10^9 multiply-adds (depthwise five times that) and
    for 10^7 numbers read or written; and one that no network here has."""
    rows = []
    for side in (7, 14, 28, 56):
        for channels in (16, 32, 64, 128, 256):
            size = channels * side * side
            pointwise = 0.02 + channels * size / 1e9 + 2 * size / 1e7
            rows.append(f"conv2d,0,0,1,{channels},{side},{side},{channels},1,1,0,1,1\t{pointwise}\n")
            depthwise = 0.02 + 5 * 9 * size / 1e9 + 2 * size / 1e7
            rows.append(f"depthwise_conv2d,0,0,1,{channels},{side},{side},{channels},{channels},3,1,1,1\t{depthwise}\n")
    return HEADER + "".join(rows) + "softmax,1,1,8,1,1\t0.1\n"


def read(folder: Path, content: str) -> OperatorTimes:
    path = folder / "operators.txt"
    path.write_text(content, encoding="utf-8")
    return read_operator_times(path)


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ("conv2d,0,1,1,3,224,224,32,1,3,1,2,1", "conv3x3s2 3x224x224>32x112x112+relu"),
        ("conv2d,1,0,1,32,14,14,64,1,1,0,1,1", "conv1x1s1 32x14x14>64x14x14"),
        ("depthwise_conv2d,0,0,1,32,14,14,32,32,5,2,1,1", "conv5x5s1g32 32x14x14>32x14x14"),
        ("conv2d,0,0,1,3,8,8,16,1,3,0,1,2", "conv3x3s1d2x2p0,0,0,0 3x8x8>16x4x4"),
        ("hard_swish,1,16,8,8", "hswish 16x8x8>16x8x8"),
        ("elementwise_add,1,16,8,8", "add(0,0) 16x8x8>16x8x8"),
        ("pooling,1,1,960,7,7,0,0,1,0,2", "gap 960x7x7>960x1x1"),
        ("pooling,0,1,16,8,8,2,0,2,0,1", "maxpool2s2p0 16x8x8>16x4x4"),
    ],
)
def test_operators_become_ours_with_their_time(tmp_path: Path, row: str, key: str) -> None:
    found = read(tmp_path, f"{HEADER}{row}\t1.5\n")
    assert [(time.segment.key, time.mean_ms) for time in found.times] == [(key, 1.5)]
    assert (found.header, found.refused, is_operator_table(found.path)) == (HEADER.strip(), (), True)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("batch_norm,relu,1,8,4,4", "an operator must be one of conv, conv2d"),
        ("conv2d,0,1,1,3,224,224,32,1,3,1,2", "its parameters must be the whole numbers flag_bias,flag_relu,n,c_in"),
        ("relu,1,x,8,8", "its parameters must be the whole numbers n,c_in,h_in,w_in"),
        ("relu,2,16,8,8", "networks here take one image, but n is 2"),
        ("conv2d,0,1,1,3,224,224,32,1,3,1,0,1", "stride must be at least 1, but got 0"),
        ("conv2d,0,1,1,3,224,224,32,2,3,1,2,1", "groups must divide the channels"),
        ("conv2d,0,1,1,3,2,2,32,1,7,0,1,1", "the map must be at least as large as the kernel"),
    ],
)
def test_an_operator_that_no_network_has_is_refused_by_itself(tmp_path: Path, row: str, words: str) -> None:
    found = read(tmp_path, f"{HEADER}{row}\t1.5\nrelu,1,16,8,8\t0.1\n")
    assert ([refused.name for refused in found.refused], len(found.times)) == ([row], 1)
    assert words in found.refused[0].reason


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"{HEADER}relu,1,16,8,8\t0.1\nrelu,1,16,8,8\t0", "row 3: rows must end with a line break"),
        (f"{HEADER}relu,1,16,8,8\t0.1\nrelu 1 16\n", "row 3: a row must be an operator with its parameters, a tab"),
        (f"{HEADER}relu,1,16,8,8\t-1\n", "row 2: the time must be a positive finite number of ms, but got '-1'"),
        (f"{HEADER}relu,1,16,8,8\tnan\n", "row 2: the time must be a positive finite number of ms, but got 'nan'"),
        (f"{HEADER}relu,1,16,8,8\t3us\n", "row 2: the time must be a positive finite number of ms, but got '3us'"),
    ],
)
def test_a_bad_table_is_refused_naming_row_and_rule(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InputError, match=r"operators\.txt, row") as caught:
        read(tmp_path, content)
    assert words in str(caught.value)


def test_other_files_are_no_tables_of_operators(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for content in (
        b"",
        b"segment,mean_ms\nx,1\n",
        b"\xff\xfe\x00",
        b"16x8x8-8x8x8-expand:3-kernel:3-stride:1,5\n" * 2,
    ):
        path.write_bytes(content)
        assert not is_operator_table(path)
    assert not is_operator_table(tmp_path / "absent.txt")
