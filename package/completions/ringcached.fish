complete -c ringcached -s p -l port -d 'TCP port; 0 = no TCP, -1 = a free one [11211]' -r
complete -c ringcached -s U -l udp-port -d 'UDP port; 0 = no UDP, -1 = a free one [0]' -r
complete -c ringcached -s l -l listen -d 'addresses to listen on: host[:port],...; repeatable [every address]' -r -f -a "(__fish_print_hostnames)"
complete -c ringcached -s s -l unix-socket -d 'listen on this UNIX socket instead of TCP and UDP' -r -F
complete -c ringcached -s a -l unix-mask -d 'file mode of the UNIX socket [700]' -r
complete -c ringcached -l steer -d 'how connections find their shard: even, cpu [even]' -r
complete -c ringcached -l shard-ports -d 'a TCP port for each shard: this one for shard 0, the next for shard 1 and so on' -r
complete -c ringcached -l source-port-steering -d 'a TCP port on which the client\'s port modulo shards chooses the shard' -r
complete -c ringcached -l advertise -d 'the host that `config get cluster` names to clients [the address the client has come to]' -r -f -a "(__fish_print_hostnames)"
complete -c ringcached -s B -l protocol -d 'protocol: ascii, binary, or auto = by a connection\'s first byte [auto]' -r
complete -c ringcached -l congestion -d 'TCP congestion control of clients\' connections, unless the system\'s' -r
complete -c ringcached -s Y -l auth-file -d 'clients authenticate; users and passwords are in this file' -r -F
complete -c ringcached -s c -l conn-limit -d 'most client connections at a time [1024]' -r
complete -c ringcached -s b -l listen-backlog -d 'connections that may wait to be accepted [1024]' -r
complete -c ringcached -s R -l max-reqs-per-event -d 'requests of one connection before others have their turn [20]' -r
complete -c ringcached -s m -l memory-limit -d 'memory for items, their index included [64, or 16 a shard if that is more]' -r
complete -c ringcached -s I -l max-item-size -d 'largest item, in bytes or with k, m, g [1m]' -r
complete -c ringcached -l max-key-size -d 'longest key [250]' -r
complete -c ringcached -s f -l slab-growth-factor -d 'ratio of one slab class\'s chunk size to the next [1.07]' -r
complete -c ringcached -s n -l slab-min-size -d 'least room for key, value and flags in a chunk [8]' -r
complete -c ringcached -s t -l threads -d 'shards, each a thread pinned to a core [one for each core this process may run on]' -r
complete -c ringcached -l cores -d 'the cores of the shards, e.g. 0-3,8 [the allowed cores, one hardware thread of each physical core first]' -r
complete -c ringcached -l partition -d 'which shard owns a key: seeded, crc32a, fnv1a_32, fnv1a_64, isolated [seeded]' -r
complete -c ringcached -l busy-poll -d 'look for requests so many microseconds before going to sleep; 0 = sleep at once [0]' -r
complete -c ringcached -s D -l prefix-delimiter -d 'count requests by key prefix, which ends at this character [`:`, and nothing is counted before `stats detail on`]' -r
complete -c ringcached -l slow-log -d 'remember requests that took so many microseconds; 0 = none [0]' -r
complete -c ringcached -s u -l user -d 'switch to this user when started as root' -r -f -a "(__fish_complete_users)"
complete -c ringcached -s P -l pidfile -d 'write the process id to this file' -r -F
complete -c ringcached -s o -l extended -d 'extended options, separated by commas; repeatable' -r
complete -c ringcached -l config -d 'read options from this file; the command line wins' -r -F
complete -c ringcached -s v -l verbose -d 'say more on standard error; -vv and -vvv say even more' -r
complete -c ringcached -l log-format -d 'form of the lines on standard error: text, journal, json [journal where standard error is journald\'s, else text]' -r
complete -c ringcached -s e -l memory-file -d 'item memory that survives a restart; refused' -r -F
complete -c ringcached -s N -l napi-ids -d 'connections to threads by receive queue; refused' -r
complete -c ringcached -s S -l enable-sasl -d 'clients of the binary protocol authenticate, by SASL PLAIN'
complete -c ringcached -s M -l disable-evictions -d 'answer an error when memory is full instead of evicting'
complete -c ringcached -s C -l disable-cas -d 'no compare-and-swap: gets returns 0, cas always fails'
complete -c ringcached -s L -l enable-largepages -d 'use explicit huge pages for item memory'
complete -c ringcached -s k -l lock-memory -d 'lock all memory, so that none of it is paged out'
complete -c ringcached -s A -l enable-shutdown -d 'allow the shutdown command'
complete -c ringcached -s F -l disable-flush-all -d 'refuse the flush_all command'
complete -c ringcached -s X -l disable-dumping -d 'refuse commands that list keys'
complete -c ringcached -s W -l disable-watch -d 'refuse the watch command'
complete -c ringcached -s d -l daemon -d 'run in the background'
complete -c ringcached -s r -l enable-coredumps -d 'raise the core file limit as far as allowed'
complete -c ringcached -l print-config -d 'check all options and print them as a file for --config'
complete -c ringcached -s h -l help -d 'print this text'
complete -c ringcached -s V -l version -d 'print the version'
complete -c ringcached -s i -l license -d 'print the licence'
complete -c ringcached -s Z -l enable-ssl -d 'TLS; refused'
