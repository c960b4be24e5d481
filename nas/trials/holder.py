"""Who holds a lease: told apart across machines, and known to be gone where it is seen to be."""

from __future__ import annotations

import os
import platform
import secrets
from dataclasses import dataclass
from pathlib import Path

from nas.files import is_alive

_SEPARATOR = " "


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that holds leases: its `machine`, its number there, when that began, and a `nonce`, since one process
    may run several searches."""

    machine: str
    process: int
    began: str
    nonce: str

    @classmethod
    def own(cls) -> Holder:
        """A new holder for this process."""
        process = os.getpid()
        return cls(machine=_machine(), process=process, began=began(process), nonce=secrets.token_hex(4))

    @classmethod
    def parse(cls, text: str) -> Holder:
        """The holder that `str` made a text of."""
        machine, process, began, nonce = text.split(_SEPARATOR)
        return cls(machine=machine, process=int(process), began=began, nonce=nonce)

    def __str__(self) -> str:
        return _SEPARATOR.join((self.machine, str(self.process), self.began, self.nonce))

    def is_gone(self) -> bool:
        """Whether the process is seen to have ended: it was of this machine, and is no more. Of another machine nobody
        can tell; its lease runs out."""
        if self.machine != _machine():
            return False
        return not is_alive(self.process) or began(self.process) != self.began


def _machine() -> str:
    """This machine since it was started, and its room of process numbers: containers of one host have one each."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        numbers = os.readlink("/proc/self/ns/pid").strip("pid:[]")
        started = boot.read_text("ascii").strip()
    except OSError:  # no Linux
        numbers = started = "-"
    return f"{platform.node() or 'unknown'}/{started}/{numbers}".replace(_SEPARATOR, "_")


def began(process: int) -> str:
    """When a process began, in the system's ticks; "-" where the system does not say, "gone" for one that ended and
    that nobody has looked at since."""
    try:
        text = Path(f"/proc/{process}/stat").read_text("ascii", errors="replace")
    except OSError:
        return "-"
    state, *rest = text.rpartition(")")[2].split()  # proc(5): the name before it may hold anything
    return "gone" if state in ("Z", "X") else rest[18]
