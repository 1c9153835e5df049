# The control group of the process, version 2 or 1: what it may take of the cores and of memory. A limit of a group holds for those
# below it, so the tightest on the way up counts.

# group_of CONTROLLER: sets $group_folder, where its files begin, and $group_path, the process's own below it. Version 1 has a
# folder for each controller; a controller that is not in version 1 is in version 2.
group_of() {
    local line controllers path two=
    group_folder= group_path=
    while IFS= read -r line; do
        IFS=: read -r _ controllers path <<<"$line"
        if [[ ",$controllers," == *",$1,"* ]]; then
            group_folder=sys/fs/cgroup/$controllers group_path=$path
            # Where several controllers share a folder, each has a link by its own name.
            [ -d "$root/$group_folder" ] || group_folder=sys/fs/cgroup/$1
        elif [ -z "$controllers" ]; then
            two=$path
        fi
    done 2>/dev/null <"$root/proc/$process/cgroup"
    if [ -z "$group_folder" ] && [ -n "$two" ]; then
        group_folder=sys/fs/cgroup group_path=$two
    fi
    # In a container the path is that of the host, or is hidden: its own group is the root it sees.
    [ -d "$root/$group_folder$group_path" ] || group_path=/
    [ -n "$group_folder" ] && [ -d "$root/$group_folder" ]
}

# upwards: the folder of the group and of those above it, as words.
upwards() {
    local path=${group_path%/} folders=()
    while :; do
        folders+=("$group_folder$path")
        [ -n "$path" ] || break
        path=${path%/*}
    done
    REPLY="${folders[*]}"
}

# quota_of FOLDER: hundredths of a core that the group may use, of cpu.max or cpu.cfs_quota_us. 1 if it has no quota.
quota_of() {
    local quota period
    if text "$1/cpu.max"; then
        read -r quota period <<<"$REPLY"
    else
        number "$1/cpu.cfs_quota_us" || return 1
        quota=$REPLY
        number "$1/cpu.cfs_period_us" || return 1
        period=$REPLY
    fi
    [[ $quota =~ ^[0-9]+$ && $period =~ ^[1-9][0-9]*$ ]] || return 1
    REPLY=$((quota * 100 / period))
}

check_cpu_quota() {
    local folder tightest= where=
    if ! group_of cpu; then
        unknown "cores" "no control group of cpu for process $process"
        return
    fi
    upwards
    for folder in $REPLY; do
        if quota_of "$folder" && { [ -z "$tightest" ] || [ "$REPLY" -lt "$tightest" ]; }; then
            tightest=$REPLY where=$folder
        fi
    done
    if [ -z "$tightest" ]; then
        good "cores" "no quota"
        return
    fi
    local enough=$((${#cores[@]} * 100)) throttled=
    if throttled_times "$where"; then throttled="; it was held back $REPLY times so far"; fi
    if [ "$tightest" -ge "$enough" ]; then
        good "cores" "a quota of $tightest % of a core, enough for ${#cores[@]} shards$throttled"
    else
        costs "cores" "a quota of $tightest % of a core for ${#cores[@]} shards$throttled" \
            "once it is used up requests wait for the next period: p99 64 ms with 10 % of a core at 5000 gets a second, 0.4 without (benches/machine-settings quota)" \
            "-t $((tightest / 100 > 0 ? tightest / 100 : 1)), or CPUQuota= in the unit, --cpus of docker; better whole cores: AllowedCPUs=, --cpuset-cpus"
    fi
}

# throttled_times FOLDER: nr_throttled of its cpu.stat, where that is not 0.
throttled_times() {
    local name value
    while read -r name value; do
        if [ "$name" = nr_throttled ] && [ "$value" != 0 ]; then
            REPLY=$value
            return 0
        fi
    done 2>/dev/null <"$root/$1/cpu.stat"
    return 1
}

# A limit of version 1 that is none is the largest number of pages.
no_limit=$((1 << 60))

check_memory_limit() {
    local folder file tightest= where= held=
    if ! group_of memory; then
        unknown "memory" "no control group of memory for process $process"
        return
    fi
    upwards
    for folder in $REPLY; do
        for file in memory.max memory.limit_in_bytes; do
            if number "$folder/$file" && [ "$REPLY" -lt "$no_limit" ] && { [ -z "$tightest" ] || [ "$REPLY" -lt "$tightest" ]; }; then
                tightest=$REPLY where=$folder/$file
            fi
        done
        if number "$folder/memory.high"; then held=$folder/memory.high; fi
    done
    if [ -n "$held" ]; then
        number "$held"
        costs "memory" "from $((REPLY >> 20)) MiB on the group is slowed down (/$held)" \
            "near it every allocation, a page of items or a socket's buffer, waits for the kernel to find memory; not measured here (kernel, admin-guide/cgroup-v2.rst)" \
            "MemoryHigh=infinity in the unit, and MemoryMax= above -m and the fixed budget"
    fi
    if [ -z "$tightest" ]; then
        good "memory limit" "none"
        return
    fi
    judge_memory_limit "$tightest" "$where"
}

# judge_memory_limit BYTES FILE: against -m and the largest budget, if a server runs; otherwise it is only told.
judge_memory_limit() {
    local limit_mib=$(($1 >> 20)) resident_mib
    if [ "$process" = self ] || ! field "proc/$process/status" VmRSS; then
        note "memory limit" "$limit_mib MiB (/$2)" "above it the kernel ends the server" \
            "keep -m, the fixed budget that a start prints, and what the kernel keeps for sockets below it"
        return
    fi
    resident_mib=$((${REPLY%% *} >> 10))
    if [ $((resident_mib * 10)) -gt $((limit_mib * 9)) ]; then
        costs "memory limit" "$limit_mib MiB (/$2), and process $process has $resident_mib" "above it the kernel ends the server" \
            "MemoryMax= in the unit or --memory of docker above -m and the fixed budget, or less -m"
    else
        good "memory limit" "$limit_mib MiB (/$2); process $process has $resident_mib"
    fi
}
