"""Which package may import which: the table of docs/architecture.md, kept by import-linter."""

import pathlib
import subprocess
import sys
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Importing what stands left must load nothing of what stands right: it answers at a prompt, or
# runs where TensorFlow is not installed.
HEAVY = ("tensorflow", "keras", "tf_keras", "tfx", "apache_beam", "pandas", "scipy")
LIGHT = {
    "tfx_pipeline.cli": (*HEAVY, "numpy", "grpc", "rich", "pyarrow"),
    "tfx_pipeline.configs": (*HEAVY, "numpy"),
    "tfx_pipeline.results": HEAVY,
    "tfx_pipeline.local_runner": HEAVY,
    "tfx_pipeline.workspace": (*HEAVY, "numpy", "pyarrow"),
    "tfx_pipeline.datasets.loading": (*HEAVY, "numpy", "pyarrow"),
    "addrl_keras.config": (*HEAVY, "numpy"),
    "addrl_keras.baselines": tuple(name for name in HEAVY if name != "scipy"),
    "serving.client": (*HEAVY, "numpy", "addrl_keras", "tensorflow_serving", "tfx_pipeline"),
    "serving.contract": (*HEAVY, "numpy", "addrl_keras", "tensorflow_serving", "tfx_pipeline"),
    "serving.server": (*HEAVY, "addrl_keras", "tfx_pipeline"),
}

# (who, whom it must not import), from the table.
DIRECTIONS = [
    ("addrl_keras", "tfx"),
    ("addrl_keras", "tensorflow_transform"),
    ("addrl_keras", "apache_beam"),
    ("addrl_keras", "serving"),
    ("addrl_keras", "tfx_pipeline"),
    ("serving", "addrl_keras"),
    ("serving", "tfx"),
    ("serving", "tfx_pipeline"),
    ("serving.client", "tensorflow"),
    ("serving.contract", "tensorflow"),
    ("tfx_pipeline", "serving.server"),
    ("tfx_pipeline", "serving.local"),
]


def _python(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_load_nothing_heavy(module):
    unwanted = set(LIGHT[module])
    code = (
        f"import sys, {module}\n"
        f"print(*sorted({unwanted!r} & {{name.split('.')[0] for name in sys.modules}}))"
    )
    done = _python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_each_direction_has_a_contract(source, target):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert any(
        contract["type"] == "forbidden"
        and source in contract["source_modules"]
        and target in contract["forbidden_modules"]
        for contract in settings["contracts"]
    )


def test_all_contracts_are_kept():
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"
    done = _python(code)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "0 broken" in done.stdout


def test_a_wrong_import_breaks_a_contract(tmp_path):
    """Proves that the contracts see an import inside a function, in a copy of the packages."""
    for package in ("addrl_keras", "serving", "tfx_pipeline"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    for module in ("client", "contract", "server"):
        (tmp_path / "serving" / f"{module}.py").write_text("")
    (tmp_path / "serving" / "local").mkdir()
    (tmp_path / "serving" / "local" / "__init__.py").write_text("")
    (tmp_path / "tfx_pipeline" / "commands").mkdir()
    (tmp_path / "tfx_pipeline" / "commands" / "__init__.py").write_text("")
    importer = "from tfx_pipeline import commands\n"
    (tmp_path / "tfx_pipeline" / "cli.py").write_text(importer)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    command = [
        sys.executable,
        "-c",
        "import importlinter.cli as c; raise SystemExit(c.lint_imports())",
    ]

    def lint():
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert lint().returncode == 0
    (tmp_path / "tfx_pipeline" / "anything.py").write_text(importer)
    assert "tfx_pipeline.anything -> tfx_pipeline.commands" in lint().stdout
    (tmp_path / "tfx_pipeline" / "anything.py").unlink()
    wrong = "def load():\n    import tensorflow\n    return tensorflow\n"
    (tmp_path / "serving" / "client.py").write_text(wrong)
    done = lint()
    assert done.returncode == 1
    assert "serving.client -> tensorflow" in done.stdout
