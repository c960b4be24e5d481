from __future__ import annotations

from pathlib import Path

import pytest

from nas.errors import InputError
from nas.latency.device import read_device
from nas.latency.way import Adb, Ios, Ssh
from tests.latency.test_device import TEXT, write

SSH = TEXT + "reach: ssh\nhost: me@board.local\n"
IOS = TEXT + "reach: ios\n"
ADB = TEXT + "reach: adb\nprogram: /data/local/tmp/benchmark_model\n"


def test_each_way_has_its_keys(tmp_path: Path) -> None:
    ssh = read_device(write(tmp_path / "ssh", SSH + "python: ~/my venv/bin/python\nport: 2222\njump: a@b\n"))
    assert ssh.way == Ssh(host="me@board.local", python="~/my venv/bin/python", port=2222, jump="a@b")
    adb = read_device(write(tmp_path / "adb", ADB + 'options: ["--use_gpu=true"]\nserial: 192.168.1.5:5555\n'))
    assert adb.way == Adb(
        program="/data/local/tmp/benchmark_model", options=("--use_gpu=true",), serial="192.168.1.5:5555"
    )
    assert ssh.is_timed and adb.is_timed
    assert read_device(write(tmp_path / "ios", IOS + "team: ABCDE12345\n")).way == Ios(team="ABCDE12345")
    bundle = read_device(write(tmp_path / "bundle", TEXT + "reach: bundle\n"))
    assert bundle.reach == "bundle" and bundle.way is None and not bundle.is_timed


@pytest.mark.parametrize("text", [SSH + "port: 22\n", ADB + "options: [-a, b]\ncool_celsius: 35\n", TEXT])
def test_a_device_is_read_back_as_it_is_written(text: str, tmp_path: Path) -> None:
    import yaml

    device = read_device(write(tmp_path / "a", text))
    record = {key: value for key, value in device.as_json().items() if value != ""}
    assert read_device(write(tmp_path / "b", yaml.safe_dump(record))) == device


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT + "reach: carrier pigeon\n", "reach must be one of local, ssh, adb, ios, bundle, or none"),
        (TEXT + "reach: ssh\n", "the key 'host' must be given"),
        (TEXT + "reach: adb\n", "the key 'program' must be given"),
        (TEXT + "reach: local\nhost: a\n", "the key 'host' must come with a reach that has it (ssh, adb, ios)"),
        (TEXT + "host: a\n", "but reach is 'none'"),
        (SSH + "serial: x\n", "keys must be known, but got 'serial'"),
        (SSH + "pyton: x\n", "did you mean 'python'?"),
        (SSH.replace("me@board.local", "-oProxyCommand=touch"), "no - in front"),
        (SSH.replace("me@board.local", '"a; touch pwned"'), "host must be a name of your ssh configuration"),
        (SSH.replace("me@board.local", "$(touch pwned)"), "host must be a name of your ssh configuration"),
        (SSH.replace("me@board.local", '"a b"'), "host must be a name"),
        (SSH + "jump: -oProxyCommand=x\n", "jump must be a name"),
        (SSH + "port: 70000\n", "port must be a whole number from 1 to 65535"),
        (SSH + 'python: "a\\nb"\n', "python must be a text of one line"),
        (SSH + "python: [a]\n", "python must be a text of one line"),
        (ADB + "serial: -s\n", "serial must be an adb serial"),
        (ADB + "options: --use_gpu=true\n", "options must be a list of texts"),
        (IOS + "udid: a b\n", "udid must be letters, digits"),
        (IOS + "team: $(touch pwned)\n", "team must be letters, digits"),
        (IOS + "host: a\n", "keys must be known, but got 'host'"),
        (ADB + "cool_celsius: cold\n", "cool_celsius must be a temperature"),
        (ADB + "cool_celsius: 1000\n", "cool_celsius must be a temperature"),
    ],
)
def test_what_no_way_can_have_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="device.yaml") as caught:
        read_device(write(tmp_path, text))
    assert words in str(caught.value)
