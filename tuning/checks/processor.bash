# The cores: how fast they run, how they wake, what they share.

check_governor() {
    local core slow=() governor=
    for core in "${cores[@]}"; do
        if text "sys/devices/system/cpu/cpu$core/cpufreq/scaling_governor"; then
            governor=$REPLY
            if [ "$governor" != performance ]; then slow+=("$core"); fi
        fi
    done
    if [ -z "$governor" ]; then
        good "frequency" "not set by this system: the host or the firmware decides"
    elif [ ${#slow[@]} -eq 0 ]; then
        good "frequency" "governor performance"
    else
        text "sys/devices/system/cpu/cpu${slow[0]}/cpufreq/scaling_governor"
        costs "frequency" "governor $REPLY on ${#slow[@]} of ${#cores[@]} cores" \
            "a core that was idle answers at a low frequency first; not measured here (kernel, admin-guide/pm/cpufreq.rst)" \
            "cpupower frequency-set -g performance"
    fi
}

# Waking up takes longer than a request does from here on: a get on one core takes some 6 us (README, "Figures").
idle_latency_max_us=10

# Each state has its latency in a table of the kernel: the figure is this machine's own.
check_idle_states() {
    local state latency deepest=0 name= states="sys/devices/system/cpu/cpu${cores[0]}/cpuidle"
    if [ ! -e "$root/$states/state0/latency" ]; then
        good "idle states" "none to be seen: the host decides"
        return
    fi
    for state in "$root/$states"/state*; do
        state=${state#"$root"/}
        if number "$state/disable" && [ "$REPLY" -ne 0 ]; then continue; fi
        number "$state/latency" || continue
        latency=$REPLY
        if [ "$latency" -gt "$deepest" ]; then
            deepest=$latency
            text "$state/name" && name=$REPLY
        fi
    done
    if [ "$deepest" -le "$idle_latency_max_us" ]; then
        good "idle states" "the deepest takes $deepest us to wake from"
    else
        costs "idle states" "down to $name" \
            "the first request after a pause waits $deepest us more (this machine's own figure), and power is saved for it" \
            "cpupower idle-set -D $idle_latency_max_us, or intel_idle.max_cstate=1 or processor.max_cstate=1 at boot"
    fi
}

check_siblings() {
    if ! number sys/devices/system/cpu/smt/active; then
        unknown "hardware threads" "no /sys/devices/system/cpu/smt/active"
    elif [ "$REPLY" -eq 0 ]; then
        good "hardware threads" "one for each core"
    else
        note "hardware threads" "two or more share a core, and so do their shards" \
            "neither has a whole core; together they do more than one. Not measured here, this project has no such machine" \
            "try half as many: ringcached takes one thread of each core first, so -t $(((${#cores[@]} + 1) / 2))"
    fi
}

check_mitigations() {
    local file active=() open=()
    for file in "$root"/sys/devices/system/cpu/vulnerabilities/*; do
        text "${file#"$root"/}" || continue
        case $REPLY in
            Mitigation*) active+=("${file##*/}") ;;
            Vulnerable*) open+=("${file##*/}") ;;
        esac
    done
    if [ ! -d "$root/sys/devices/system/cpu/vulnerabilities" ]; then
        unknown "mitigations" "no /sys/devices/system/cpu/vulnerabilities"
    elif [ ${#active[@]} -eq 0 ]; then
        good "mitigations" "none active${open[*]:+; open: ${open[*]}}"
    else
        note "mitigations" "active: ${active[*]}${open[*]:+; open: ${open[*]}}" \
            "time in each entry to the kernel; a shard enters it once for a batch. Not measured here, it takes a boot" \
            "mitigations=off at boot, only where all that runs on the machine is trusted"
    fi
}

# Where a core's memory and the card's interrupts are.
check_nodes() {
    local node device nodes=() used=() far=()
    for node in "$root"/sys/devices/system/node/node[0-9]*; do
        [ -d "$node" ] || continue
        nodes+=("${node##*node}")
        text "${node#"$root"/}/cpulist" && expand_list "$REPLY" || continue
        for core in "${cores[@]}"; do
            if [[ " $REPLY " == *" $core "* ]]; then
                used+=("${node##*node}")
                break
            fi
        done
    done
    if [ ${#nodes[@]} -le 1 ]; then
        good "nodes" "one, or none to be seen"
        return
    fi
    for device in ${devices[@]+"${devices[@]}"}; do
        if number "sys/class/net/$device/device/numa_node" && [ "$REPLY" -ge 0 ] && [[ "${used[*]}" != "$REPLY" ]]; then
            far+=("$device on node $REPLY")
        fi
    done
    if [ ${#far[@]} -eq 0 ]; then
        good "nodes" "${#nodes[@]}; the server's cores are on ${used[*]-none}, and so are the cards"
    else
        costs "nodes" "${#nodes[@]}; the server's cores are on ${used[*]-none}, but ${far[*]}" \
            "packets and shards meet across the link between nodes; not measured here, this project has no such machine" \
            "--cores with those of the card's node (/sys/devices/system/node/node*/cpulist), or a server for each node"
    fi
    if number proc/sys/kernel/numa_balancing && [ "$REPLY" -ne 0 ]; then
        costs "node balancing" "kernel.numa_balancing = $REPLY" \
            "page faults of the scan that looks for far memory, though each shard's is near; not measured here (kernel, admin-guide/sysctl/kernel.rst)" \
            "sysctl kernel.numa_balancing=0"
    fi
}
