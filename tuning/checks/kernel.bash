# The kernel: its release, and whether io_uring may be used. The server tries all of it at its start (src/net/probe.rs); this says
# beforehand what can be read. The sentences of a start that fails are in docs/operating.md, "Kernel".

release_floor="6.1"

check_release() {
    if ! text proc/sys/kernel/osrelease || [[ ! $REPLY =~ ^([0-9]+)\.([0-9]+) ]]; then
        unknown "release" "/proc/sys/kernel/osrelease is no version: ringcached says at its start what is missing"
        return
    fi
    release=$REPLY
    release_number=$((BASH_REMATCH[1] * 1000 + BASH_REMATCH[2]))
    if [ "$release_number" -lt 6001 ]; then
        costs "release" "Linux $release" "ringcached does not start below $release_floor (io_uring with DEFER_TASKRUN)" \
            "boot a kernel from $release_floor on: Debian 12, Ubuntu 24.04, RHEL 10 or newer have one"
    else
        good "release" "Linux $release, $release_floor or newer has all that is used"
    fi
}

check_io_uring() {
    local group
    if text proc/sys/kernel/io_uring_disabled; then
        case $REPLY in
            0) good "io_uring" "on for everybody" ;;
            1)
                text proc/sys/kernel/io_uring_group && group=$REPLY
                costs "io_uring" "only for the group ${group:--1} (kernel.io_uring_disabled = 1)" \
                    "ringcached does not start for users outside of it" \
                    "sysctl kernel.io_uring_group=GID of the server's group, or kernel.io_uring_disabled=0"
                ;;
            *)
                costs "io_uring" "switched off (kernel.io_uring_disabled = $REPLY)" "ringcached does not start" \
                    "sysctl kernel.io_uring_disabled=0"
                ;;
        esac
    elif [ "${release_number:-0}" -ge 6006 ]; then
        costs "io_uring" "not in this kernel: there is no kernel.io_uring_disabled, which Linux has from 6.6 on" \
            "ringcached does not start" "boot a kernel with CONFIG_IO_URING=y"
    else
        unknown "io_uring" "a kernel before 6.6 has no switch to read: ringcached says at its start what is missing"
    fi
}

check_seccomp() {
    if ! field "proc/$process/status" Seccomp; then
        unknown "seccomp" "no Seccomp in /proc/$process/status"
    elif [ "$REPLY" != 2 ]; then
        good "seccomp" "no filter on this process"
    elif [ "$process" != self ]; then
        good "seccomp" "a filter that lets process $process run"
    else
        note "seccomp" "this shell runs under a filter, of a container or a unit; what it forbids cannot be read" \
            "where it forbids io_uring ringcached does not start, and says so" \
            "try it: ringcached -l 127.0.0.1 -p -1; for docker see docs/operating.md, Containers"
    fi
}
