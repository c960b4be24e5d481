from __future__ import annotations

from pathlib import Path

import pytest

from nas.testing.trials import TrialStoreConformance


class TestSQLite(TrialStoreConformance):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/trials.db"
