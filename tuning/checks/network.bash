# What happens before a shard sees a connection or a packet: queues of the kernel, and how packets come to the cores.

# The default of -b.
backlog=1024

# overflows: how often a queue of connections was full since the machine started; /proc/net/netstat has names in one line, numbers
# in the next.
overflows() {
    local names numbers i
    REPLY=0
    while read -ra names && read -ra numbers; do
        for i in "${!names[@]}"; do
            if [ "${names[i]}" = ListenOverflows ]; then REPLY=${numbers[i]-0}; fi
        done
    done 2>/dev/null <"$root/proc/net/netstat"
    [[ $REPLY =~ ^[0-9]+$ ]]
}

check_backlog() {
    local somaxconn since=
    if ! number proc/sys/net/core/somaxconn; then
        unknown "backlog" "no number in /proc/sys/net/core/somaxconn"
        return
    fi
    somaxconn=$REPLY
    if overflows && [ "$REPLY" -gt 0 ]; then
        since="; since the machine started $REPLY found a queue full"
    fi
    if [ "$somaxconn" -ge "$backlog" ]; then
        good "backlog" "net.core.somaxconn = $somaxconn, so -b $backlog holds$since"
    else
        costs "backlog" "net.core.somaxconn = $somaxconn caps -b $backlog$since" \
            "of 2000 connections at once 586 to 1444 took over half a second in three runs with 16, none with 4096 (benches/machine-settings backlog)" \
            "sysctl net.core.somaxconn=4096"
    fi
}

check_handshakes() {
    local waiting
    if ! number proc/sys/net/ipv4/tcp_max_syn_backlog; then
        unknown "handshakes" "no number in /proc/sys/net/ipv4/tcp_max_syn_backlog"
        return
    fi
    waiting=$REPLY
    if number proc/sys/net/ipv4/tcp_syncookies && [ "$REPLY" -ge 1 ]; then
        good "handshakes" "SYN cookies are on, so tcp_max_syn_backlog = $waiting limits nothing"
    elif [ "$waiting" -ge "$backlog" ]; then
        good "handshakes" "net.ipv4.tcp_max_syn_backlog = $waiting"
    else
        costs "handshakes" "net.ipv4.tcp_max_syn_backlog = $waiting, and SYN cookies are off" \
            "of a burst, the handshakes beyond three quarters of it are dropped and tried again a second later; not measured here (kernel, tcp_conn_request)" \
            "sysctl net.ipv4.tcp_max_syn_backlog=4096"
    fi
}

check_idle_window() {
    if ! number proc/sys/net/ipv4/tcp_slow_start_after_idle; then
        unknown "window after a pause" "no number in /proc/sys/net/ipv4/tcp_slow_start_after_idle"
    elif [ "$REPLY" -eq 0 ]; then
        good "window after a pause" "net.ipv4.tcp_slow_start_after_idle = 0"
    else
        costs "window after a pause" "net.ipv4.tcp_slow_start_after_idle = $REPLY" \
            "a value above some 14 KB takes more round trips after a pause, as on a new connection; not measured here (RFC 5681, 4.1; kernel, networking/ip-sysctl.rst)" \
            "sysctl net.ipv4.tcp_slow_start_after_idle=0"
    fi
}

check_datagram_steering() {
    if ! number proc/sys/net/core/optmem_max; then
        unknown "steered datagrams" "no number in /proc/sys/net/core/optmem_max"
    elif [ "$REPLY" -ge 131072 ]; then
        good "steered datagrams" "net.core.optmem_max = $REPLY has room for the longest program"
    else
        note "steered datagrams" "net.core.optmem_max = $REPLY" \
            "with -U and --partition fnv1a_32 or fnv1a_64, gets with long keys hop; nothing otherwise" \
            "sysctl net.core.optmem_max=131072"
    fi
}

check_congestion_control() {
    if ! text proc/sys/net/ipv4/tcp_congestion_control; then
        unknown "congestion control" "nothing in /proc/sys/net/ipv4/tcp_congestion_control"
    elif [[ $REPLY == bbr* ]]; then
        note "congestion control" "$REPLY paces what it sends" \
            "a timer for each connection with much to send; not measured here (kernel, net/ipv4/tcp_bbr.c)" \
            "in a network of your own: sysctl net.ipv4.tcp_congestion_control=cubic"
    else
        good "congestion control" "$REPLY"
    fi
}

# check_card DEVICE
check_card() {
    local device=$1 receive_queues
    if ! queues "$device" rx; then
        unknown "$device" "no queues below /sys/class/net/$device"
        return
    fi
    receive_queues=$REPLY
    check_interrupts "$device" "$receive_queues"
    check_packet_steering "$device" "$receive_queues"
    queues "$device" tx
    check_sending "$device" "$REPLY"
}

