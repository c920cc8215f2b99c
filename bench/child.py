"""Runs one command as a child and prints, as JSON, how it went. Used by ``due_list.py``.

A process of its own, because Linux counts the memory of the parent at the moment of the fork into
the peak of the child: this one is as small as a Python process can be.
"""

import json
import os
import subprocess
import sys
import time


def main() -> None:
    started = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None
    first = process.stdout.read(1)
    first_seconds = time.perf_counter() - started
    lines = first.count(b"\n")
    while block := process.stdout.read(1 << 16):
        lines += block.count(b"\n")
    _, status, usage = os.wait4(process.pid, 0)
    total_seconds = time.perf_counter() - started
    # Kilobytes on Linux, bytes on macOS.
    peak = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    seen = {
        "first_seconds": first_seconds if first else total_seconds,
        "total_seconds": total_seconds,
        "peak_mb": peak,
        "lines": lines,
        "code": os.waitstatus_to_exitcode(status),
    }
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main()
