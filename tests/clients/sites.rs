//! Web servers with their cache in the server under test: Django, PHP's sessions, nginx. Each site is a process of its own,
//! in the foreground on a port of 127.0.0.1 that was free, in a folder that goes with it.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{python, source, tour};
use crate::harness::{Conn, Server, shown, wait_for};

/// How often a site is given another port because somebody took the first between our look and its start.
const PORT_TRIES: usize = 5;

on_1_and_2_shards! { django_pymemcache_text django_pylibmc_text }
on_1_and_2_shards! { php_sessions_text php_sessions_binary nginx_memcached_text nginx_memc_text }

fn django_pymemcache_text(shards: u32) {
    tour(shards, python("django_tour.py"), &["PyMemcacheCache"]);
}

fn django_pylibmc_text(shards: u32) {
    tour(shards, python("django_tour.py"), &["PyLibMCCache"]);
}

/// A running site; it ends when dropped.
struct Site {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Site {
    /// Starts what `command` makes of a folder for its files and an address to listen on, and waits until it accepts.
    fn start(command: impl Fn(&TempDir, SocketAddr) -> Command) -> Site {
        for _ in 0..PORT_TRIES {
            let folder = tempfile::tempdir().expect("temporary directory");
            let address = free_address();
            let mut command = command(&folder, address);
            let log = std::fs::File::create(folder.path().join("log")).expect("log file");
            command.stdin(Stdio::null()).stdout(log.try_clone().expect("log file")).stderr(log);
            let child = command.spawn();
            let child = child.unwrap_or_else(|e| panic!("{command:?}: {e}; tools/check installs it"));
            let mut site = Site { child, address, folder };
            if site.accepts() {
                return site;
            }
            assert!(site.log().contains("in use"), "{command:?} ended:\n{}", site.log());
        }
        panic!("{PORT_TRIES} ports that were free were taken each time before the site had them");
    }

    /// Whether it came to accept connections: false if the process ended instead.
    fn accepts(&mut self) -> bool {
        wait_for("the site", || match self.child.try_wait().expect("wait for our own child") {
            Some(_) => Some(false),
            None => Conn::open_tcp(self.address).map(|_| true),
        })
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Head and body of the answer to a GET of `path`, with `headers` (each line with its CR LF).
    fn get(&self, path: &str, headers: &str) -> (String, Vec<u8>) {
        let mut conn = Conn::open_tcp(self.address).expect("connect to the site");
        conn.send(format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n{headers}\r\n"));
        let mut answer = Vec::new();
        conn.read_to_end(&mut answer).expect("answer of the site");
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("GET {path}: {}\n{}", shown(&answer), self.log()));
        (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end + 4..].to_vec())
    }

