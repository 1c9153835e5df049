# The command line of the scripts that change a network card: into $dry_run, $root, $device and the array $cores.

usage() {
    # The comment at the top of the script, without its first line.
    local line
    while read -r line && [[ $line == '#'* ]]; do
        if [[ $line != '#!'* ]]; then echo "${line#\#}"; fi
    done <"$0"
}

read_arguments() {
    local list=
    device=
    while [ $# -gt 0 ]; do
        case $1 in
            -h | --help) usage && exit 0 ;;
            --dry-run) dry_run=yes ;;
            --root | --cores)
                [ $# -gt 1 ] || fail "$1 needs a value"
                if [ "$1" = --root ]; then root=$2; else list=$2; fi
                shift
                ;;
            -*) fail "$1 is no option: see --help" ;;
            *)
                [ -z "$device" ] || fail "one network card at a time, not $device and $1"
                device=$1
                ;;
        esac
        shift
    done
    [ -n "$device" ] || fail "which network card? ls /sys/class/net, then see --help"
    [[ $device =~ ^[A-Za-z0-9._:@-]+$ && $device != .* ]] || fail "'$device' is no name of a network card"
    if [ -z "$list" ]; then
        field proc/self/status Cpus_allowed_list || fail "no Cpus_allowed_list in /proc/self/status: give --cores"
        list=$REPLY
    fi
    expand_list "$list" || fail "--cores '$list' is no list such as 0-3,8"
    read -ra cores <<<"$REPLY"
}
