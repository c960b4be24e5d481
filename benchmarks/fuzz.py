"""Reads damaged files of every format, many more than the tests do, and writes how that went:
`python -m benchmarks.fuzz [--inputs 20000] [--seed 0]` writes benchmarks/fuzz.md; the first file that a reader
does not withstand is kept beside it, and ends the command with 1."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from benchmarks.environment import environment_text
from nas.report.table import markdown
from nas.testing.fuzzing import PACES, FuzzError, fuzz
from nas.testing.readers import NAMES

REPORT = Path(__file__).resolve().with_suffix(".md")
_GIGABYTE = 2**30


def main() -> int:
    """Fuzz every reader in a process of its own, whose memory is its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000, help="damaged files of each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one reader, whose row is printed")
    options = parser.parse_args()
    if options.only:
        return _one(options.only, options.inputs, options.seed)
    rows, failed = [], False
    for name in NAMES:
        command = [sys.executable, "-m", "benchmarks.fuzz", "--only", name]
        command += ["--inputs", str(options.inputs), "--seed", str(options.seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(name, done.stdout.strip() or done.stderr.strip()[-300:], file=sys.stderr, flush=True)
        failed |= done.returncode != 0
        rows.append([name, *(done.stdout.strip().split("\t") if done.stdout else ["failed", "", "", "", ""])])
    REPORT.write_text(_page(rows, options.inputs, options.seed), encoding="utf-8")
    return int(failed)


def _one(name: str, count: int, seed: int) -> int:
    warnings.simplefilter("ignore")
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = fuzz(NAMES[name], Path(folder), count=count, seed=seed)
        except FuzzError as error:
            kept = REPORT.with_name(f"fuzz-{name.replace(' ', '-')}.bin")
            kept.write_bytes(error.content)
            print(f"{error}; kept as {kept}", file=sys.stderr)
            return 1
    most = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    seconds = time.perf_counter() - begin
    print(found.read, found.refused, f"{found.slowest_s:.3f}", f"{most / 1e6:.0f}", f"{seconds:.0f}", sep="\t")
    return int(most > _GIGABYTE)


def _page(rows: list[list[str]], count: int, seed: int) -> str:
    names = ("reader", "read", "refused", "slowest file, s", "memory grown, MB", "all, s")
    return "\n".join((
        "# Damaged files",
        "",
        (
            f"{count:,} damaged files of each reader. Each must end in finite numbers or in one sentence, within"
            f" {PACES:g} times what a million rounds of a plain loop take, and 1 GB; the command stops at the first"
            " that does not."
        ),
        "",
        markdown(names, rows),
        "",
        environment_text(f"python -m benchmarks.fuzz --inputs {count} --seed {seed}"),
        "",
    ))  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
