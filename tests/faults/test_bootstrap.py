"""`scripts/bootstrap` on machines where something is wrong, or goes wrong half-way.

All but the last test run in a temporary folder with fake tools: they neither download anything
nor touch the project's own environment.
"""

import shutil
import subprocess
import time

import pytest

from tests.faults.fake_tools import FakeMachine, get_message, is_debian, make_real_clone

WHOLE = ["venv", "tools", "start", "sync", "install", "import"]


@pytest.fixture
def machine(tmp_path):
    return FakeMachine(tmp_path)


def test_builds_everything_in_order_and_stamps_last(machine):
    status, output = machine.bootstrap()
    assert status == 0, output
    assert machine.steps() == WHOLE
    assert machine.stamp.exists() and not (machine.venv / ".unfinished").exists()
    assert ".venv is ready" in output


def test_locks_are_installed_with_hashes_and_compiled(machine):
    machine.bootstrap()
    calls = {line.split()[0]: line for line in machine.calls()}
    assert "--require-hashes" in calls["tools"] and "scripts/tools.lock" in calls["tools"]
    assert "--require-hashes" in calls["sync"] and "--compile-bytecode" in calls["sync"]
    assert calls["sync"].endswith("requirements.lock") and "--refresh" not in calls["sync"]
    assert "--no-build-isolation" in calls["install"] and "--no-deps" in calls["install"]


def test_complete_environment_is_recognised_at_once(machine, assert_below):
    machine.bootstrap()
    machine.calls()
    answers = []
    assert_below(2.0, lambda: answers.append(machine.bootstrap()))
    assert set(answers) == {(0, "")} and machine.calls() == []


def test_a_locked_package_that_was_replaced_is_brought_back(machine):
    machine.bootstrap()
    machine.calls()
    # As after `pip install -e .`, which knows nothing of the lock.
    (machine.venv / ".installed").write_text("tensorflow_hub-0.16.1.dist-info\n")
    status, output = machine.bootstrap()
    assert status == 0, output
    assert "sync" in [line.split()[0] for line in machine.calls()]


@pytest.mark.parametrize("step", WHOLE)
def test_killed_anywhere_it_repairs_itself(machine, step):
    status, _ = machine.bootstrap(KILL_AT=step)
    assert status == -9
    assert not machine.stamp.exists()
    machine.calls()
    machine.add_package()

    status, output = machine.bootstrap()
    assert status == 0, output
    calls = machine.calls()
    assert machine.stamp.exists()
    steps = [line.split()[0] for line in calls]
    assert steps[-3:] == ["sync", "install", "import"]
    # A half-installed package looks whole to uv, so it must have been cleared away.
    assert not machine.package.exists()
    # What stood is kept: the interpreter is made anew only when it was not finished.
    assert ("venv" in steps) == (step in ("venv", "tools", "start"))


def test_failed_proof_leaves_no_stamp(machine):
    status, output = machine.bootstrap(FAIL_AT="import")
    assert status != 0 and not machine.stamp.exists()
    assert "an import failed" in get_message(output) and "--repair" in get_message(output)


def test_changed_lock_is_installed_in_place(machine):
    machine.bootstrap()
    machine.calls()
    machine.add_package()
    with (machine.root / "requirements.lock").open("a") as file:
        file.write("# changed\n")
    status, output = machine.bootstrap()
    assert status == 0, output
    assert machine.steps() == ["start", "sync", "install", "import"]
    assert machine.package.exists()


def test_moved_folder_is_built_anew(machine):
    machine.bootstrap()
    machine.calls()
    moved = machine.root.with_name("moved")
    shutil.move(machine.root, moved)
    machine.root = moved
    assert machine.bootstrap()[0] == 0
    assert machine.steps() == WHOLE


def test_an_activated_environment_is_not_what_it_is_made_from(machine):
    machine.bootstrap()
    for file in (machine.stamp, machine.venv / ".skeleton"):
        file.unlink()
    own = machine.venv / "bin" / "python3.11"
    own.unlink(missing_ok=True)
    own.write_text("#!/bin/sh\nexit 1\n")
    own.chmod(0o755)
    status, output = machine.bootstrap(PATH=f"{machine.venv}/bin:{machine.path}")
    assert status == 0, output


def test_vanished_base_python_is_noticed(machine):
    machine.bootstrap()
    machine.calls()
    shutil.move(machine.path / "python3.11", machine.path / "python3.12")
    status, output = machine.bootstrap()
    assert status == 0, output
    assert "venv" in machine.steps()


def test_repair_installs_everything_again(machine):
    machine.bootstrap()
    machine.calls()
    machine.add_package()
    assert machine.bootstrap("--repair")[0] == 0
    assert not machine.package.exists()
    assert any(line.startswith("sync") and "--refresh" in line for line in machine.calls())


def test_two_at_once_build_only_once(machine):
    first = machine.start(SYNC_SECONDS="1")
    time.sleep(0.3)
    second = machine.start(SYNC_SECONDS="1")
    _, error = second.communicate(timeout=30)
    first.communicate(timeout=30)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "waiting" in error
    assert machine.steps().count("sync") == 1


def test_wrong_processor_says_so_at_once(machine):
    machine.fake("uname", "#!/bin/bash\n[[ $1 == -m ]] && echo aarch64 || echo Linux")
    status, output = machine.bootstrap()
    assert status != 0 and len(output.splitlines()) == 1
    assert "aarch64" in get_message(output) and "x86_64" in get_message(output)
    assert machine.calls() == [] and not machine.venv.exists()


