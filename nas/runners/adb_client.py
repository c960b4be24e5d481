"""A phone at the far end of the user's own adb client, which is started from a list of arguments.

What the phone's shell reads is quoted in `AdbClient.shell`. Older phones tell no exit status and mix a program's two
streams, so a last line of ours tells the one and they are asked to mix the other.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.errors import InputError, NasError, UnreachableError

_STATUS = re.compile(r"nas-status:(\d+)\s*\Z")
_GONE = ("no devices", "not found", "offline", "closed", "no such device", "connection reset", "protocol fault", "eof")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command on the phone printed, and its exit status."""

    status: int
    text: str


class AdbClient:
    """Commands on the phone of a `serial` (empty: the only one there is).

    Each raises `UnreachableError` where the phone is not there now, and `InputError` where it does not let us in, or
    nothing says which of several it is.
    """

    def __init__(self, serial: str) -> None:
        self.serial = serial

    def shell(self, words: Sequence[str], *, timeout_s: float = 60.0) -> Said:
        """Run a command, word by word."""
        command = f'{shlex.join(words)} 2>&1; echo "nas-status:$?"'
        text = self._call(["shell", command], timeout_s).replace("\r\n", "\n")
        found = _STATUS.search(text)
        if found is None:
            raise self._gone("it was unplugged while a command ran")
        return Said(status=int(found[1]), text=text[: found.start()])

    def lines(self, words: Sequence[str]) -> list[str]:
        """What a command printed, line by line; nothing where it failed."""
        said = self.shell(words)
        return [] if said.status else [line.strip() for line in said.text.splitlines() if line.strip()]

    def push(self, source: Path, place: str) -> None:
        """Copy a file to the phone. Raises `NasError` where it has no room, or lets nobody write there."""
        self._call(["push", str(source), place], 1800.0)

    def _call(self, words: Sequence[str], timeout_s: float) -> str:
        """What adb prints, once more where a phone on the network had to be connected first."""
        done = self._run(words, timeout_s)
        if done.returncode and ":" in self.serial and _is_gone(done.stderr):
            for word in ("disconnect", "connect"):  # one that is offline would count as connected
                self._run([word, self.serial], 30.0, anywhere=True)
            done = self._run(words, timeout_s)
        if not done.returncode or (words[0] == "shell" and _STATUS.search(done.stdout)):
            return done.stdout
        raise self._fault(f"{done.stderr}\n{done.stdout}" if words[0] == "push" else done.stderr)

    def _run(
        self, words: Sequence[str], timeout_s: float, *, anywhere: bool = False
    ) -> subprocess.CompletedProcess[str]:
        of = ["-s", self.serial] if self.serial and not anywhere else []
        try:
            return subprocess.run(
                ["adb", *of, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                timeout=timeout_s, check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise InputError(
                "adb must be installed here for reach: adb, but is not; install Android's platform tools (Debian:"
                " apt install adb)."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise self._gone(f"it answered nothing for {timeout_s:.0f} s") from error

    def _fault(self, text: str) -> NasError:
        """What adb's complaint comes to."""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        last = next((line for line in reversed(lines) if "error" in line), lines[-1] if lines else "it said nothing")
        if "more than one" in text:
            listed = self._run(["devices"], 30.0, anywhere=True).stdout.splitlines()[1:]
            names = ", ".join(line.split("\t")[0] for line in listed if line.strip())
            return InputError(
                f"serial must say which phone it is where adb sees several, but device.yaml has none; it is one of"
                f" {names} (`adb devices`)."
            )
        if "unauthorized" in text:
            return InputError(
                f"{self._name} must allow this computer, but has not; unlock it, and answer its question 'Allow USB"
                " debugging?' with yes."
            )
        if "no permissions" in text:
            return InputError(
                f"{self._name} must be open to this user, but: {last}; set the phone to file transfer, or install"
                " android-sdk-platform-tools-common (udev rules), and plug it in again."
            )
        if "No space left" in text:
            return NasError(f"the disk of {self._name} must have room, but: {last}; free some there.")
        if _is_gone(text) and "push" not in text.split(":")[0]:
            return self._gone(last)
        return NasError(f"{self._name} must do what adb asks, but: {last}; try it by hand (`adb devices`).")

    @property
    def _name(self) -> str:
        return f"the phone {self.serial}" if self.serial else "the phone"

    def _gone(self, reason: str) -> UnreachableError:
        return UnreachableError(
            f"{self._name} must be there, but: {reason}; plug it in, switch on USB debugging, and see `adb devices`."
        )


def _is_gone(text: str) -> bool:
    return any(word in text.lower() for word in _GONE)
