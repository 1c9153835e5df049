# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ringcached_global_optspecs
    string join \n p/port= U/udp-port= l/listen= s/unix-socket= a/unix-mask= steer= shard-ports= source-port-steering= advertise= admin= B/protocol= congestion= Y/auth-file= S/enable-sasl c/conn-limit= b/listen-backlog= R/max-reqs-per-event= m/memory-limit= M/disable-evictions I/max-item-size= max-key-size= f/slab-growth-factor= n/slab-min-size= C/disable-cas L/enable-largepages k/lock-memory t/threads= cores= partition= busy-poll= A/enable-shutdown F/disable-flush-all X/disable-dumping W/disable-watch D/prefix-delimiter= slow-log= u/user= d/daemon P/pidfile= r/enable-coredumps o/extended= config= v/verbose= log-format= print-config h/help V/version i/license e/memory-file= Z/enable-ssl N/napi-ids=
end

function __fish_ringcached_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ringcached_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ringcached_using_subcommand
    set -l cmd (__fish_ringcached_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ringcached -n "__fish_ringcached_needs_command" -s p -l port -d 'TCP port; 0 = no TCP, -1 = a free one [11211]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s U -l udp-port -d 'UDP port; 0 = no UDP, -1 = a free one [0]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s l -l listen -d 'addresses to listen on: host[:port],...; repeatable [every address]' -r -f -a "(__fish_print_hostnames)"
complete -c ringcached -n "__fish_ringcached_needs_command" -s s -l unix-socket -d 'listen on this UNIX socket instead of TCP and UDP' -r -F
complete -c ringcached -n "__fish_ringcached_needs_command" -s a -l unix-mask -d 'file mode of the UNIX socket [700]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -l steer -d 'how connections find their shard: even, cpu [even]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -l shard-ports -d 'a TCP port for each shard: this one for shard 0, the next for shard 1 and so on' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -l source-port-steering -d 'a TCP port on which the client\'s port modulo shards chooses the shard' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -l advertise -d 'the host that `config get cluster` names to clients [the address the client has come to]' -r -f -a "(__fish_print_hostnames)"
complete -c ringcached -n "__fish_ringcached_needs_command" -l admin -d 'HTTP for operators: /metrics, /healthz, /readyz' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s B -l protocol -d 'protocol: ascii, binary, or auto = by a connection\'s first byte [auto]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -l congestion -d 'TCP congestion control of clients\' connections, unless the system\'s' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s Y -l auth-file -d 'clients authenticate; users and passwords are in this file' -r -F
complete -c ringcached -n "__fish_ringcached_needs_command" -s c -l conn-limit -d 'most client connections at a time [1024]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s b -l listen-backlog -d 'connections that may wait to be accepted [1024]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s R -l max-reqs-per-event -d 'requests of one connection before others have their turn [20]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s m -l memory-limit -d 'memory for items, their index included [64, or 16 a shard if that is more]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s I -l max-item-size -d 'largest item, in bytes or with k, m, g [1m]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -l max-key-size -d 'longest key [250]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s f -l slab-growth-factor -d 'ratio of one slab class\'s chunk size to the next [1.07]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s n -l slab-min-size -d 'least room for key, value and flags in a chunk [8]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s t -l threads -d 'shards, each a thread pinned to a core [one for each core this process may run on]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -l cores -d 'the cores of the shards, e.g. 0-3,8 [the allowed cores, one hardware thread of each physical core first]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -l partition -d 'which shard owns a key: seeded, crc32a, fnv1a_32, fnv1a_64, isolated [seeded]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -l busy-poll -d 'look for requests so many microseconds before going to sleep; 0 = sleep at once [0]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s D -l prefix-delimiter -d 'count requests by key prefix, which ends at this character [`:`, and nothing is counted before `stats detail on`]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -l slow-log -d 'remember requests that took so many microseconds; 0 = none [0]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s u -l user -d 'switch to this user when started as root' -r -f -a "(__fish_complete_users)"
complete -c ringcached -n "__fish_ringcached_needs_command" -s P -l pidfile -d 'write the process id to this file' -r -F
complete -c ringcached -n "__fish_ringcached_needs_command" -s o -l extended -d 'extended options, separated by commas; repeatable' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -l config -d 'read options from this file; the command line wins' -r -F
complete -c ringcached -n "__fish_ringcached_needs_command" -s v -l verbose -d 'say more on standard error; -vv and -vvv say even more' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -l log-format -d 'form of the lines on standard error: text, journal, json [journal where standard error is journald\'s, else text]' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s e -l memory-file -d 'item memory that survives a restart; refused' -r -F
complete -c ringcached -n "__fish_ringcached_needs_command" -s N -l napi-ids -d 'connections to threads by receive queue; refused' -r
complete -c ringcached -n "__fish_ringcached_needs_command" -s S -l enable-sasl -d 'clients of the binary protocol authenticate, by SASL PLAIN'
complete -c ringcached -n "__fish_ringcached_needs_command" -s M -l disable-evictions -d 'answer an error when memory is full instead of evicting'
complete -c ringcached -n "__fish_ringcached_needs_command" -s C -l disable-cas -d 'no compare-and-swap: gets returns 0, cas always fails'
complete -c ringcached -n "__fish_ringcached_needs_command" -s L -l enable-largepages -d 'use explicit huge pages for item memory'
complete -c ringcached -n "__fish_ringcached_needs_command" -s k -l lock-memory -d 'lock all memory, so that none of it is paged out'
complete -c ringcached -n "__fish_ringcached_needs_command" -s A -l enable-shutdown -d 'allow the shutdown command'
complete -c ringcached -n "__fish_ringcached_needs_command" -s F -l disable-flush-all -d 'refuse the flush_all command'
complete -c ringcached -n "__fish_ringcached_needs_command" -s X -l disable-dumping -d 'refuse commands that list keys'
complete -c ringcached -n "__fish_ringcached_needs_command" -s W -l disable-watch -d 'refuse the watch command'
complete -c ringcached -n "__fish_ringcached_needs_command" -s d -l daemon -d 'run in the background'
complete -c ringcached -n "__fish_ringcached_needs_command" -s r -l enable-coredumps -d 'raise the core file limit as far as allowed'
complete -c ringcached -n "__fish_ringcached_needs_command" -l print-config -d 'check all options and print them as a file for --config'
complete -c ringcached -n "__fish_ringcached_needs_command" -s h -l help -d 'print this text'
complete -c ringcached -n "__fish_ringcached_needs_command" -s V -l version -d 'print the version'
complete -c ringcached -n "__fish_ringcached_needs_command" -s i -l license -d 'print the licence'
complete -c ringcached -n "__fish_ringcached_needs_command" -s Z -l enable-ssl -d 'TLS; refused'
complete -c ringcached -n "__fish_ringcached_needs_command" -a "top" -d 'A live view of a running server, made from its `stats` alone'
complete -c ringcached -n "__fish_ringcached_using_subcommand top" -s i -l interval -d 'from one look to the next; 0.1 to 3600' -r
complete -c ringcached -n "__fish_ringcached_using_subcommand top" -l login -d 'log in with the first line of this file, user:password, as in the file of -Y' -r -F
complete -c ringcached -n "__fish_ringcached_using_subcommand top" -l once -d 'print one frame as text, of two looks, and end'
