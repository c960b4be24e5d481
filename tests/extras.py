"""The optional packages that some tests need."""

from __future__ import annotations

import importlib.util
import os

import pytest


def needs(package: str) -> None:
    """Skip the calling test by name where `package` is absent; with `NAS_REQUIRE_EXTRAS=1`, as in CI, fail it."""
    missing(package, importlib.util.find_spec(package) is None, "make test")


def missing(part: str, is_absent: bool, source: str) -> None:
    """Skip or fail the calling test, as above, where a part of it is absent that `source` installs."""
    if is_absent:
        message = f"needs {part}, which is not installed ({source} installs it)"
        if os.environ.get("NAS_REQUIRE_EXTRAS"):
            pytest.fail(message)
        pytest.skip(message)
