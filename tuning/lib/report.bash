# What the checks say: one line for what was found, indented lines for what it costs and how to change it.

declare -A said=([good]=0 [COSTS]=0 [note]=0 ['?']=0)

section() {
    printf '%s\n' "$1"
}

# line WORD NAME FOUND [COST [COMMAND]]
line() {
    said[$1]=$((${said[$1]} + 1))
    printf '  %-5s %s: %s\n' "$1" "$2" "$3"
    if [ -n "${4-}" ]; then printf '        costs: %s\n' "$4"; fi
    if [ -n "${5-}" ]; then printf '        do:    %s\n' "$5"; fi
}

good() { line good "$@"; }
# costs NAME FOUND COST COMMAND
costs() { line COSTS "$@"; }
# note NAME FOUND [COST [COMMAND]]: not counted against the machine.
note() { line note "$@"; }
unknown() { line '?' "$@"; }

summary() {
    printf '%d good, %d cost something, %d notes, %d not to be read\n' \
        "${said[good]}" "${said[COSTS]}" "${said[note]}" "${said['?']}"
    [ "${said[COSTS]}" -eq 0 ]
}
