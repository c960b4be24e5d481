"""The process that does jobs for `nas.trials.executors.processes`: requests on stdin, results on stdout, a line each.

It ends with whoever started it: at the end of stdin, even in the middle of a job.
"""

from __future__ import annotations

import os
import queue
import sys
import threading

from nas.trials.executors.work import perform


def main() -> None:
    """Do requests until there are no more. What an evaluator prints goes to stderr."""
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    source = os.fdopen(os.dup(0), "r", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    sys.stdout.flush()
    out = os.dup(1)
    os.dup2(2, 1)

    def read() -> None:
        for line in source:
            requests.put(line)
        os._exit(0)

    threading.Thread(target=read, name="requests", daemon=True).start()
    with os.fdopen(out, "w", encoding="utf-8") as answers:
        while True:
            answers.write(perform(requests.get()) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
