"""docs/your-data.md, word for word: what a stranger types, in a folder of their own."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import pytest

from tfx_pipeline.projects import load_project

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = REPOSITORY / "docs" / "your-data.md"
SERVE = "addrl serve shop"

# The whole tutorial runs before the first test: two minutes on idle cores, more on busy ones.
pytestmark = pytest.mark.timeout(1200)


def load_blocks(language):
    """Load the fenced blocks of a language, in their order."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"))


class Terminal:
    """A shell in one folder, with the project's commands in its path."""

    def __init__(self, folder):
        self.folder = folder
        binaries = os.path.dirname(sys.executable)
        self.environment = {
            **os.environ,
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "ADDRL_RUNS": "runs",
            "NO_COLOR": "1",
        }
        # The tutorial uses the usual ports; where others have them, the commands name another.
        self.port = 8500 if _is_free(8500) and _is_free(8501) else _find_free_port()

    def adapt(self, script):
        if self.port == 8500:
            return script
        script = script.replace(SERVE, f"{SERVE} --port {self.port} --rest-port 0")
        return re.sub(
            r"(?m)^(addrl (?:recommend|explain|status) .*)$",
            rf"\1 --address localhost:{self.port}",
            script,
        )

    def run(self, script):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.adapt(script)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def start(self, script):
        return subprocess.Popen(
            ["bash", "-c", f"exec {self.adapt(script).strip()}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) != 0


def _find_free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    """Run all blocks; returns the folder and the output of each by its first line."""
    terminal = Terminal(tmp_path_factory.mktemp("tutorial"))
    outputs, server = {}, None
    try:
        for block in load_blocks("sh"):
            if block.strip() == SERVE:
                server = terminal.start(block)
                _wait_for_server(terminal, server)
            else:
                outputs[block.splitlines()[0]] = terminal.run(block)
    finally:
        if server is not None:
            server.terminate()
            server.wait(timeout=30)
    return terminal, outputs


def _wait_for_server(terminal, server):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert server.poll() is None, f"the server ended with {server.returncode}"
        status = json.loads(terminal.run("addrl status shop --json"))
        if "AVAILABLE" in (status["server"] or {}).values():
            return
        time.sleep(1)
    pytest.fail("the server was not ready within 120 s")


def test_init_says_what_the_tutorial_says_that_it_says(tutorial):
    _, outputs = tutorial
    init = next(text for line, text in outputs.items() if line.startswith("addrl init"))
    for line in load_blocks("text")[0].splitlines():
        assert line in init


def test_the_file_has_the_lines_that_the_tutorial_shows(tutorial):
    terminal, _ = tutorial
    text = (terminal.folder / "shop" / "addrl.toml").read_text()
    before = text.replace("\ntag = ", "\n# tag = ")
    assert before != text, "the tutorial's edit changes a line"
    assert load_blocks("toml")[0] in before


def test_one_line_made_an_attribute(tutorial, monkeypatch):
    terminal, _ = tutorial
    monkeypatch.chdir(terminal.folder)
    attributes = ["popularity", "price", "maker", "kind", "tag"]
    assert list(load_project("shop").model.attribute_names) == attributes
    result = json.loads((terminal.folder / "runs" / "shop" / "result.json").read_text())
    assert "organic" in result["slices"]["tag"]


def test_the_model_beats_popularity_by_far(tutorial):
    terminal, _ = tutorial
    result = json.loads((terminal.folder / "runs" / "shop" / "result.json").read_text())
    baselines = json.loads((terminal.folder / "runs" / "shop" / "baselines.json").read_text())
    recall = result["metrics"]["recall_at_20"]
    popular = baselines["baselines"]["most_popular"]["recall_at_20"]
    assert recall > popular + 0.1
    assert result["pushed"]


def test_new_products_are_in_a_version_of_their_own(tutorial):
    terminal, outputs = tutorial
    added = outputs["cat > new.csv <<'END'"]
    like = re.search(r"^Smoky black tea 2001 \(2001\) looks like (.*)$", added, re.MULTILINE)
    assert like and all("black tea" in each for each in like[1].split(", "))
    assert "122 items in all" in added
    assert len(list((terminal.folder / "runs" / "shop" / "serving").glob("[0-9]*"))) == 2


def test_what_was_asked_for_comes(tutorial):
    _, outputs = tutorial
    answer = outputs["addrl recommend shop c007"]
    assert "chocolate" in answer
    # The explanation adds up to the score, item by item.
    assert "Bitter chocolate 1" in answer or "1001" in answer


def test_a_price_with_a_thousands_separator_is_a_number(tutorial):
    import pyarrow.parquet as pq

    terminal, _ = tutorial
    items = pq.read_table(terminal.folder / "runs" / "shop" / "data" / "items").to_pylist()
    prices = {row["item_id"]: row["price"] for row in items}
    assert max(price[0] for price in prices.values() if price) == pytest.approx(1174.05)
    assert next(price for item, price in prices.items() if int(item) % 30 == 10) == []
