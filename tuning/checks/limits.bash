# Limits of the process that serves. They are inherited, so this shell's are those of a server started from it; a unit has its own.

# What the rings of a shard lock (docs/operating.md, "Locked memory").
locked_bytes_of_shard=$((512 * 1024))
# Connections at the default of -c, and descriptors besides them (src/operate/limits.rs).
connections=1024
files_of_process=32
files_of_shard=32

# hard_limit NAME: the higher limit of /proc/PID/limits, which the server raises itself to; "unlimited" becomes a large number.
hard_limit() {
    local line words
    REPLY=
    while read -r line; do
        if [[ $line == "$1"* ]]; then
            read -ra words <<<"${line#"$1"}"
            REPLY=${words[1]-}
            if [ "$REPLY" = unlimited ]; then REPLY=9223372036854775807; fi
            [[ $REPLY =~ ^[0-9]+$ ]]
            return
        fi
    done 2>/dev/null <"$root/proc/$process/limits"
    return 1
}

check_locked_memory() {
    local needed=$((locked_bytes_of_shard * ${#cores[@]})) limit
    # CAP_IPC_LOCK is bit 14.
    if field "proc/$process/status" CapEff && [[ $REPLY =~ ^[0-9a-fA-F]{1,16}$ ]] && ((16#$REPLY >> 14 & 1)); then
        good "locked memory" "not limited: this process has CAP_IPC_LOCK, as root has"
        if [ "$process" != self ]; then return; fi
    fi
    if ! hard_limit "Max locked memory"; then
        unknown "locked memory" "no limit in /proc/$process/limits"
        return
    fi
    limit=$REPLY
    if [ "$limit" -ge "$needed" ]; then
        good "locked memory, of other users" "$((limit / 1024)) KiB; rings take about $((needed / 1024))"
    else
        costs "locked memory, of other users" "$((limit / 1024)) KiB; rings take about $((needed / 1024))" \
            "ringcached does not start, unless as root" \
            "LimitMEMLOCK=infinity in the unit, or 'ulimit -H -l unlimited' as root before"
    fi
}

check_open_files() {
    local needed=$((connections + files_of_process + files_of_shard * ${#cores[@]}))
    if ! hard_limit "Max open files"; then
        unknown "open files" "no limit in /proc/$process/limits"
    elif [ "$REPLY" -ge "$needed" ]; then
        good "open files" "$REPLY; -c $connections needs $needed"
    else
        costs "open files" "$REPLY; -c $connections, the default, needs $needed" "ringcached does not start, unless as root or with less -c" \
            "LimitNOFILE=65536 in the unit, or 'ulimit -H -n 65536' as root before"
    fi
}
