from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

# The same examples on every machine, however slow it is.
hypothesis.settings.register_profile("nas", derandomize=True, deadline=None)
hypothesis.settings.load_profile("nas")


@pytest.fixture(autouse=True)
def _no_storage_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of tests go to folders of theirs, whatever database the user's own runs go to."""
    monkeypatch.delenv("NAS_STORAGE", raising=False)


@pytest.fixture(autouse=True)
def _same_workspace_afterwards() -> Iterator[None]:
    """`nas --workspace` sets the variable for its process; a test that calls it must not pass that on."""
    before = os.environ.get("NAS_WORKSPACE")
    yield
    if before is None:
        os.environ.pop("NAS_WORKSPACE", None)
    else:
        os.environ["NAS_WORKSPACE"] = before
