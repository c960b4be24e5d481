"""The optional packages that some tests need."""

from __future__ import annotations

import importlib.util
import os

import pytest


def needs(package: str) -> None:
    """Skip the calling test by name where `package` is absent; with `NAS_REQUIRE_EXTRAS=1`, as in CI, fail it."""
    if importlib.util.find_spec(package) is None:
        message = f"needs {package}, which is not installed (make test installs it)"
        if os.environ.get("NAS_REQUIRE_EXTRAS"):
            pytest.fail(message)
        pytest.skip(message)
