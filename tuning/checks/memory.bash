# Memory: large pages, swap, and what may be reserved.

check_huge_pages() {
    if ! text sys/kernel/mm/transparent_hugepage/enabled; then
        unknown "transparent huge pages" "no /sys/kernel/mm/transparent_hugepage/enabled"
    elif [[ $REPLY == *"[never]"* ]]; then
        costs "transparent huge pages" "$REPLY" \
            "random gets of small items take more of a core: 0.72 to 0.95 times the requests per CPU second in three runs (benches/machine-settings pages)" \
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"
    else
        good "transparent huge pages" "$REPLY: item memory asks for them"
    fi
}

# Pages set aside are nobody else's, used or not.
check_reserved_pages() {
    local total free size
    if ! field proc/meminfo HugePages_Total; then
        unknown "huge pages set aside" "no HugePages_Total in /proc/meminfo"
        return
    fi
    total=$REPLY
    field proc/meminfo HugePages_Free && free=$REPLY
    field proc/meminfo Hugepagesize && size=${REPLY%% *}
    if [ "$total" -eq 0 ]; then
        good "huge pages set aside" "none; -L would need some"
    elif [ "${free:-0}" -gt 0 ]; then
        note "huge pages set aside" "$free of $total are free" "$((free * ${size:-2048} / 1024)) MiB that only -L, or another program that asks for them, can use" \
            "-L, or sysctl vm.nr_hugepages=$((total - free))"
    else
        good "huge pages set aside" "all $total in use"
    fi
}

check_swap() {
    local line areas=0 out=
    while read -r line; do
        if [[ $line == /* ]]; then areas=$((areas + 1)); fi
    done 2>/dev/null <"$root/proc/swaps"
    if [ ! -r "$root/proc/swaps" ]; then
        unknown "swap" "no /proc/swaps"
        return
    elif [ "$areas" -eq 0 ]; then
        good "swap" "none"
        return
    fi
    if field "proc/$process/status" VmSwap && [ "${REPLY%% *}" -gt 0 ]; then
        out="; $((${REPLY%% *} / 1024)) MiB of process $process are out"
    fi
    if [ -z "$out" ] && number proc/sys/vm/swappiness && [ "$REPLY" -le 1 ]; then
        good "swap" "there is some, vm.swappiness = $REPLY"
    else
        costs "swap" "there is some, vm.swappiness = ${REPLY%% *}$out" \
            "a get of an item that was swapped out waits for the disk, and all of its shard with it; not measured here" \
            "sysctl vm.swappiness=1, MemorySwapMax=0 in the unit, or -k, which locks memory"
    fi
}

check_overcommit() {
    if ! number proc/sys/vm/overcommit_memory; then
        unknown "overcommit" "no number in /proc/sys/vm/overcommit_memory"
    elif [ "$REPLY" -ne 2 ]; then
        good "overcommit" "vm.overcommit_memory = $REPLY: what is reserved counts when it is used"
    else
        costs "overcommit" "vm.overcommit_memory = 2" \
            "all of -m counts as used from the start on, and a start may be refused (CommitLimit and Committed_AS in /proc/meminfo)" \
            "sysctl vm.overcommit_memory=0, or more vm.overcommit_ratio"
    fi
}
