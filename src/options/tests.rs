//! Tests of whole command lines: every option with a good value, every limit with the sentence that refuses.

use super::*;
use std::ffi::OsString;
use std::path::Path;

/// Four cores and no users of -S, whatever the test runs on.
fn machine() -> Machine {
    Machine { cores: vec![0, 1, 2, 3], sasl_users: None }
}

fn ask(line: &str) -> Result<Asked, OptionError> {
    ask_words(&line.split_whitespace().collect::<Vec<_>>())
}

fn ask_words(words: &[&str]) -> Result<Asked, OptionError> {
    read(words)?.asked(&machine())
}

/// A command line without a file.
fn read(words: &[&str]) -> Result<Given, OptionError> {
    let no_file = |_: &Path| panic!("no file is named");
    Given::read(std::iter::once("ringcached").chain(words.iter().copied()), no_file)
}

#[track_caller]
fn options(line: &str) -> Options {
    match ask(line) {
        Ok(Asked::Serve(options)) => *options,
        other => panic!("`{line}` gave {other:?}"),
    }
}

#[track_caller]
fn shown(line: &str) -> String {
    match ask(line) {
        Ok(Asked::Show(text)) => text,
        other => panic!("`{line}` gave {other:?}"),
    }
}

/// The sentence and the status of a refused command line.
#[track_caller]
fn refused(line: &str) -> (String, u8) {
    match ask(line) {
        Err(error) => (error.to_string(), error.exit_status()),
        other => panic!("`{line}` gave {other:?}"),
    }
}

fn any(port: u16) -> Listen {
    Listen::Tcp(vec![any_address(port)])
}

fn any_address(port: u16) -> ListenAddress {
    ListenAddress { host: Host::Any, port, protocol: Protocol::Auto }
}

fn name(host: &str, port: u16) -> ListenAddress {
    ListenAddress { host: Host::Name(host.to_string()), port, protocol: Protocol::Auto }
}

#[test]
fn defaults() {
    let expected = Options {
        listen: any(11211),
        udp: vec![],
        shard_ports: vec![],
        source_port: vec![],
        steer: Steer::Even,
        congestion: None,
        advertise: None,
        admin: None,
        tcp_port: 11211,
        interfaces: None,
        protocol: Protocol::Auto,
        authentication: None,
        backlog: 1024,
        conn_limit: 1024,
        maxconns_fast: true,
        idle_timeout_s: 0,
        requests_per_turn: 20,
        memory_limit_bytes: 64 << 20,
        evict: true,
        item_size_max_bytes: 1 << 20,
        key_size_max_bytes: 250,
        growth_factor: 1.07,
        item_size_min_bytes: 8,
        cas: true,
        large_pages: false,
        lock_memory: false,
        cores: vec![0, 1, 2, 3],
        partition: Partition::Seeded,
        allow_shutdown: false,
        allow_flush_all: true,
        allow_dumping: true,
        allow_watch: true,
        prefix_delimiter: b':',
        count_prefixes: false,
        watcher_log_bytes: 256 << 10,
        worker_log_bytes: 64 << 10,
        slow_log_us: 0,
        busy_poll_us: 0,
        user: None,
        drop_privileges: false,
        daemonize: false,
        pid_file: None,
        core_dumps: false,
        verbosity: 0,
        log_format: None,
        warnings: vec![],
    };
    assert_eq!(options(""), expected);
}

#[test]
fn defaults_said_by_the_table_are_the_ones_that_hold() {
    // The rows whose default is a value: typing it changes nothing.
    for spec in TABLE.iter().filter(|spec| spec.value_name().is_some() && !spec.default.contains(' ')) {
        if !spec.default.is_empty() {
            let mut typed = options(&format!("--{}={}", spec.long, spec.default));
            typed.warnings.clear();
            assert_eq!(typed, options(""), "--{}", spec.long);
        }
    }
}

#[test]
fn memory_grows_with_the_shards_unless_given() {
    assert_eq!(options("-t 5").memory_limit_bytes, 80 << 20);
    assert_eq!(options("-t 5 -m 10").memory_limit_bytes, 10 << 20);
}