# check_interrupts DEVICE QUEUES: whether the receive queues have different cores of the server.
check_interrupts() {
    local interrupt irq kind found=0 wanted targets
    declare -A used=()
    interrupts "$1"
    for interrupt in $REPLY; do
        IFS=: read -r irq _ kind <<<"$interrupt"
        if [ "$kind" = tx ]; then continue; fi
        found=$((found + 1))
        if interrupt_cores "$irq"; then
            # An interrupt goes to one core at a time, whatever it is allowed: the first unless the kernel says otherwise.
            targets=${REPLY%% *}
            if [[ " ${cores[*]} " == *" $targets "* ]]; then used[$targets]=yes; fi
        fi
    done
    wanted=$((found < ${#cores[@]} ? found : ${#cores[@]}))
    if [ "$found" -eq 0 ]; then
        unknown "$1, interrupts" "none of its queues' is found in /proc/interrupts"
    elif [ ${#used[@]} -ge "$wanted" ]; then
        good "$1, interrupts" "$found receive queues on ${#used[@]} cores of the server"
    else
        costs "$1, interrupts" "$found receive queues, on ${#used[@]} of ${#cores[@]} cores of the server" \
            "these cores do all the network's work, or cores that are not the server's; with --steer cpu the others stay idle. Not measured here (kernel, networking/scaling.rst)" \
            "tuning/irq-affinity --cores $list $1"
    fi
}

# check_packet_steering DEVICE QUEUES: RPS where there are fewer queues than cores, and only there.
check_packet_steering() {
    local queue steered=0
    for ((queue = 0; queue < $2; queue++)); do
        if text "sys/class/net/$1/queues/rx-$queue/rps_cpus" && [[ $REPLY =~ [1-9a-f] ]]; then steered=$((steered + 1)); fi
    done
    if [ "$2" -lt ${#cores[@]} ] && [ "$steered" -lt "$2" ]; then
        costs "$1, RPS" "$2 receive queues for ${#cores[@]} cores, and $((${2} - steered)) without RPS" \
            "one core takes the packets of each queue through the whole of TCP; the others only copy. Not measured here (kernel, networking/scaling.rst)" \
            "ethtool -L $1 combined ${#cores[@]} if the card can (ethtool -l $1), else tuning/packet-steering --cores $list $1"
    elif [ "$2" -ge ${#cores[@]} ] && [ "$steered" -gt 0 ]; then
        costs "$1, RPS" "on for $steered of $2 receive queues, though there is one for each of ${#cores[@]} cores" \
            "packets change cores for nothing: an interrupt between cores for each batch. Not measured here (kernel, networking/scaling.rst)" \
            "tuning/packet-steering --cores $list $1"
    else
        good "$1, RPS" "$2 receive queues for ${#cores[@]} cores, $steered with RPS"
    fi
}

# check_sending DEVICE QUEUES: XPS where there are several queues, so that each core of the server has one to send on.
check_sending() {
    local queue core without=()
    declare -A has=()
    if [ "$2" -le 1 ]; then
        good "$1, XPS" "$2 queue to send on, so there is no choice"
        return
    fi
    for ((queue = 0; queue < $2; queue++)); do
        if ! text "sys/class/net/$1/queues/tx-$queue/xps_cpus" || [[ ! $REPLY =~ ^[0-9a-f,]+$ ]]; then
            unknown "$1, XPS" "no mask of cores in /sys/class/net/$1/queues/tx-$queue/xps_cpus"
            return
        fi
        cores_of_mask "$REPLY"
        for core in $REPLY; do has[$core]=yes; done
    done
    for core in "${cores[@]}"; do
        if [ -z "${has[$core]-}" ]; then without+=("$core"); fi
    done
    if [ ${#without[@]} -eq 0 ]; then
        good "$1, XPS" "$2 queues to send on, one for each core of the server"
    else
        costs "$1, XPS" "$2 queues to send on, and ${#without[@]} of ${#cores[@]} cores of the server have none of their own" \
            "each answer goes to any queue, whose lock and memory then change cores. Not measured here (kernel, networking/scaling.rst)" \
            "tuning/packet-steering --cores $list $1"
    fi
}

check_irqbalance() {
    local comm
    for comm in "$root"/proc/[0-9]*/comm; do
        if text "${comm#"$root"/}" && [ "$REPLY" = irqbalance ]; then
            note "irqbalance" "it runs, and moves interrupts every ten seconds" "what tuning/irq-affinity sets does not last" \
                "systemctl disable --now irqbalance"
            return
        fi
    done
    good "irqbalance" "not running, interrupts stay where they are put"
}