@pytest.mark.parametrize(
    ("python", "reason"),
    [("/no/such/python", "it is not there"), ("cat", "cat:"), ("true", "it is no Python")],
)
def test_wrong_python_by_name(machine, python, reason):
    machine.fake("true", "#!/bin/bash\n")
    status, output = machine.bootstrap(PYTHON=python)
    assert status != 0 and len(output.splitlines()) == 1
    message = get_message(output)
    assert f"PYTHON={python}" in message and reason in message
    assert "3.11 to 3.13" in message and "PYTHON=/path/to/python" in message


def test_old_python_on_path(machine, monkeypatch):
    old = "sys.version_info = (3, 9, 18, 'final', 0);"
    status, output = machine.bootstrap(FAKE_VERSION=old, PYTHON="python3.11")
    assert status != 0 and "it is Python 3.9" in get_message(output)


def test_full_disk_is_found_before_the_work(machine):
    machine.fake("df", "#!/bin/bash\necho head\necho disk 9000000 8000000 1500000 90% /")
    status, output = machine.bootstrap()
    assert status != 0 and len(output.splitlines()) == 1
    assert "1 GiB free and 6 GiB are needed" in get_message(output)
    assert machine.calls() == []


@pytest.mark.parametrize(
    ("step", "text", "expected"),
    [
        ("tools", "Temporary failure in name resolution", "index cannot be reached"),
        ("sync", "error sending request for url: dns error", "index cannot be reached"),
        ("sync", "failed to write: No space left on device (os error 28)", "the disk is full"),
        ("sync", "something else", "a command failed"),
    ],
)
def test_failures_while_installing_give_one_line(machine, step, text, expected):
    status, output = machine.bootstrap(FAIL_AT=step, FAIL_TEXT=text)
    assert status != 0 and not machine.stamp.exists()
    message = get_message(output)
    assert expected in message and "bootstrap.log" in message and text not in output
    assert machine.bootstrap()[0] == 0


def test_unknown_argument(machine):
    status, output = machine.bootstrap("--force")
    assert status != 0 and "'--force'" in get_message(output)


def test_old_libstdcxx_beside_a_new_glibc(tmp_path):
    machine = FakeMachine(tmp_path)
    (tmp_path / "libstdc++.so.6").write_text("GLIBCXX_3.4.30\n")
    status, output = machine.bootstrap()
    assert status != 0 and "lacks GLIBCXX_3.4.32" in get_message(output)


def test_foreign_c_library(machine):
    machine.fake("getconf", "#!/bin/bash\nexit 1")
    status, output = machine.bootstrap()
    assert status != 0 and "not glibc" in get_message(output)


@pytest.mark.skipif(is_debian(), reason="needs a system other than Debian")
def test_old_glibc_outside_debian(tmp_path):
    status, output = FakeMachine(tmp_path, glibc="2.35").bootstrap()
    assert status != 0 and "not Debian" in get_message(output)


@pytest.mark.skipif(not is_debian(), reason="needs Debian")
class TestOldGlibcOnDebian:
    def test_missing_apt(self, tmp_path):
        machine = FakeMachine(tmp_path, glibc="2.36", without=("apt-get",))
        status, output = machine.bootstrap()
        assert status != 0 and len(output.splitlines()) == 1
        assert "apt-get is missing" in get_message(output) and "Debian 13" in get_message(output)

    @pytest.mark.parametrize(
        ("step", "text", "expected"),
        [
            ("apt-update", "Could not resolve 'mirror'", "mirror cannot be reached"),
            ("apt-update", "the public key is not available: NO_PUBKEY 1", "keys are too old"),
            ("apt-download", "Unable to connect to mirror", "mirror cannot be reached"),
        ],
    )
    def test_failures_of_the_mirror(self, tmp_path, step, text, expected):
        machine = FakeMachine(tmp_path, glibc="2.36")
        status, output = machine.bootstrap(FAIL_AT=step, FAIL_TEXT=text)
        assert status != 0 and expected in get_message(output)
        assert not (machine.venv / ".skeleton").exists()

    def test_no_mirror(self, tmp_path):
        status, output = FakeMachine(tmp_path, glibc="2.36").bootstrap(MIRROR="")
        assert status != 0 and "names no mirror" in get_message(output)

    def test_signatures_are_checked_and_the_host_is_untouched(self, tmp_path):
        machine = FakeMachine(tmp_path, glibc="2.36")
        machine.bootstrap(FAIL_AT="apt-download")
        calls = {line.split()[0]: line for line in machine.calls()}
        for step in ("apt-update", "apt-download"):
            assert "Dir::Etc::sourceparts=-" in calls[step]
            assert f"Dir::State={machine.venv}" in calls[step]
            assert "llow" not in calls[step]  # No AllowUnauthenticated, no --allow-insecure.
        source = next(machine.venv.rglob("etc/list")).read_text()
        assert "signed-by=" in source and "trusted" not in source


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_real_environment_from_nothing(tmp_path, assert_below):
    root = make_real_clone(tmp_path / "project")
    script = str(root / "scripts" / "bootstrap")
    result = subprocess.run([script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    again = []
    assert_below(2.0, lambda: again.append(subprocess.run([script], capture_output=True)))
    assert {(done.returncode, done.stderr) for done in again} == {(0, b"")}
    compiled = list((root / ".venv" / "lib").rglob("keras/__pycache__/*.pyc"))
    assert compiled, "the packages were not byte-compiled"
