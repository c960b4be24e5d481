"""`python -m nas` is `nas`."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> int:
    """Run `nas`; returns its exit code. An interrupt while the program is still being read is one line too."""
    try:
        from nas.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted; what was finished is kept.\n")
        return 130


def _leave_current_folder() -> None:
    """Take off the path what `python -m` put there, unless it is where this package is: nothing lying there is run."""
    here, first = os.getcwd(), sys.path[0] if sys.path else ""
    if not sys.flags.safe_path and first in ("", here) and Path(here).resolve() != Path(__file__).resolve().parents[1]:
        del sys.path[0]


if __name__ == "__main__":
    _leave_current_folder()
    sys.exit(main())
