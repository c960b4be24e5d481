"""Searches with accuracies that cost, in many processes: writes benchmarks/many_workers.md.

    python -m benchmarks.many_workers FOLDER [ray scaling postgresql]

Ray: a cluster of two nodes on this host, with ports and a folder of its own; one node is killed in mid-run. Scaling:
jobs that sleep, on 1, 2 and 4 workers, and what a trial costs besides its job. PostgreSQL: eight processes on one
search of 400 trials. FOLDER holds what they write; each part's lines are kept there, so parts may be run one by one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.environment import write_parts
from nas.jobs.trials_answer import TrialsAnswer
from nas.runs import Tables
from nas.trials.studies import study_trials
from tests.jobs.data_killed import descendants
from tests.runs.postgresql import running
from tests.trials.killed import lines, repeats, search, start

REPORT = Path(__file__).with_name("many_workers.md")
_ROOT = Path(__file__).resolve().parent.parent
_TEXT = """\
# Many workers

{environment}

The space has 1,024 codes; the evaluator sleeps, so what is told is what the search adds.

## A Ray cluster that loses a machine

{ray}

## Scaling, and what a trial costs besides its job

{scaling}

## Eight processes on one PostgreSQL

{postgresql}
"""


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Node:
    """A node of a Ray cluster on this host; it ends with the block, and nothing else does."""

    def __init__(self, environment: dict[str, str], *words: str) -> None:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats", *words]
        self._process = subprocess.Popen(
            command, env=environment, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()  # `ray start --block` ends what it started
        self._process.wait()

    def kill(self) -> None:
        """What a power failure does: SIGKILL to all processes of the node at once, its workers among them."""
        for process in [*descendants(self._process.pid), self._process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


@contextlib.contextmanager
def cluster(folder: Path, *, cpus: Sequence[int], **more: str) -> Iterator[tuple[str, list[Node]]]:
    """The address of a cluster with nodes of so many `cpus`; environment of its workers besides: `more`."""
    # The path of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="nas-ray-") as temporary, contextlib.ExitStack() as nodes:
        home = folder / "home"
        home.mkdir(exist_ok=True)
        own = {"RAY_AUTH_MODE": "disabled", "HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
        environment, port = os.environ | own | more, free_port()
        head = ("--head", f"--port={port}", f"--temp-dir={temporary}", "--include-dashboard=false")
        begun = [nodes.enter_context(Node(environment, *head, "--node-ip-address=127.0.0.1", f"--num-cpus={cpus[0]}"))]
        time.sleep(15)
        for number in cpus[1:]:
            words = (f"--address=127.0.0.1:{port}", "--node-ip-address=127.0.0.1", f"--num-cpus={number}")
            begun.append(nodes.enter_context(Node(environment, *words)))
        time.sleep(10)
        yield f"127.0.0.1:{port}", begun


def lost_node(folder: Path) -> str:
    """Two nodes of two cores; one is killed when every worker has finished a trial."""
    url, calls, trials = f"sqlite:///{folder}/ray.db", folder / "ray calls", 60
    for path in (folder / "ray.db", calls):
        path.unlink(missing_ok=True)
    with cluster(folder, cpus=(2, 2), CALLS=str(calls), SLEEP="1.0") as (address, nodes):
        os.environ["RAY_AUTH_MODE"] = "disabled"
        began = time.monotonic()
        driver = start(url, trials, calls, sleep=1.0, ray=address)
        while len({trial.worker for trial in study_trials(Tables(url), "killed") if trial.state == "done"}) < 4:
            if driver.poll() is not None:
                raise SystemExit(driver.communicate()[1])
            time.sleep(0.1)
        before = len(lines(calls))
        nodes[1].kill()
        out, errors = driver.communicate(timeout=400)
        if driver.returncode:
            raise SystemExit(errors)
        seconds = time.monotonic() - began
    found = json.loads(out)["trials"]
    states, kept = Counter(trial[2] for trial in found), study_trials(Tables(url), "killed")
    numbers = [trial.number for trial in kept]
    return "\n".join(
        [
            (
                f"- {trials} trials of 1 s on two nodes of two cores each; one node got SIGKILL after {before} calls,"
                " when all four workers had finished some."
            ),
            (
                f"- In the end: {dict(states)}; every number once: {numbers == list(range(trials))};"
                f" points tried twice: {trials - len({trial.codes for trial in kept})}."
            ),
            f"- Calls that began anew because the node was lost: {repeats(calls)}. All of it took {seconds:.0f} s.",
        ]
    )


def timed(folder: Path, name: str, budget: int, **options: Any) -> tuple[float, TrialsAnswer]:
    """The seconds of a search in a fresh database, by drawn points."""
    path = folder / f"{name}.db"
    path.unlink(missing_ok=True)
    began = time.monotonic()
    result = search(f"sqlite:///{path}", budget, **options)
    return time.monotonic() - began, result


def scaling(folder: Path) -> str:
    """Jobs that sleep for a second on 1, 2 and 4 workers; and the time of jobs that do nothing."""
    import ray

    rows = ["| executor | workers | trials | s | of the ideal |", "|---|---|---|---|---|"]
    overheads = {}
    with cluster(folder, cpus=(4,)) as (address, _):
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        alone: dict[str, dict[str, Any]] = {"in this process": {}, "Ray, one at a time": {"ray": address, "cpus": 4.0}}
        for name, workers, options in (
            ("this process", 1, alone["in this process"]),
            *(("processes", workers, {"workers": workers}) for workers in (2, 4)),
            ("Ray", 1, alone["Ray, one at a time"]),
            *(("Ray", workers, {"ray": address, "workers": workers}) for workers in (2, 4)),
        ):
            # Ray's workers are there afterwards; processes start anew each time.
            timed(folder, "warm", 4 * workers, **options)
            budget = 24 * workers
            seconds, result = timed(folder, "sleep", budget, **options, evaluate="nas.testing.evaluators:rests")
            assert {trial.state for trial in result.trials} == {"done"} and len(result.trials) == budget
            rows.append(f"| {name} | {workers} | {budget} | {seconds:.1f} | {100 * 24 / seconds:.0f} % |")
        for name, options in alone.items():
            timed(folder, "warm", 4, **options)
            overheads[name] = timed(folder, "empty", 60, **options)[0] / 60
        overheads["Ray Tune, four at a time"] = tuned() / 20
        ray.shutdown()
    overhead = "; ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in overheads.items())
    told = f"A trial that does nothing takes: {overhead}. The first two wait for the disk with SQLite, twice a trial."
    return "\n".join([*rows, "", told])


def tuned() -> float:
    """The seconds of 20 trials that do nothing by Ray Tune's runner."""
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    from ray import tune

    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        tuner = tune.Tuner(
            lambda config: {"accuracy": 0.5},
            param_space={"layer": tune.choice([0, 1, 2])},
            tune_config=tune.TuneConfig(num_samples=20, max_concurrent_trials=4, metric="accuracy", mode="max"),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        tuner.fit()
        return time.monotonic() - began


def eight(folder: Path) -> str:
    """Eight processes, 400 trials; then four, whose server is away for 5 and for 30 s."""
    told, calls = [], folder / "postgresql calls"
    with running() as server:
        calls.unlink(missing_ok=True)
        url = server.database("eight")
        began = time.monotonic()
        drivers = [start(url, 400, calls) for _ in range(8)]
        said = [driver.communicate(timeout=580) for driver in drivers]
        seconds = time.monotonic() - began
        told.append(f"- Eight processes: {ended(url, drivers, said, calls, 400)}, in {seconds:.0f} s.")
        for mode, down in (("fast", 5.0), ("immediate", 5.0), ("immediate", 30.0)):
            calls.unlink(missing_ok=True)
            url = server.database(f"{mode}{down:.0f}")
            drivers = [start(url, 80, calls, sleep=0.05) for _ in range(4)]
            while len(lines(calls)) < 10:
                time.sleep(0.01)
            server.restart(mode, down_s=down)
            said = [driver.communicate(timeout=300) for driver in drivers]
            what = f"Four processes, server stopped ({mode}) for {down:.0f} s in mid-run"
            told.append(f"- {what}: {ended(url, drivers, said, calls, 80)}.")
    return "\n".join(told)


def ended(url: str, drivers: list[subprocess.Popen[str]], said: list[tuple[str, str]], calls: Path, budget: int) -> str:
    """What is there once all drivers have ended."""
    trials = study_trials(Tables(url), "killed")
    well = sum(driver.returncode == 0 for driver in drivers)
    answers = {out for (out, _), driver in zip(said, drivers, strict=True) if driver.returncode == 0}
    twice = len(trials) - len({trial.codes for trial in trials})
    return (
        f"{well} of {len(drivers)} went on to the end, with {len(answers)} answer; {len(trials)} trials of {budget},"
        f" {dict(Counter(trial.state for trial in trials))}, {twice} points twice; {len(lines(calls))} calls,"
        f" {repeats(calls)} repeated"
    )


PARTS: dict[str, Callable[[Path], str]] = {"ray": lost_node, "scaling": scaling, "postgresql": eight}


def main() -> None:
    """Run the parts that are asked for (all), and write the report of all that were run."""
    write_parts(REPORT, _TEXT, PARTS, "python -m benchmarks.many_workers FOLDER")


if __name__ == "__main__":
    main()
