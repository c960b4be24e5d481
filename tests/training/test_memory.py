from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from nas.training.memory import keep_freed_memory
import torch

kept = keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(10_000_000) for _ in range(2)]  # above the 32 MB that glibc may keep by itself
    del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(int(kept), min(faults() for _ in range(10)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone gives memory back like that")
def test_a_step_meets_no_page_faults_once_memory_is_kept() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    kept, least = map(int, done.stdout.split())
    assert kept == 1 and least < 20
