from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas.cli.main import MODULES, main
from nas.files import is_alive, refused
from nas.space import load_architecture

HEAVY = {"torch", "onnxruntime", "onnx", "scipy", "sklearn", "sqlalchemy", "optuna", "matplotlib", "ray", "coremltools"}

WITH_FAULTS = """
import sys
from nas.cli import main
main.MODULES["fault"] = "tests.cli.faults"
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODULES, "fault", "tests.cli.faults")


def _run(*arguments: str, script: str = WITH_FAULTS) -> subprocess.Popen[str]:
    # A job in the background inherits that interrupts are ignored; a person at a terminal does not.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    return subprocess.Popen(
        [sys.executable, "-c", heard + script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        ("input", 2, "error: kernel must be odd, but got 4.\n"),
        ("target", 1, "error: the fastest network takes 2 ms.\n"),
        ("click", 1, "error: something\n"),
        (
            "full",
            1,
            (
                "error: the disk of runs/nas.db must have room, but: No space left on device;"
                " free some, or choose another place.\n"
            ),
        ),
    ],
)
def test_an_expected_fault_is_one_paragraph_and_an_exit_code(
    faulty: None, capfd: pytest.CaptureFixture[str], fault: str, code: int, text: str
) -> None:
    assert main(["fault", fault]) == code
    assert capfd.readouterr() == ("", text)


def test_a_defect_is_not_hidden(faulty: None) -> None:
    with pytest.raises(AssertionError, match="ours"):
        main(["fault", "defect"])


def test_an_interrupt_is_one_line_and_130() -> None:
    process = _run("fault", "interrupt")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, "", "error: interrupted; what was finished is kept.")


def test_a_stop_from_outside_is_one_line_and_143_and_leaves_no_worker() -> None:
    process = _run("fault", "stop")
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (143, "", "error: stopped; what was finished is kept.")
    end = time.monotonic() + 10  # it was killed; the system takes it away in its own time
    while is_alive(worker) and time.monotonic() < end:
        time.sleep(0.01)
    assert not is_alive(worker)


START_UP = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from nas.__main__ import main
sys.argv = ["nas", "arch", "list"]
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["click", "nas.cli.arch", "nas.report", "numpy"])
def test_an_interrupt_while_the_program_is_read_is_one_line(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", START_UP.format(module=module)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.strip() == "error: interrupted; what was finished is kept."


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_fault_and_no_file_takes_their_place(closed: str, tmp_path: Path) -> None:
    """Each of `nas arch export` writes a file, which must get neither what is printed nor what is told."""
    out = tmp_path / "a.yaml"
    command = f"{sys.executable} -P -m nas arch export mobilenetv2-1.0 --out {out} {closed}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert load_architecture(out).digest == load_architecture("mobilenetv2-1.0").digest


@pytest.mark.parametrize(
    "arguments", [["arch", "list"], ["arch", "list", "--json"], ["arch", "show", "mobilenetv2-1.0"]]
)
def test_a_pipe_that_nobody_reads_gives_no_traceback(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "nas", *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_name_that_no_disk_takes_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 5000
    for arguments in (
        ["arch", "export", "mobilenetv2-1.0", "--out", f"{tmp_path}/{long}"],
        ["arch", "show", long],
        ["space", "show", long],
        ["device", "show", long],
        ["zoo", "show", long],
        ["runs", "show", long],
        ["lut", "predict", long, "--device", "iphone12"],
        ["zoo", "export", "mobilenetv2-1.0", "--name", long],
    ):
        assert main(["--workspace", str(tmp_path), *arguments]) == 2, arguments
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err.startswith("error: ")
        assert len(printed.err) < 1000, printed.err


def test_an_answer_of_a_read_only_place_does_not_speak_of_room() -> None:
    for number in (errno.EROFS, errno.EACCES):
        text = str(refused("runs", OSError(number, os.strerror(number))))
        assert "runs must be writable" in text and "room" not in text
    assert "must have room" in str(refused("runs", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))


def test_a_reader_that_stops_is_no_fault() -> None:
    process = _run("fault", "none")
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "line\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait(timeout=60)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_stdout_is_one_paragraph() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", WITH_FAULTS, "fault", "none"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: the disk of what is written must have room, but: No space left on device")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fualt"], "Did you mean 'fault'? See `nas --help`."),
        (["--hepl"], "No such option '--hepl'"),
        (["fault"], "Missing argument 'FAULT'. See `nas fault --help`."),
        (["--workspace", "/nowhere", "fault", "none"], "'/nowhere' does not exist"),
    ],
)
def test_wrong_usage_is_one_paragraph_and_2(
    faulty: None, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert words in printed.err


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Usage: nas" in capsys.readouterr().err


def test_a_command_whose_module_is_absent_is_not_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(MODULES, "absent", "nas.cli.no_such_module")
    assert main(["--help"]) == 0
    assert "absent" not in capsys.readouterr().out
    assert main(["absent"]) == 2


def test_the_workspace_is_handed_on(faulty: None, tmp_path: Path) -> None:
    assert main(["--workspace", str(tmp_path), "fault", "input"]) == 2
    assert os.environ["NAS_WORKSPACE"] == str(tmp_path)


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("nas ")


def test_help_loads_nothing_heavy() -> None:
    """The help page imports the module of every command."""
    process = _run("--help", script="import sys; from nas.cli.main import main; main(); print(*sys.modules)")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert HEAVY.isdisjoint(out.splitlines()[-1].split())
