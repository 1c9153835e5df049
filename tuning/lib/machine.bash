# Reading a machine: files below $root/proc and $root/sys, lists of cores, network cards. Bash alone, no other program, since
# a small server or a container has little else. Functions that return a text leave it in REPLY; a status of 1 is "not there".

# text FILE: its first line.
text() {
    REPLY=
    { read -r REPLY || [ -n "$REPLY" ]; } 2>/dev/null <"$root/$1"
}

# number FILE: its first line, if that is a whole number.
number() {
    text "$1" && [[ $REPLY =~ ^-?[0-9]+$ ]]
}

# field FILE NAME: what follows `NAME:` in a file of such lines, as /proc/self/status is.
field() {
    local name rest
    REPLY=
    while read -r name rest; do
        if [ "$name" = "$2:" ]; then
            REPLY=$rest
            return 0
        fi
    done 2>/dev/null <"$root/$1"
    return 1
}

# expand_list LIST: the numbers of a kernel's list such as `0-3,8`, with spaces between. 1 where it is none.
expand_list() {
    local part first last numbers=()
    [[ $1 =~ ^[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*$ ]] || return 1
    for part in ${1//,/ }; do
        first=$((10#${part%-*})) last=$((10#${part#*-}))
        for ((; first <= last; first++)); do numbers+=("$first"); done
    done
    [ ${#numbers[@]} -gt 0 ] || return 1
    REPLY="${numbers[*]}"
}

# mask_of CORE...: the kernel's mask of these cores: groups of 32 bits in hexadecimal, the highest first.
mask_of() {
    local core group highest=0 groups=(0)
    for core in "$@"; do
        group=$((core / 32))
        groups[group]=$((${groups[group]:-0} | 1 << core % 32))
        highest=$((group > highest ? group : highest))
    done
    printf -v REPLY '%x' "${groups[highest]}"
    for ((group = highest - 1; group >= 0; group--)); do
        printf -v REPLY '%s,%08x' "$REPLY" "${groups[group]:-0}"
    done
}

# cores_of_mask MASK: the cores of such a mask, with spaces between; empty for none.
cores_of_mask() {
    local digits=${1//,/} cores=() i digit bit
    for ((i = 0; i < ${#digits}; i++)); do
        digit=$((16#${digits:${#digits}-1-i:1}))
        for bit in 0 1 2 3; do
            if ((digit >> bit & 1)); then cores+=($((4 * i + bit))); fi
        done
    done
    REPLY="${cores[*]-}"
}

# cards: the network interfaces that are cards, real or a virtual machine's: not loopback, bridges, tunnels.
cards() {
    local device names=()
    for device in "$root"/sys/class/net/*/device; do
        [ -e "$device" ] || continue
        device=${device%/device}
        names+=("${device##*/}")
    done
    REPLY="${names[*]-}"
}

# queues DEVICE rx|tx: how many there are. 1 where the device is not there.
queues() {
    local queue count=0
    [ -d "$root/sys/class/net/$1/queues" ] || return 1
    for queue in "$root/sys/class/net/$1/queues/$2"-*; do
        if [ -d "$queue" ]; then count=$((count + 1)); fi
    done
    REPLY=$count
}

# interrupts DEVICE: `NUMBER:QUEUE:KIND` of each interrupt of its queues, KIND rx, tx or both. The kernel lists a card's interrupts
# below the card, a virtio card's one folder above, and what each is for only as a name that its driver has chosen.
interrupts() {
    local folder irq name found=() line words
    local queue_name='(TxRx|Tx-Rx|rxtx|input|output|rx|tx|comp|queue|ntfy-blk|Q)[-._]?([0-9]*)(@.*)?$'
    declare -A names=()
    while read -r irq line; do
        if [[ $irq =~ ^([0-9]+):$ ]]; then
            read -ra words <<<"$line"
            names[${BASH_REMATCH[1]}]=${words[-1]-}
        fi
    done 2>/dev/null <"$root/proc/interrupts"
    for folder in "$root/sys/class/net/$1/device/msi_irqs" "$root/sys/class/net/$1/device/../msi_irqs"; do
        [ -d "$folder" ] && break
    done
    for irq in "$folder"/*; do
        irq=${irq##*/}
        name=${names[$irq]-}
        if [[ $name =~ $queue_name ]] || [[ $name =~ ($1)-([0-9]+)()$ ]]; then
            case ${BASH_REMATCH[1]} in
                input | rx) found+=("$irq:${BASH_REMATCH[2]:-0}:rx") ;;
                output | tx) found+=("$irq:${BASH_REMATCH[2]:-0}:tx") ;;
                *) found+=("$irq:${BASH_REMATCH[2]:-0}:both") ;;
            esac
        fi
    done
    REPLY="${found[*]-}"
}

# interrupt_cores NUMBER: where the interrupt really goes.
interrupt_cores() {
    { text "proc/irq/$1/effective_affinity_list" && [ -n "$REPLY" ]; } || text "proc/irq/$1/smp_affinity_list"
    expand_list "$REPLY"
}
