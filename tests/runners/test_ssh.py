"""Machines that are reached by ssh, through a real server on this one."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nas.errors import InputError, NasError, UnreachableError
from nas.latency import device_home
from nas.latency.way import Ssh
from nas.measure.stopwatch import Stopwatch
from nas.nets.untrained import write_untrained
from nas.runners import agent, ssh
from nas.runners.engines import LITERT, ONNX_RUNTIME
from nas.runners.protocol import FileFault, Runner, TimingJob
from nas.runners.ssh import SshRunner
from nas.runners.ssh_link import SshLink, ssh_arguments
from nas.runners.timing import Timing
from nas.testing.runners import RunnerConformance, small_network
from tests.extras import needs
from tests.measure.devices import tiny_onnx
from tests.runners.sshd import Server, make_key, running, sshd

__all__ = ["sshd"]  # the fixture

HOSTILE = 'it\'s a "place"; touch pwned $(touch pwned) `touch pwned` & *'


class TestOnnxRuntime(RunnerConformance):
    @pytest.fixture
    def runner(self, sshd: Server) -> Runner:
        return SshRunner(ONNX_RUNTIME, sshd.way())


def test_litert_is_timed_there_as_well(sshd: Server, tmp_path: Path) -> None:
    needs("ai_edge_litert")
    file = write_untrained(small_network(8), tmp_path / "m.tflite")
    runner = SshRunner(LITERT, sshd.way())
    (found,) = runner.time(TimingJob(files=(file,), rounds=2)).timings()
    assert len(found.wall_ms) == len(found.cpu_ms) == 2
    assert runner.environment()["runtime"].startswith("LiteRT ")


def job(folder: Path, *names: str, rounds: int = 1) -> TimingJob:
    return TimingJob(files=tuple(tiny_onnx(folder / f"{name}.onnx") for name in names), rounds=rounds)


def wrapped(place: Path, first: str, *, options: str = "") -> str:
    """A Python of the far machine: a script that does `first`, and then is this interpreter."""
    place.write_text(f'#!/bin/sh\n{first}\nexec {shlex.quote(sys.executable)} {options} "$@"\n')
    place.chmod(0o755)
    return str(place)


def _told_what_is_sent(patch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that are sent from now on."""
    sent: list[str] = []
    put = ssh._put

    def told(link: SshLink, name: str, part: str, file: Path) -> None:
        sent.append(file.name)
        put(link, name, part, file)

    patch.setattr(ssh, "_put", told)
    return sent


def test_a_file_goes_there_once_and_none_stays(sshd: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = _told_what_is_sent(monkeypatch)
    first, second = (write_untrained(small_network(n), tmp_path / f"{n}.onnx") for n in (8, 12))
    with SshRunner(ONNX_RUNTIME, sshd.way(folder=str(sshd.folder / "far" / "once"))) as runner:
        runner.time(TimingJob(files=(first, first), rounds=1))
        runner.time(TimingJob(files=(first, second), rounds=1))
        runner.time(TimingJob(files=(second,), rounds=1))
        there = {path.suffix for path in (sshd.folder / "far" / "once").iterdir()}
        assert len(list((sshd.folder / "far" / "once").glob("*.onnx"))) == 1 and there == {".onnx", ".worker", ""}
    assert sent == ["worker.py", "8.onnx", "12.onnx"]
    assert list((sshd.folder / "far" / "once").glob("*.onnx")) == []


def test_nothing_of_a_path_reaches_a_shell(sshd: Server, tmp_path: Path) -> None:
    """A folder, a Python and files are called what a shell would act on."""
    odd = sshd.folder / HOSTILE
    odd.mkdir()
    python = wrapped(odd / f"python {HOSTILE}", ":")
    (tmp_path / HOSTILE).mkdir()
    file = tiny_onnx(tmp_path / HOSTILE / f"{HOSTILE}.onnx")
    runner = SshRunner(ONNX_RUNTIME, sshd.way(python=python, folder=str(odd / "far")))
    assert isinstance(runner.time(TimingJob(files=(file,), rounds=1)).results[0], Timing)
    found = [*tmp_path.rglob("pwned"), *sshd.folder.rglob("pwned"), *Path.home().glob("pwned")]
    assert found == [] and not Path("pwned").exists()


def test_the_client_gets_a_list_of_words() -> None:
    way = Ssh(host="me@host", python=HOSTILE, port=2222, jump="a@b", identity="~/key", config="/c")
    words = ssh_arguments(way)
    assert words[0] == "ssh" and words[-2] == "me@host" and words[-3] == "--"
    assert words[words.index("-i") + 1] == str(Path("~/key").expanduser())
    assert words[words.index("-p") + 1] == "2222" and words[words.index("-J") + 1] == "a@b"
    assert words.index("StrictHostKeyChecking=yes") < words.index("-F")  # the first of two wins
    assert shlex.split(words[-1])[:3] == ["exec", HOSTILE, "-c"]
    assert shlex.split(ssh_arguments(replace(way, python="~/my venv/python"))[-1])[1] == "./my venv/python"


@pytest.fixture
def long_job(sshd: Server, tmp_path: Path) -> Iterator[tuple[threading.Thread, list[object], SshRunner]]:
    """A job of minutes that has begun there; what came of it is in the list."""
    came: list[object] = []
    runner = SshRunner(ONNX_RUNTIME, sshd.way(folder=str(sshd.folder / "far" / "long")))
    file = write_untrained(small_network(1024), tmp_path / "m.onnx")

    def work() -> None:
        try:
            came.append(runner.time(TimingJob(files=(file,), rounds=10_000_000)))
        except NasError as error:
            came.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: any("worker.py" in line for line in sshd.processes()))
    yield thread, came, runner
    sshd.end_sessions()
    thread.join()


