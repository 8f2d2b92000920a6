"""Times what a newcomer waits for: set-up, the first run, and a second run out of the cache.

    python3 -m benchmarks.first_run            # clones the checkout; writes results/first_run.json

Needs nothing but the standard library, because it starts where there is no environment yet.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.provenance import ROOT, make_provenance, write_result

STEPS = {
    "setup": ["make", "bootstrap"],
    "first_run": ["make", "run"],
    "second_run": ["make", "run"],
}


def main() -> None:
    """Runs the commands in a fresh clone and writes how many seconds each took."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "clone")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        for name, command in STEPS.items():
            print(f"== {name}: {' '.join(command)}", flush=True)
            started = time.monotonic()
            done = subprocess.run(command, cwd=clone, stdin=subprocess.DEVNULL, check=False)
            seconds[name] = round(time.monotonic() - started, 1)
            if done.returncode:
                sys.exit(f"{' '.join(command)} ended with exit code {done.returncode}")
    print(write_result("first_run", {"provenance": make_provenance(), "seconds": seconds}))


if __name__ == "__main__":
    main()
