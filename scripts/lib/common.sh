# Shared by the scripts of this folder: one-line errors, timed steps, a log for the details.
# Sourced; expects ROOT (the repository) and LOG (a file path) to be set.

fail() { # fail WHAT WHY REMEDY: one line, then exit 1
    [[ -n ${STEP_OPEN:-} ]] && echo " failed" >&2
    STEP_OPEN=""
    echo "${0##*/}: $1: $2. $3." >&2
    exit 1
}

step() { # step TEXT: announce what starts now
    step_done
    STEP_START=$SECONDS
    STEP_OPEN=1
    printf '[%4d s] %s ...' "$SECONDS" "$1" >&2
    printf '\n=== %s\n' "$1" >> "$LOG"
}

step_done() {
    [[ -n ${STEP_OPEN:-} ]] && echo " done ($((SECONDS - STEP_START)) s)" >&2
    STEP_OPEN=""
}

logged() { # logged COMMAND...: run with its output in the log
    echo "+ $*" >> "$LOG"
    "$@" >> "$LOG" 2>&1 < /dev/null
}

network_failure() { # network_failure: does the end of the log speak of the network?
    tail -n 40 "$LOG" | grep -qiE \
        'dns error|resolve host|could not resolve|name resolution|name or service not known|temporary failure|connection (refused|reset|timed out)|network is unreachable|timed out|error sending request|failed to fetch|could not connect|unable to connect|no address associated|newconnectionerror|max retries|no matching distribution found for uv'
}

disk_failure() {
    tail -n 40 "$LOG" | grep -qiE 'no space left|disk quota exceeded|errno 28|os error 28|error 122'
}

fail_download() { # fail_download WHAT SOURCE: choose the line that fits what the log says
    if disk_failure; then
        fail "$1" "the disk is full" "Free some space and run it again (details: $LOG)"
    elif network_failure; then
        fail "$1" "$2 cannot be reached" \
            "Check the network or proxy settings and run it again (details: $LOG)"
    fi
    fail "$1" "a command failed" "Read the end of $LOG, then run it again"
}

free_gib() { # free_gib FOLDER: whole GiB that may still be written there
    df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print int($4 / 1048576) }'
}

file_hash() { # file_hash FILE...: one hash over contents
    cat -- "$@" | sha256sum | cut -c1-40
}