def wait_for(what: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_connection_that_is_killed_leaves_no_process_there(
    sshd: Server, long_job: tuple[threading.Thread, list[object], SshRunner]
) -> None:
    thread, came, runner = long_job
    with pytest.raises(UnreachableError, match="bench must be free, but another run of the program is timing there"):
        runner.environment()
    sshd.end_sessions()
    thread.join(60.0)
    (error,) = came
    assert isinstance(error, UnreachableError) and "bench must be there" in str(error)
    wait_for(lambda: sshd.processes() == [])
    assert runner.environment()["cores"]


def test_a_client_that_is_killed_leaves_no_process_there(
    sshd: Server, long_job: tuple[threading.Thread, list[object], SshRunner]
) -> None:
    thread, came, _ = long_job
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    for number in {int(n) for place in children for n in place.read_text().split()}:
        if Path(f"/proc/{number}/comm").read_text().strip() == "ssh":
            os.kill(number, signal.SIGKILL)
    thread.join(60.0)
    assert isinstance(came[0], UnreachableError)
    wait_for(lambda: sshd.processes() == [])


def test_an_agent_that_hears_nothing_ends_by_itself(tmp_path: Path) -> None:
    """As when a machine vanishes, and nobody closes the connection."""
    text = Path(agent.__file__).read_text().replace("SILENCE_S = 60.0", "SILENCE_S = 4.0")
    (tmp_path / "agent.py").write_text(text)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "agent.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    began = time.monotonic()
    for _ in range(10):  # signs of life
        time.sleep(0.5)
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert process.poll() is None
    process.wait(60.0)
    assert time.monotonic() - began > 5.0
    process.stdin.close()
    process.stdout.close()


def test_a_machine_that_vanishes_is_waited_for_and_its_files_are_there_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = _told_what_is_sent(monkeypatch)
    home = device_home("local")
    with running(tmp_path / "own") as server:
        home = replace(home, device=replace(home.device, reach="ssh", way=server.way()))
        runner = SshRunner(ONNX_RUNTIME, server.way())
        file = write_untrained(small_network(8), tmp_path / "m.onnx")
        turns = 0
        work = SshLink.ask

        def vanishing(self: SshLink, request: dict[str, object], content: bytes = b"") -> dict[str, object]:
            nonlocal turns
            if request["ask"] == "work":
                turns += 1
                if turns == 1:
                    server.stop()
                    threading.Timer(1.5, server.start).start()
            return work(self, request, content)

        monkeypatch.setattr(SshLink, "ask", vanishing)
        with Stopwatch(home, runner, scratch=tmp_path / "files", patience_s=(0.2,) * 30) as watch:
            watch.environment()
            (found,) = watch.time([file], rounds=2).timings()
        assert len(found.wall_ms) == 2 and turns == 2
        assert sent == ["worker.py", "m.onnx"]


def test_one_that_is_away_at_the_beginning_is_told_at_once(tmp_path: Path) -> None:
    with running(tmp_path / "own") as server:
        way = server.way()
    home = device_home("local")
    words = r"bench must be there, but: ssh: connect .* refused; see that it is on"
    watch = Stopwatch(home, SshRunner(ONNX_RUNTIME, way), patience_s=(1000.0,))
    with watch, pytest.raises(UnreachableError, match=words):
        watch.environment()


def test_a_host_of_no_address_is_told(sshd: Server) -> None:
    way = Ssh(host="nobody.invalid", config=str(sshd.config))
    with pytest.raises(UnreachableError, match="nobody.invalid must be there, but: ssh: Could not resolve"):
        SshRunner(ONNX_RUNTIME, way).environment()


def test_an_unknown_host_is_never_taken(sshd: Server, tmp_path: Path) -> None:
    """Not even where the user's configuration would."""
    known = tmp_path / "known"
    text = sshd.config.read_text().replace(str(sshd.folder / "known_hosts"), str(known))
    config = tmp_path / "config"
    config.write_text(f"{text}  StrictHostKeyChecking no\n")
    with pytest.raises(InputError, match=r"key of bench must be known here, but it is not.*`ssh -F .*config bench`"):
        SshRunner(ONNX_RUNTIME, sshd.way(config=str(config))).environment()
    assert not known.exists()


def test_a_host_with_another_key_is_refused(sshd: Server, tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{sshd.port} {make_key(tmp_path / 'other')}")
    config = tmp_path / "config"
    config.write_text(sshd.config.read_text().replace(str(sshd.folder / "known_hosts"), str(known)))
    with pytest.raises(InputError, match="key of bench must be the one that is known here, but it has another"):
        SshRunner(ONNX_RUNTIME, sshd.way(config=str(config))).environment()


def test_a_key_that_the_host_does_not_take_is_told(sshd: Server, tmp_path: Path) -> None:
    make_key(tmp_path / "other")
    config = tmp_path / "config"
    config.write_text(sshd.config.read_text().replace(f"{sshd.folder}/key\n", f"{tmp_path}/other\n"))
    with pytest.raises(InputError, match=r"must let this user in .* Permission denied .*ssh-copy-id bench"):
        SshRunner(ONNX_RUNTIME, sshd.way(config=str(config))).environment()


def test_a_python_that_is_none_is_told(sshd: Server) -> None:
    with pytest.raises(InputError, match="python must be an interpreter on bench, but '/no/python 3' is none"):
        SshRunner(ONNX_RUNTIME, sshd.way(python="/no/python 3")).environment()
    with pytest.raises(InputError, match="python must be an interpreter on bench, but '/etc/passwd' is none"):
        SshRunner(ONNX_RUNTIME, sshd.way(python="/etc/passwd")).environment()


def test_a_python_that_is_too_old_is_told(sshd: Server) -> None:
    old = wrapped(sshd.folder / "old", 'echo "it is Python 3.6.9" >&2; exit 1')
    with pytest.raises(
        InputError, match="must be Python 3.9 or newer on bench, but .* it is Python 3.6.9; name another"
    ):
        SshRunner(ONNX_RUNTIME, sshd.way(python=old)).environment()


def test_a_runtime_that_lacks_there_is_told(sshd: Server) -> None:
    bare = wrapped(sshd.folder / "bare", ":", options="-S -E")
    with pytest.raises(InputError, match=r"ONNX Runtime must be installed on bench .* has no onnxruntime; install it"):
        SshRunner(ONNX_RUNTIME, sshd.way(python=bare)).environment()


def test_a_runtime_that_is_too_old_is_told(sshd: Server) -> None:
    place = sshd.folder / "packages" / "onnxruntime-1.9.0.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime\nVersion: 1.9.0\n")
    old = wrapped(sshd.folder / "old-runtime", f"export PYTHONPATH={shlex.quote(str(place.parent))}")
    with pytest.raises(InputError, match=r"on bench must be 1\.18 or newer.* but is ONNX Runtime 1\.9\.0"):
        SshRunner(ONNX_RUNTIME, sshd.way(python=old)).environment()


def test_a_disk_that_is_full_there_is_told_and_what_was_sent_is_no_file(sshd: Server, tmp_path: Path) -> None:
    full = wrapped(sshd.folder / "full", "ulimit -f 100")  # blocks of 512 bytes
    place = sshd.folder / "far" / "full"
    runner = SshRunner(ONNX_RUNTIME, sshd.way(python=full, folder=str(place)))
    file = write_untrained(small_network(2048), tmp_path / "m.onnx")
    assert file.stat().st_size > 100 * 512
    with pytest.raises(
        NasError, match=r"the disk of bench must have room, but: .*full.*File too large; free some there"
    ):
        runner.time(TimingJob(files=(file,), rounds=1))
    assert list(place.glob("*.onnx")) == []
    assert isinstance(
        SshRunner(ONNX_RUNTIME, sshd.way(folder=str(place))).time(TimingJob(files=(file,), rounds=1)).results[0], Timing
    )
    assert list(place.glob("*part")) == []


def test_a_folder_that_cannot_be_written_is_told(sshd: Server) -> None:
    with pytest.raises(NasError, match="bench must let files be written, but: /proc/nas.*; name another folder"):
        SshRunner(ONNX_RUNTIME, sshd.way(folder="/proc/nas")).environment()


def test_what_a_login_prints_is_no_answer(tmp_path: Path) -> None:
    noise = 'ForceCommand=echo Welcome; echo {}; echo 12; eval "$SSH_ORIGINAL_COMMAND"'
    with running(tmp_path / "noisy", "-o", noise) as server:
        runner = SshRunner(ONNX_RUNTIME, server.way())
        assert isinstance(runner.time(job(tmp_path, "a")).results[0], Timing)


def test_a_slow_link_is_no_fault(sshd: Server, tmp_path: Path) -> None:
    """200 kB a second, a twentieth of a second late."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_slowly, args=(server, sshd.port), daemon=True)
        thread.start()
        way = sshd.way(port=server.getsockname()[1])
        known = tmp_path / "known"
        host = (sshd.folder / "host_key.pub").read_text()
        known.write_text(f"[127.0.0.1]:{way.port} {host}")
        config = tmp_path / "config"
        config.write_text(sshd.config.read_text().replace(str(sshd.folder / "known_hosts"), str(known)))
        file = write_untrained(small_network(4096), tmp_path / "m.onnx")
        began = time.monotonic()
        runner = SshRunner(ONNX_RUNTIME, replace(way, config=str(config)))
        assert isinstance(runner.time(TimingJob(files=(file,), rounds=1)).results[0], Timing)
        assert time.monotonic() - began > file.stat().st_size / 200e3


def _slowly(server: socket.socket, port: int) -> None:
    """Pass one connection on to `port`."""
    near, _ = server.accept()
    far = socket.create_connection(("127.0.0.1", port))

    def pass_on(source: socket.socket, sink: socket.socket) -> None:
        while content := source.recv(10_000):
            time.sleep(0.05)
            sink.sendall(content)
        sink.shutdown(socket.SHUT_WR)

    threads = [threading.Thread(target=pass_on, args=pair, daemon=True) for pair in ((near, far), (far, near))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    near.close()
    far.close()


def test_without_a_client_here_that_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="ssh must be installed here"):
        SshRunner(ONNX_RUNTIME, Ssh(host="a")).environment()


def test_a_bad_file_has_a_fault_that_names_the_file_here(sshd: Server, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_text("no network")
    found = SshRunner(ONNX_RUNTIME, sshd.way()).time(TimingJob(files=(bad,), rounds=1)).results[0]
    assert isinstance(found, FileFault) and str(bad) in found.text and ".cache" not in found.text
    assert not re.search("[0-9a-f]{64}", found.text), json.dumps(found.text)


def test_a_fault_of_the_agent_is_told_and_nobody_waits_for_an_answer(sshd: Server) -> None:
    link = SshLink(sshd.way())
    with pytest.raises(NasError, match="the agent on bench must go on, but ended with .*AssertionError"):
        link.ask({"ask": "work", "worker": "../no", "request": {"files": []}})
    link.close()
