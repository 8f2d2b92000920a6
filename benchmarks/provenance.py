"""Where a figure comes from: commit, seed, machine, and how many of what."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]


def make_provenance(**what: Any) -> dict[str, Any]:
    """Returns commit (with `-dirty` if sources were edited), date and machine, and `what`."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "commit": commit,
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.machine()}",
        "python": platform.python_version(),
        **what,
    }


def write_result(name: str, result: dict[str, Any]) -> Path:
    """Writes `results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def load_result(name: str) -> dict[str, Any]:
    """Loads `results/NAME.json`.

    Raises:
        FileNotFoundError: It was never measured.
    """
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no result of this name. Received: {name!r}. `make bench` measures what is "
            "served, `python3 -m benchmarks.first_run` what a newcomer waits for."
        )
    return json.loads(path.read_text(encoding="utf-8"))
