# Changing a machine: each change is told on standard error, and what undoes it goes to standard output, so that
# `tuning/SCRIPT ... > undo.sh` keeps the way back: `sh undo.sh`.

dry_run=
root=

# must_be_root: changes of the real machine need it.
must_be_root() {
    if [ -z "$dry_run$root" ] && [ "$EUID" -ne 0 ]; then
        fail "needs root; --dry-run says what it would do without"
    fi
}

# fail TEXT: ends the script.
fail() {
    echo "${0##*/}: $1" >&2
    exit 2
}

# change FILE VALUE: writes VALUE, unless that is there already.
change() {
    text "$1" || fail "/$1 cannot be read: does this kernel or driver have it?"
    local old=$REPLY
    if [ "$old" = "$2" ]; then
        echo "as it should be: /$1 = $2" >&2
    elif [ -n "$dry_run" ]; then
        echo "would write: /$1 = $2 (now $old)" >&2
    else
        { printf '%s\n' "$2" >"$root/$1"; } 2>/dev/null ||
            fail "/$1 = $2 is refused: the driver or the kernel keeps it to itself, or there is no such core"
        echo "written: /$1 = $2 (was $old)" >&2
        printf "echo '%s' > /%s\n" "$old" "$1"
    fi
}
