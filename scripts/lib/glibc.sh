# Give one virtual environment a newer C and C++ runtime than the host's. Sourced by bootstrap.
#
# The ml-metadata and TensorFlow Data Validation wheels are built for glibc 2.39 (their tag is
# manylinux_2_39) and GCC 13's libstdc++. Debian 12 has glibc 2.36. So the runtime of Debian 13 is
# unpacked inside the environment, and the environment's own copy of the interpreter is told to
# use it. Nothing outside the environment changes: the host's apt is only asked for its mirror.

NEEDED_GLIBC=2.39
NEEDED_GLIBCXX=GLIBCXX_3.4.32
RUNTIME_SUITE=trixie
RUNTIME_PACKAGES=(libc6 libstdc++6 libgcc-s1)
RUNTIME_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
LATER="Use Debian 13, Ubuntu 24.04 or the Dockerfile of this repository"

host_glibc() {
    local text
    text=$(getconf GNU_LIBC_VERSION 2>/dev/null) || text=""
    echo "${text#glibc }"
}

version_at_least() { # version_at_least HAVE WANTED
    [[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]
}

needs_runtime() { # status 0: the host's runtime is too old, 1: it will do
    local have
    have=$(host_glibc)
    [[ -n $have ]] || fail "cannot use this system" "its C library is not glibc" "$LATER"
    version_at_least "$have" "$NEEDED_GLIBC" || return 0
    local library
    library=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null |
        awk '/libstdc\+\+\.so\.6 .*x86-64/ && !found { found = $NF } END { print found }')
    [[ -n $library ]] || return 1  # An unusual loader: the proof at the end will tell.
    grep -aqw "$NEEDED_GLIBCXX" "$library" && return 1
    fail "cannot use this system" "its libstdc++ ($library) lacks $NEEDED_GLIBCXX" \
        "Update the libstdc++6 package to GCC 13 or later"
}

check_runtime_source() { # Before anything is built: can the runtime be had at all?
    local id
    id=$(. /etc/os-release 2>/dev/null && echo "${ID:-unknown}") || id=unknown
    local why="glibc $(host_glibc) is older than $NEEDED_GLIBC"
    [[ $id == debian ]] || fail "cannot use this system" "$why and it is not Debian ($id)" "$LATER"
    local tool
    for tool in apt-get dpkg-deb; do
        command -v "$tool" >/dev/null ||
            fail "cannot fetch a newer glibc" "$why and $tool is missing" "$LATER"
    done
    [[ -r $RUNTIME_KEYRING ]] || fail "cannot fetch a newer glibc" "$RUNTIME_KEYRING is missing" \
        "Install debian-archive-keyring, or use Debian 13"
}

debian_mirror() { # The address from which the host's own release comes.
    local codename
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v suite="$codename" '$1 == suite && $2 == "main" && !found { found = $3 }
            END { print found }'
}

fetch_runtime() { # fetch_runtime FOLDER: download, check the signature, unpack
    local target=$1 work=$1.work mirror
    rm -rf "$target" "$work"
    mkdir -p "$work"/{state/lists/partial,cache/archives/partial,etc,debs,root}
    mirror=$(debian_mirror 2>> "$LOG") || mirror=""
    [[ -n $mirror ]] || fail "cannot fetch a newer glibc" \
        "apt names no mirror for this Debian release" "Add a Debian source to apt, or use Debian 13"
    echo "deb [arch=amd64 signed-by=$RUNTIME_KEYRING] $mirror $RUNTIME_SUITE main" > "$work/etc/list"
    : > "$work/state/status"
    # A state of its own: the host's lists, cache and sources are neither read nor written.
    local apt=(apt-get -o Dir::State="$work/state" -o Dir::State::status="$work/state/status"
        -o Dir::Cache="$work/cache" -o Dir::Etc::sourcelist="$work/etc/list"
        -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root -o Debug::NoLocking=1
        -o APT::Get::List-Cleanup=0 -o APT::Architecture=amd64 -o Acquire::Languages=none
        -o Acquire::Retries=2 -o APT::Update::Error-Mode=any)
    if ! logged "${apt[@]}" update; then
        tail -n 40 "$LOG" | grep -q NO_PUBKEY && fail "cannot fetch a newer glibc" \
            "the host's Debian keys are too old to verify $RUNTIME_SUITE" \
            "Update the debian-archive-keyring package and run it again"
        fail_download "cannot fetch a newer glibc" "the Debian mirror"
    fi
    (cd "$work/debs" && logged "${apt[@]}" download "${RUNTIME_PACKAGES[@]}") ||
        fail_download "cannot fetch a newer glibc" "the Debian mirror"
    local deb
    for deb in "$work"/debs/*.deb; do
        logged dpkg-deb --extract "$deb" "$work/root" ||
            fail_download "cannot unpack a newer glibc" "the Debian mirror"
    done
    # libc6 is at /lib or /usr/lib, by release: gather both in one flat folder.
    mkdir -p "$work/lib"
    local folder
    for folder in "$work"/root/lib/x86_64-linux-gnu "$work"/root/usr/lib/x86_64-linux-gnu; do
        [[ -d $folder ]] && find "$folder" -maxdepth 1 -name '*.so*' -exec cp -a -t "$work/lib" {} +
    done
    [[ -e $work/lib/ld-linux-x86-64.so.2 && -e $work/lib/libstdc++.so.6 ]] ||
        fail "cannot unpack a newer glibc" "the packages lack the loader or libstdc++" "Read $LOG"
    mv "$work/lib" "$target"
    rm -rf "$work"
}

patch_interpreter() { # patch_interpreter VENV RUNTIME BASE_LIB PATCHELF
    local bin=$1/bin runtime=$2 base_lib=$3 patchelf=$4 name library
    name=$(basename "$(ls "$bin"/python3.[0-9]* | head -n 1)")
    local options=(--set-interpreter "$runtime/ld-linux-x86-64.so.2"
        --force-rpath --set-rpath "$runtime:$base_lib")
    # Named here, they are loaded from the new folder before any module can pull in the host's.
    for library in libstdc++.so.6 libgcc_s.so.1 libm.so.6 libresolv.so.2; do
        options+=(--add-needed "$library")
    done
    cp "$bin/$name" "$bin/$name.new"
    logged "$patchelf" "${options[@]}" "$bin/$name.new" ||
        fail "cannot patch the interpreter" "patchelf failed" "Read the end of $LOG"
    mv "$bin/$name.new" "$bin/$name"
    ln -sf "$name" "$bin/python3"  # venv --copies made three copies: one is enough.
    ln -sf "$name" "$bin/python"
}
