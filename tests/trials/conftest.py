from __future__ import annotations

from tests.trials.disk import no_waiting_for_the_disk  # noqa: F401
