from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.resources import check_name, plain_name


@settings(max_examples=50)
@given(st.text(max_size=250))
def test_whatever_a_file_calls_a_network_becomes_a_plain_name(text: str) -> None:
    name = plain_name(text)
    assert check_name(f"{name}-12345678-untrained", what="a name").startswith(name)
    assert plain_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("efficientnet-b2@260", "efficientnet-b2@260"), ("my space-1ms-8bdb3afe", "my-space-1ms-8bdb3afe"),
        ("../../etc/passwd", "etc-passwd"), ("a....b.", "a.b"), ("_own", "own"), ("Größe", "Gr-e"), ("…", "network"),
        (f"{'a' * 300}-8bdb3afe", f"{'a' * 120}{'a' * 51}-8bdb3afe"),
    ],
)  # fmt: skip
def test_names_by_hand(text: str, name: str) -> None:
    assert plain_name(text) == name