    /// The body of a GET that succeeds.
    fn page(&self, path: &str) -> Vec<u8> {
        let (head, body) = self.get(path, "");
        assert!(head.contains(" 200 "), "GET {path}: {head}\n{}", self.log());
        body
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of 127.0.0.1 nobody listens on.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

fn php_sessions_text(shards: u32) {
    php_sessions(shards, "memcached.sess_binary_protocol=0");
}

fn php_sessions_binary(shards: u32) {
    php_sessions(shards, "memcached.sess_binary_protocol=1");
}

/// A page that counts the visits of its session, which memcached keeps; PHP locks it there while the page runs.
fn php_sessions(shards: u32, protocol: &str) {
    let server = Server::start(shards, &[]);
    let save_path = format!("session.save_path=127.0.0.1:{}", server.port());
    let site = Site::start(|_, address| {
        let mut command = Command::new("php");
        command.args(["-d", "session.save_handler=memcached", "-d", &save_path, "-d", protocol]);
        command.args(["-S", &address.to_string()]).arg(source("counter.php"));
        command
    });
    let (head, body) = site.get("/", "");
    assert_eq!(body, b"visit 1\n", "{head}\n{}", site.log());
    let cookie = head.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")).expect("a cookie");
    let cookie = cookie.split(';').next().unwrap_or_default();
    for visit in 2..5 {
        let (_, body) = site.get("/", &format!("Cookie: {cookie}\r\n"));
        assert_eq!(body, format!("visit {visit}\n").into_bytes());
    }
    assert_eq!(site.page("/"), b"visit 1\n", "without the cookie it is another session");
    assert_eq!(server.connect().stat("curr_items"), 2, "two sessions, and no lock is left");
}

/// nginx in the foreground, one process, with `locations` in its one server block and `module` loaded.
fn nginx(module: &str, locations: &str) -> Site {
    Site::start(|folder, address| {
        let prefix = folder.path().to_str().expect("temporary path in UTF-8");
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {prefix}/{kind};"))
            .join(" ");
        let configuration = format!(
            "daemon off; master_process off; pid {prefix}/pid; error_log stderr; {module}\n\
             events {{}}\n\
             http {{ access_log off; {temporary} client_max_body_size 2m; client_body_buffer_size 2m;\n\
             server {{ listen {address}; {locations} }} }}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).expect("nginx.conf");
        let mut command = Command::new("nginx");
        command.args(["-p", prefix, "-c"]).arg(file);
        command
    })
}

/// nginx's own module: pages somebody else has put into memcached, under their path.
fn nginx_memcached_text(shards: u32) {
    let server = Server::start(shards, &["-m", "128"]);
    let site = nginx(
        "",
        &format!(
            "location / {{ set $memcached_key $uri; memcached_pass 127.0.0.1:{}; default_type text/html; \
             error_page 404 = @missing; }} location @missing {{ return 200 'made by the application'; }}",
            server.port()
        ),
    );
    let mut conn = server.connect();
    assert_eq!(site.page("/page.html"), b"made by the application");
    conn.ask("set /page.html 0 0 11\r\n<p>cached\r\n\r\n", "STORED\r\n");
    assert_eq!(site.page("/page.html"), b"<p>cached\r\n");
    for len in [0, 100_000, 1_000_000] {
        let page = vec![b'x'; len];
        conn.send(format!("set /large 0 0 {len}\r\n"));
        conn.send(&page);
        conn.ask("\r\n", "STORED\r\n");
        assert!(site.page("/large") == page, "a page of {len} bytes");
    }
}

/// The memc module of OpenResty: the whole classic protocol over HTTP.
fn nginx_memc_text(shards: u32) {
    let server = Server::start(shards, &["-m", "128"]);
    let site = nginx(
        "load_module /usr/lib/nginx/modules/ngx_http_memc_module.so;",
        &format!(
            "location / {{ set $memc_cmd $arg_cmd; set $memc_key $arg_key; set $memc_value $arg_val; \
             set $memc_exptime $arg_exptime; memc_pass 127.0.0.1:{}; }}",
            server.port()
        ),
    );
    let ask = |query: &str| {
        let (head, body) = site.get(&format!("/?{query}"), "");
        let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    let answers = |query: &str, status: &str, body: &str| {
        assert_eq!(ask(query), (status.to_owned(), body.to_owned()), "{query}");
    };
    answers("cmd=set&key=page&val=cached", "201", "STORED\r\n");
    assert_eq!(site.page("/?cmd=get&key=page"), b"cached");
    answers("cmd=append&key=page&val=-end", "201", "STORED\r\n");
    assert_eq!(site.page("/?cmd=get&key=page"), b"cached-end");
    assert_eq!(ask("cmd=add&key=page&val=other").1, "NOT_STORED\r\n");
    answers("cmd=set&key=count&val=10", "201", "STORED\r\n");
    answers("cmd=incr&key=count&val=5", "201", "15\r\n");
    answers("cmd=decr&key=count&val=100", "201", "0\r\n");
    answers("cmd=delete&key=page", "200", "DELETED\r\n");
    assert_eq!(ask("cmd=get&key=page").0, "404");
    assert!(ask("cmd=stats").1.contains("STAT get_hits 2\r\n"));
    assert!(ask("cmd=version").1.starts_with("VERSION "));
    answers("cmd=flush_all", "200", "OK\r\n");
    answers("cmd=set&key=short&val=x&exptime=1", "201", "STORED\r\n");
    wait_for("a TTL of 1 s", || (ask("cmd=get&key=short").0 == "404").then_some(()));
}
