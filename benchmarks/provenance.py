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
# Files whose edits change a result; the results themselves and the documentation do not.
MEASURED = ("addrl_keras", "tfx_pipeline", "serving", "schema", "scripts", "requirements.lock")


def make_provenance(**what: Any) -> dict[str, Any]:
    """Returns commit (with `-dirty` if what was measured had been edited), machine and `what`."""
    edited = _run_git("status", "--porcelain", "--", *MEASURED)
    commit = _run_git("rev-parse", "--short=12", "HEAD") + ("-dirty" if edited else "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "commit": commit,
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.machine()}",
        "python": platform.python_version(),
        **what,
    }


def _run_git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


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
            f"There is no result of this name. Received: {name!r}. `make help` lists what measures."
        )
    return json.loads(path.read_text(encoding="utf-8"))
