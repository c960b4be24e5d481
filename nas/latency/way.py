"""How the program gets to a device to time networks there, as `device.yaml` says it: what belongs to each `reach`.

A device file may come from somebody else, so nothing in it is a command of this machine: of the ssh client's options
it has those that name a place or a key, and all that goes to the device is quoted there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from nas.documents import check_keys
from nas.errors import InputError

LOCAL, SSH, ADB, IOS, BUNDLE = "local", "ssh", "adb", "ios", "bundle"
TIMED = (LOCAL, SSH, ADB, IOS)
"""The ways by which networks are timed from here; `bundle` is that somebody carries them there."""
WAYS = (*TIMED, BUNDLE)
_PLACE = re.compile(r"[A-Za-z0-9_\[:][A-Za-z0-9._:@%+\[\]-]*")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SERIAL = re.compile(r"[A-Za-z0-9_\[:][A-Za-z0-9._:%()\[\]-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssh:
    """A machine that the user's own OpenSSH client gets to.

    `host` is a name of the client's configuration, or USER@HOST; `python` the interpreter there that has the runtime;
    `folder` where files lie there while they are timed (from the home folder, where it is relative). `port`, `jump`,
    `identity` (a key's file) and `config` (a configuration's file) are the client's options -p, -J, -i and -F.
    """

    host: str
    python: str = "python3"
    folder: str = ".cache/nas"
    port: int = 0
    jump: str = ""
    identity: str = ""
    config: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adb:
    """A phone that the user's own adb client gets to.

    `program` is the runtime's benchmark program on the phone, `options` go to it; `serial` says which phone, where
    there are several; `folder` is where files lie there while they are timed. A batch begins when the battery is no
    warmer than `cool_celsius`.
    """

    program: str
    serial: str = ""
    folder: str = "/data/local/tmp/nas"
    options: tuple[str, ...] = ()
    cool_celsius: float = 38.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ios:
    """An iPhone or iPad that is connected to this Mac, which coremltools times.

    `udid` says which, where there are several. coremltools runs an app of its own there, which Xcode signs: for the
    development `team`, or by the provisioning `profile` (its UUID), whose bundle identifier is `bundle_id`.
    """

    udid: str = ""
    team: str = ""
    profile: str = ""
    bundle_id: str = ""


Way = Ssh | Adb | Ios
_RECORDS: Mapping[str, type[Ssh] | type[Adb] | type[Ios]] = {SSH: Ssh, ADB: Adb, IOS: Ios}
WAY_KEYS = tuple(dict.fromkeys(field.name for record in _RECORDS.values() for field in fields(record)))
"""The keys of `device.yaml` that belong to some way."""


def read_reach(value: object, where: str) -> str:
    """One of `WAYS`, or nothing for "none". Raises `InputError`, which begins with `where`, for another."""
    if value in ("", "none", None):
        return ""
    if value not in WAYS:
        raise InputError(f"{where}: reach must be one of {', '.join(WAYS)}, or none, but got {value!r}.")
    return str(value)


def read_way(reach: str, record: Mapping[str, Any], where: str) -> Way | None:
    """What the keys in `record` say of the way `reach`; None for one that has no keys.

    Raises `InputError`, which begins with `where`, for keys of another way, one that lacks, and values that a way
    cannot have.
    """
    kind = _RECORDS.get(reach)
    if kind is None:
        if record:
            raise InputError(
                f"{where}: the key {next(iter(record))!r} must come with a reach that has it"
                f" ({', '.join(_RECORDS)}), but reach is {reach or 'none'!r}; take it out, or change reach."
            )
        return None
    required = [own.name for own in fields(kind) if own.default is MISSING]
    check_keys(dict(record), [own.name for own in fields(kind)], f"{where}, reach {reach}", required=required)
    values = {key: _value(key, value, f"{where}: {key}") for key, value in record.items()}
    return kind(**values)


def way_json(way: Way | None) -> dict[str, Any]:
    """The keys of a way as `device.yaml` has them, without those that say nothing."""
    found = asdict(way) if way is not None else {}
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in found.items()
        if value not in ("", 0, ())
    }


def _value(key: str, value: object, where: str) -> Any:
    if key == "port":
        if type(value) is not int or not 0 < value < 65536:
            raise InputError(f"{where} must be a whole number from 1 to 65535, but got {value!r}.")
        return value
    if key == "cool_celsius":
        if type(value) not in (int, float) or not 0 < float(str(value)) <= 100:
            raise InputError(f"{where} must be a temperature from 0 to 100 °C, but got {value!r}.")
        return float(str(value))
    if key == "options":
        if not isinstance(value, list):
            raise InputError(f'{where} must be a list of texts, such as ["--use_gpu=true"], but got {value!r}.')
        return tuple(_line(one, where) for one in value)
    text = _line(value, where)
    if key in ("udid", "team", "profile", "bundle_id") and not _PLAIN.fullmatch(text):
        raise InputError(f"{where} must be letters, digits and . _ -, but got {text!r}; see Xcode's window of devices.")
    plain = {"host": _PLACE, "jump": _PLACE, "serial": _SERIAL}.get(key)
    if plain is not None and not plain.fullmatch(text):
        example = (
            "an adb serial (`adb devices`)" if key == "serial" else "a name of your ssh configuration or USER@HOST"
        )
        raise InputError(
            f"{where} must be {example}: letters, digits and . _ : @ % + - [ ], no - in front, but got {text!r}."
        )
    return text


def _line(value: object, where: str) -> str:
    """A text of one line that is not empty; a bare number will do."""
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if not text or not text.isprintable():
        raise InputError(f"{where} must be a text of one line, but got {value!r}.")
    return text
