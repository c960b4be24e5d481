"""How the program was installed, and so how a part that is missing is added."""

from __future__ import annotations

import json
import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit


def extra_remedy(extra: str) -> str:
    """The command that installs the extra `extra` beside what there is: of make in a checkout that make set up, else
    of pip."""
    checkout = _checkout()
    if checkout is None:
        return f"pip install 'nas[{extra}]'"
    if (checkout / "Makefile").is_file() and Path(sys.prefix).resolve() == (checkout / ".venv").resolve():
        return f"make {extra}" if checkout == Path.cwd() else shlex.join(["make", "-C", str(checkout), extra])
    return f"pip install -e {shlex.quote(f'{checkout}[{extra}]')}"


def _checkout() -> Path | None:
    """The checkout that the program runs from where it is installed in editable form (PEP 610), else None."""
    try:
        text = distribution("nas").read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    origin = json.loads(text) if text else {}
    url = urlsplit(str(origin.get("url", "")))
    if url.scheme != "file" or not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(url.path)).resolve()