#[test]
fn switches() {
    let o = options("-M -C -L -k -A -F -X -W -d -r");
    assert!(!o.evict && !o.cas && o.large_pages && o.lock_memory);
    assert!(o.allow_shutdown && !o.allow_flush_all && o.daemonize && o.core_dumps);
    assert!(!o.allow_dumping && !o.allow_watch);
    // In one bunch, by their long names, and twice.
    assert_eq!(options("-MCLkAFXWdr"), o);
    let long = "--disable-evictions --disable-cas --enable-largepages --lock-memory --enable-shutdown \
                --disable-flush-all --disable-dumping --disable-watch --daemon --enable-coredumps";
    assert_eq!(options(long), o);
    assert_eq!(options("-M -M -CLkAFXWdr"), o);
}

#[test]
fn values_in_every_way_getopt_takes_them() {
    for line in
        ["-m1024", "-m 1024", "--memory-limit=1024", "--memory-limit 1024", "--memory-l=1024", "-m 5 -m 1024"]
    {
        assert_eq!(options(line).memory_limit_bytes, 1 << 30, "{line}");
    }
    assert_eq!(options("-dvm1024").memory_limit_bytes, 1 << 30);
    match ask_words(&["-m", "  1024", "-l", " 127.0.0.1", "-o", " idle_timeout=9"]) {
        Ok(Asked::Serve(o)) => {
            assert_eq!(o.memory_limit_bytes, 1 << 30);
            assert_eq!(o.listen, Listen::Tcp(vec![name("127.0.0.1", 11211)]));
            assert_eq!(o.idle_timeout_s, 9);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_distributions_command_line() {
    let o = options(
        "-m 64 -p 11211 -u memcache -l 127.0.0.1 -l ::1 -P /var/run/memcached/memcached.pid -c 2048 -vv",
    );
    assert_eq!(o.user.as_deref(), Some("memcache"));
    assert_eq!(o.listen, Listen::Tcp(vec![name("127.0.0.1", 11211), name("::1", 11211)]));
    assert_eq!(o.interfaces.as_deref(), Some("127.0.0.1,::1"));
    assert_eq!(o.pid_file, Some(PathBuf::from("/var/run/memcached/memcached.pid")));
    assert_eq!((o.conn_limit, o.verbosity), (2048, 2));
    assert_eq!(o.warnings, [""; 0]);
}

#[test]
fn verbosity_counts() {
    for (line, count) in
        [("-v", 1), ("-vv", 2), ("-vvv", 3), ("-v -v", 2), ("--verbose", 1), ("--verbose=3", 1)]
    {
        assert_eq!(options(line).verbosity, count, "{line}");
    }
    assert_eq!(options("-vvd -v"), Options { verbosity: 3, daemonize: true, ..options("") });
}

#[test]
fn ports() {
    assert_eq!(options("-p 4000").listen, any(4000));
    assert_eq!(options("-p4000").tcp_port, 4000);
    assert_eq!((options("-p -1").listen, options("--port=-1").tcp_port), (any(0), 0));
    let none = options("-p 0 -l 127.0.0.1:5");
    assert_eq!(none.listen, Listen::Tcp(vec![]));
    assert_eq!(none.warnings, ["-p 0 without -s, -U or --shard-ports: there is nothing to listen on"]);
    for value in ["65536", "-2", "x", "", "1 2", "1k"] {
        let error = ask_words(&["-p", value]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("-p, --port `{value}`: must be a whole number from -1 to 65535")
        );
        assert_eq!(error.exit_status(), 1);
    }
}

#[test]
fn unix_socket_replaces_tcp() {
    let path = PathBuf::from("/tmp/x.sock");
    assert_eq!(options("-s /tmp/x.sock").listen, Listen::Unix { path: path.clone(), mode: 0o700 });
    let o = options("-s /tmp/x.sock -a 0666 -p 0 -l 127.0.0.1");
    assert_eq!((o.listen, o.warnings.len()), (Listen::Unix { path, mode: 0o666 }, 0));
    let long = format!("/{}", "x".repeat(107));
    let sentence = format!("-s, --unix-socket `{long}`: must be a path of 1 to 107 bytes");
    assert_eq!(refused(&format!("-s {long}")), (sentence, 1));
    for value in ["888", "1000", "rw", "-1"] {
        let sentence = format!("-a, --unix-mask `{value}`: must be an octal file mode from 0 to 777");
        assert_eq!(refused(&format!("-s /x -a {value}")), (sentence, 1));
    }
}

#[test]
fn counts_have_limits() {
    assert_eq!(options("-c 5").conn_limit, 5);
    assert_eq!(options("-b 5").backlog, 5);
    assert_eq!(options("-R 5").requests_per_turn, 5);
    assert_eq!(options("-n 48").item_size_min_bytes, 48);
    assert_eq!(options("-t 2").cores, [0, 1]);
    let limits = [
        ("-c", "-c, --conn-limit", "0", "1 to 2147483647"),
        ("-c", "-c, --conn-limit", "2147483648", "1 to 2147483647"),
        ("-b", "-b, --listen-backlog", "-1", "0 to 2147483647"),
        ("-R", "-R, --max-reqs-per-event", "0", "1 to 2147483647"),
        ("-n", "-n, --slab-min-size", "0", "1 to 524288"),
        ("-t", "-t, --threads", "0", "1 to 256"),
        ("-t", "-t, --threads", "257", "1 to 256"),
        ("-m", "-m, --memory-limit", "0", "1 to 16777216"),
        ("-m", "-m, --memory-limit", "64m", "1 to 16777216"),
    ];
    for (letter, option, value, range) in limits {
        let sentence = format!("{option} `{value}`: must be a whole number from {range}");
        assert_eq!(refused(&format!("{letter} {value}")), (sentence, 1));
    }
}

#[test]
fn item_sizes() {
    for (value, bytes) in [("1024", 1024), ("1k", 1024), ("2m", 2 << 20), ("2M", 2 << 20), ("1g", 1 << 30)] {
        assert_eq!(options(&format!("-m 4096 -I {value}")).item_size_max_bytes, bytes);
    }
    for value in ["1023", "2g", "1t", "k", "1.5m", "99999999999999999999g", "1ké", "é"] {
        let (sentence, status) = refused(&format!("-I {value}"));
        assert!(
            sentence.starts_with(&format!("-I, --max-item-size `{value}`: must be a number of bytes")),
            "{sentence}"
        );
        assert_eq!(status, 1);
    }
    assert_eq!(options("-m 2 -I 1m").item_size_max_bytes, 1 << 20);
    let (sentence, status) = refused("-m 1");
    assert!(
        sentence.contains("-I, --max-item-size of 1048576 bytes with -m, --memory-limit of 1 MiB"),
        "{sentence}"
    );
    assert_eq!(status, 64);
    assert_eq!(refused("-n 2048 -I 1k").1, 64);
}

#[test]
fn growth_factor() {
    assert_eq!(options("-f 1.25").growth_factor, 1.25);
    for value in ["1", "0.5", "-2", "x", "inf", "NaN"] {
        let sentence = format!("-f, --slab-growth-factor `{value}`: must be a number greater than 1");
        assert_eq!(refused(&format!("-f {value}")), (sentence, 1));
    }
}

#[test]
fn names_may_not_be_empty() {
    for (option, what) in [
        ("-u, --user", "the name of a user"),
        ("-P, --pidfile", "the path of a file"),
        ("-Y, --auth-file", "the path of a file"),
    ] {
        let error = ask_words(&[&option[..2], ""]).unwrap_err();
        assert_eq!(error.to_string(), format!("{option} ``: must be {what}"));
    }
}

#[test]
fn cores_and_listen_and_extended_reach_their_grammars() {
    assert_eq!(options("--cores 3,1-2").cores, [3, 1, 2]);
    assert_eq!(options("--cores=3,1-2 -t 1").cores, [3]);
    assert!(refused("--cores 4").0.starts_with("--cores `4`: must be"));
    assert_eq!(options("-l *:1 -l [::1]:2").listen, { Listen::Tcp(vec![any_address(1), name("::1", 2)]) });
    assert!(refused("-l h:x").0.starts_with("-l, --listen `h:x`: must be"));
    let o = options("-o idle_timeout=7,modern -o no_maxconns_fast,hashpower=22");
    assert_eq!((o.idle_timeout_s, o.maxconns_fast, o.warnings.len()), (7, false, 1));
    let o = options("-o watcher_logbuf_size=512,worker_logbuf_size=1");
    assert_eq!((o.watcher_log_bytes, o.worker_log_bytes, o.warnings.len()), (512 << 10, 1 << 10, 0));
    assert_eq!(refused("-o hashpower=22,bogus"), ("Illegal suboption \"bogus\"".to_string(), 1));
}

#[test]
fn questions_are_answered_instead_of_serving() {
    assert_eq!(shown("-V"), "ringcached 0.1.0\n");
    assert_eq!(shown("--version"), "ringcached 0.1.0\n");
    assert!(shown("-i").contains("Apache License"));
    for line in ["-h", "--help", "-p 1 -h"] {
        assert!(shown(line).starts_with("ringcached 0.1.0\n"), "{line}");
    }
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    let cases = [("-e /x", "-e, --memory-file"), ("-Z", "-Z, --enable-ssl"), ("-N 2", "-N, --napi-ids")];
    for (line, option) in cases {
        let (sentence, status) = refused(line);
        assert!(sentence.starts_with(&format!("{option}: not supported by this version")), "{sentence}");
        assert_eq!(status, 64, "{line}");
    }
}

#[test]
fn a_word_of_no_option_is_ignored_with_a_warning() {
    let o = options("stray");
    assert_eq!(o.warnings, ["`stray` belongs to no option and is ignored"]);
    assert_eq!(Options { warnings: vec![], ..o }, options(""));
}

#[test]
fn udp_ports() {
    // Each row was asked of memcached, with the ports it then listened on.
    let rows = [
        ("-U 4000", any(4000), vec![any_address(4000)]),
        ("-U -1", any(0), vec![any_address(0)]),
        ("-U -1 -p 4000", any(4000), vec![any_address(0)]),
        ("-U 4000 -p 4001", any(4001), vec![any_address(4000)]),
        ("-U 4000 -p 0", Listen::Tcp(vec![]), vec![any_address(4000)]),
        ("-U 4000 -l h:1", Listen::Tcp(vec![name("h", 1)]), vec![name("h", 1)]),
        ("-U 4000 -p 4001 -l h", Listen::Tcp(vec![name("h", 4001)]), vec![name("h", 4000)]),
        ("-U 0", any(11211), vec![]),
        ("-U 0 -p 4000", any(4000), vec![]),
    ];
    for (line, listen, udp) in rows {
        let o = options(line);
        assert_eq!((o.listen, o.udp, o.warnings.len()), (listen, udp, 0), "{line}");
    }
    let o = options("-U 4000 -s /x");
    assert_eq!((matches!(o.listen, Listen::Unix { .. }), o.udp), (true, vec![]));
    assert_eq!(options("-U 1 -l tag_a_:h").warnings.len(), 1, "said once, not for each transport");
    for value in ["65536", "-2", "x"] {
        let sentence = format!("-U, --udp-port `{value}`: must be a whole number from -1 to 65535");
        assert_eq!(refused(&format!("-U {value}")), (sentence, 1));
    }
}

#[test]
fn protocols() {
    for (line, protocol) in
        [("-B ascii", Protocol::Ascii), ("-B binary", Protocol::Binary), ("-B auto", Protocol::Auto)]
    {
        let o = options(&format!("{line} -U 5"));
        let everywhere = vec![ListenAddress { protocol, ..any_address(5) }];
        assert_eq!((o.protocol, o.listen, o.udp), (protocol, Listen::Tcp(everywhere.clone()), everywhere));
    }
    let o = options("-B binary -l proto[ascii]:h:1,h:2");
    let ascii = ListenAddress { protocol: Protocol::Ascii, ..name("h", 1) };
    let binary = ListenAddress { protocol: Protocol::Binary, ..name("h", 2) };
    assert_eq!(o.listen, Listen::Tcp(vec![ascii, binary]));
    assert_eq!(
        refused("-B nonsense"),
        ("-B, --protocol `nonsense`: must be `ascii`, `auto` or `binary`".into(), 1)
    );
}

#[test]
fn a_users_file_asks_for_text_clients_that_authenticate() {
    let o = options("-Y /u");
    assert_eq!(o.authentication, Some(Authentication::Token(PathBuf::from("/u"))));
    assert_eq!(o.protocol, Protocol::Ascii);
    assert_eq!(options("-Y /u -B ascii"), o);
    assert_eq!(options("-Y /u -U 0").udp, []);
    for line in ["-Y /u -B binary", "-Y /u -B auto"] {
        let (sentence, status) = refused(line);
        let start = format!("-B, --protocol allows the {} protocol, and -Y, --auth-file alone", &line[9..]);
        assert!(sentence.starts_with(&start) && sentence.ends_with("or give -S, --enable-sasl as well"));
        assert_eq!(status, 64);
    }
    for line in ["-Y /u -l proto[binary]:h", "-Y /u -l h,proto[negotiating]:h"] {
        let (sentence, status) = refused(line);
        assert!(sentence.starts_with("an address of -l, --listen allows the"), "{sentence}");
        assert_eq!(status, 64);
    }
    for line in ["-Y /u -U 5", "-Y /u -U -1", "-S -Y /u -U 5"] {
        let (sentence, status) = refused(line);
        assert!(sentence.starts_with("-U, --udp-port together with authentication"), "{sentence}");
        assert_eq!(status, 64);
    }
}

#[test]
fn sasl_alone_needs_users_from_the_environment() {
    let (sentence, status) = refused("-S");
    assert!(sentence.starts_with("-S, --enable-sasl without users: "), "{sentence}");
    assert!(sentence.ends_with("in the environment variable MEMCACHED_SASL_PWDB"), "{sentence}");
    assert_eq!(status, 64);
    let machine = Machine { sasl_users: Some(PathBuf::from("/env")), ..machine() };
    let ask = |line: &str| read(&line.split(' ').collect::<Vec<_>>())?.asked(&machine);
    match ask("-S") {
        Ok(Asked::Serve(o)) => {
            assert_eq!(o.authentication, Some(Authentication::Sasl(PathBuf::from("/env"))));
            assert_eq!(o.protocol, Protocol::Binary);
        }
        other => panic!("{other:?}"),
    }
    for line in ["-S -B ascii", "-S -B auto", "-S -l proto[ascii]:h"] {
        let error = ask(line).unwrap_err();
        assert!(error.to_string().contains("-S, --enable-sasl alone"), "{error}");
        assert_eq!(error.exit_status(), 64);
    }
}

#[test]
fn sasl_with_a_users_file_leaves_the_protocol_open() {
    let both = Some(Authentication::Both(PathBuf::from("/u")));
    for (line, protocol) in [
        ("-S -Y /u", Protocol::Auto),
        ("-S -Y /u -B auto", Protocol::Auto),
        ("-S -Y /u -B ascii", Protocol::Ascii),
        ("-S -Y /u -B binary -l proto[ascii]:h", Protocol::Binary),
    ] {
        let o = options(line);
        assert_eq!((o.authentication, o.protocol), (both.clone(), protocol), "{line}");
    }
    assert_eq!(both.as_ref().map(|both| both.users_file()), Some(std::path::Path::new("/u")));
}

#[test]
fn prefixes_are_counted_once_their_end_is_named() {
    let o = options("-D /");
    assert_eq!((o.prefix_delimiter, o.count_prefixes), (b'/', true));
    for value in ["", "ab", "\u{e9}"] {
        let error = ask_words(&["-D", value]).unwrap_err();
        let sentence = format!("-D, --prefix-delimiter `{value}`: must be one ASCII character");
        assert_eq!((error.to_string(), error.exit_status()), (sentence, 1));
    }
}

#[test]
fn key_sizes() {
    for bytes in [250, 251, 65535] {
        assert_eq!(options(&format!("--max-key-size {bytes}")).key_size_max_bytes, bytes);
    }
    for value in ["249", "65536", "1k"] {
        let sentence = format!("--max-key-size `{value}`: must be a whole number from 250 to 65535");
        assert_eq!(refused(&format!("--max-key-size={value}")), (sentence, 1));
    }
}

#[test]
fn what_is_no_option_is_refused_in_one_sentence() {
    let cases = [
        ("--bogus", "unknown option `--bogus`: `ringcached -h` lists all of them"),
        ("-q", "unknown option `-q`: `ringcached -h` lists all of them"),
        ("--memory=1", "unknown option `--memory`: `ringcached -h` lists all of them"),
        ("-m", "--memory-limit <MiB>: needs a value"),
        ("--daemon=1", "--daemon: takes no value"),
    ];
    for (line, sentence) in cases {
        let (said, status) = refused(line);
        assert!(said.contains(sentence), "`{line}`: {said}");
        assert_eq!(status, 1, "{line}");
    }
    use std::os::unix::ffi::OsStringExt;
    let words = [OsString::from("ringcached"), OsString::from_vec(b"-u\xff".to_vec())];
    let given = Given::read(words, |_| panic!("no file is named"));
    assert_eq!(given.err(), Some(OptionError::NotUtf8));
}
