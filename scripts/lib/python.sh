# Find a Python that the lock supports, and check the machine. Sourced by bootstrap, which sets
# MIN_PYTHON and MAX_PYTHON (minor versions of Python 3) and VENV.

check_machine() {
    local system machine
    system=$(uname -s) machine=$(uname -m)
    [[ $system == Linux && $machine == x86_64 ]] || fail "cannot use this machine" \
        "it is $system on $machine, and TFX's wheels exist for Linux on x86_64 alone" \
        "Use such a machine, or a linux/amd64 container"
    command -v flock >/dev/null ||
        fail "cannot use this system" "the flock command is missing" "Install util-linux"
}

# Prints the executable (past any shim or link), version and library folder, or a reason on standard error with a non-zero status.
PROBE='
import importlib, os, sys, sysconfig
def no(why):
    sys.exit(why)
low, high = int(sys.argv[1]), int(sys.argv[2])
if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
    no("it is not the standard CPython")
if sys.version_info[0] != 3 or not low <= sys.version_info[1] <= high:
    no("it is Python %d.%d" % sys.version_info[:2])
if sys.maxsize < 2**32:
    no("it is a 32-bit Python")
for name in ("ssl", "sqlite3", "zlib", "bz2", "lzma", "ctypes", "venv", "ensurepip"):
    try:
        importlib.import_module(name)
    except ImportError:
        no("its module %s is missing" % name)
version = "%d.%d.%d" % sys.version_info[:3]
print(os.path.realpath(sys.executable), version, sysconfig.get_config_var("LIBDIR"))
'

probe_python() { # probe_python COMMAND: sets PYTHON_FOUND, PYTHON_VERSION, PYTHON_LIB, or REASON
    local path answer
    path=$(command -v "$1" 2>/dev/null) || { REASON="it is not there"; return 1; }
    if ! answer=$("$path" -I -c "$PROBE" "$MIN_PYTHON" "$MAX_PYTHON" 2>&1); then
        REASON=$(head -n 1 <<< "$answer")  # A shim explains in several lines, the first is enough.
        [[ $REASON == Traceback* ]] && REASON=$(tail -n 1 <<< "$answer")
        return 1
    fi
    read -r PYTHON_FOUND PYTHON_VERSION PYTHON_LIB <<< "$answer"
    [[ -x $PYTHON_FOUND && -n $PYTHON_LIB ]] || { REASON="it is no Python"; return 1; }
}

find_python() {
    local remedy="Install Python 3.11 with its venv module (on Debian: apt-get install python3-venv)"
    remedy+=", or name one by PYTHON=/path/to/python"
    local range="3.$MIN_PYTHON to 3.$MAX_PYTHON" name notes=""
    if [[ -n ${PYTHON:-} ]]; then
        probe_python "$PYTHON" && return
        fail "cannot use PYTHON=$PYTHON" "$REASON (needed: CPython $range)" "$remedy"
    fi
    for name in python3.{11,13,12} python3 /usr/bin/python3.11 /usr/bin/python3; do
        probe_python "$name" && return
        [[ $REASON == "it is not there" ]] || notes+="; $name: $REASON"
    done
    fail "no usable Python" "CPython $range is needed${notes:-, and none is on PATH}" "$remedy"
}

base_python() { # The interpreter that .venv was made from, or nothing.
    sed -n 's/^executable = //p' "$VENV/pyvenv.cfg" 2>/dev/null
}

same_python() { # same_python COMMAND: is .venv made from that very interpreter?
    local home version
    home=$(sed -n 's/^home = //p' "$VENV/pyvenv.cfg" 2>/dev/null)
    version=$(sed -n 's/^version = //p' "$VENV/pyvenv.cfg" 2>/dev/null)
    [[ -n $home && -n $version ]] || return 1
    "$1" -I -c 'import os, sys
home, version = sys.argv[1:]
here = os.path.dirname(os.path.realpath(sys.executable))
sys.exit(os.path.realpath(home) != here or "%d.%d.%d" % sys.version_info[:3] != version)' \
        "$home" "$version" 2>/dev/null
}

check_disk() { # Room for the packages, and for uv's cache where that is on another disk.
    local needed=$NEEDED_GIB cache
    [[ -e $SKELETON && ! -e $UNFINISHED ]] && needed=1  # Only the difference is installed.
    require_space "$ROOT" "$needed"
    cache=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/uv}
    while [[ ! -e $cache && $cache == */* && $cache != / ]]; do cache=$(dirname "$cache"); done
    if [[ ! -w $cache ]]; then
        export UV_CACHE_DIR=$VENV/.cache  # No home to write in: keep the cache in .venv.
    elif [[ $(stat -c %d "$cache") != "$(stat -c %d "$ROOT")" ]]; then
        require_space "$cache" "$needed"
    fi
}

require_space() { # require_space FOLDER GIB
    local have
    have=$(free_gib "$1")
    [[ -z $have ]] || ((have >= $2)) || fail "cannot build .venv" \
        "$1 has $have GiB free and $2 GiB are needed" "Free some space and run it again"
}

use_pip_settings() { # uv does not read pip's settings: hand on an index that the user chose there.
    [[ -z ${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-} ]] || return 0
    local index=${PIP_INDEX_URL:-} python
    for python in "$VENV/bin/python" "$PYTHON_FOUND"; do
        [[ -n $index ]] || index=$("$python" -m pip config get global.index-url 2>/dev/null) || index=""
    done
    [[ -z $index ]] || export UV_DEFAULT_INDEX=$index
}
