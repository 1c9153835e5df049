//! `docs/compatibility.md` is a promise, and this holds the server to it: every row is an example, and every example is
//! run. `page` reads the tables, `lists` says which rows there must be, this file starts a server for each row and
//! compares.
//!
//! With `RINGCACHED_TEST_SERVER` naming memcached 1.6.45 the same rows check the page's facts about memcached: rows
//! marked `yes` must agree there too, requests marked `differs` must not, and the rest is ours alone.

use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Conn, PATIENCE, Server, server_command, shown, wait_for};

mod lists;
mod page;

use page::{Answer, Before, Here, OptionRow, Outcome, Page, RequestRow, Then};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md");
/// Where each server listens unless its row says otherwise. Two shards: half of the keys hop.
const LISTEN: [&str; 6] = ["-p", ANY_PORT, "-l", "127.0.0.1", "-t", "2"];
/// The server chooses, and writes it into its port file.
const ANY_PORT: &str = "-1";
/// What a users file holds where a row names `{users}`.
const USERS: &str = "user:pass\n";
/// Rows run at a time.
const WORKERS: usize = 4;
/// How often a row is run again whose dump meets a crawl of the server's own: `BUSY` is an answer clients must expect.
const BUSY_RETRIES: usize = 20;
/// The longest answer that is compared.
const DATAGRAM_MAX: usize = 65_536;

/// A request of each kind whose answer is known: what comes before that answer belongs to the row.
const TEXT_MARK: (&[u8], &[u8]) = (b"version\r\n", b"VERSION ");
const BINARY_MARK: (&[u8], &[u8]) = (
    b"\x80\x0a\0\0\0\0\0\0\0\0\0\0mark\0\0\0\0\0\0\0\0",
    b"\x81\x0a\0\0\0\0\0\0\0\0\0\0mark\0\0\0\0\0\0\0\0",
);
const UDP_MARK: (&[u8], &[u8]) = (b"\xff\x01\0\0\0\x01\0\0version\r\n", b"\xff\x01\0\0\0\x01\0\0VERSION ");

fn page() -> Page {
    let text = std::fs::read_to_string(PAGE).expect("docs/compatibility.md");
    page::read(&text).unwrap_or_else(|complaints| panic!("docs/compatibility.md:\n{}", complaints.join("\n")))
}

#[test]
fn every_row_is_there() {
    let complaints = lists::missing(&page());
    assert!(complaints.is_empty(), "docs/compatibility.md:\n{}", complaints.join("\n"));
}

#[test]
fn requests_are_answered_as_the_page_says() {
    hold(page().requests, |row| (row.line, row.here), |row| row.before.other_build, answered);
}

#[test]
fn command_lines_do_what_the_page_says() {
    hold(
        page().options,
        |row| (row.line, row.here),
        |_| false,
        |row| row.tries.iter().try_for_each(|line| tried(row, line)),
    );
}

/// Runs `check` for every row, a few at a time, and fails with all that do not hold. Against memcached itself the rows
/// that are ours alone, and those of another build, are counted aloud and left out.
fn hold<R: Send + Sync + 'static>(
    rows: Vec<R>,
    place: impl Fn(&R) -> (usize, Here),
    other_build: impl Fn(&R) -> bool,
    check: fn(&R) -> Result<(), String>,
) {
    let measure = std::env::var_os("RINGCACHED_TEST_SERVER").is_some();
    let all = rows.len();
    let rows: Vec<R> = rows
        .into_iter()
        .filter(|row| !measure || (matches!(place(row).1, Here::Yes | Here::Differs) && !other_build(row)))
        .collect();
    eprintln!("{} of {all} rows are run", rows.len());
    let mut complaints = Vec::new();
    for batch in split(rows) {
        let places: Vec<_> = batch.iter().map(&place).collect();
        let threads = batch.into_iter().map(|row| std::thread::spawn(move || check(&row)));
        for (thread, (line, here)) in threads.collect::<Vec<_>>().into_iter().zip(places) {
            // A server that does not start panics in its thread; the other rows go on.
            let found = thread.join().unwrap_or_else(|_| Err("see the panic above".into()));
            match (found, measure && here == Here::Differs) {
                (Err(why), false) => complaints.push(format!("line {line}: {why}")),
                (Ok(()), true) => {
                    complaints.push(format!("line {line}: memcached does the same: not `differs`"))
                }
                _ => {}
            }
        }
    }
    let failed = complaints.len();
    assert!(complaints.is_empty(), "{failed} rows of docs/compatibility.md:\n{}", complaints.join("\n"));
}

/// The rows in batches of [`WORKERS`].
fn split<R>(rows: Vec<R>) -> impl Iterator<Item = Vec<R>> {
    let mut rows = rows.into_iter();
    std::iter::from_fn(move || {
        let batch: Vec<R> = rows.by_ref().take(WORKERS).collect();
        (!batch.is_empty()).then_some(batch)
    })
}

/// Starts a server as the row asks, sends its request and compares.
fn answered(row: &RequestRow) -> Result<(), String> {
    let mut got = Err(String::new());
    for _ in 0..BUSY_RETRIES {
        got = asked(row);
        if !got.as_ref().is_err_and(|got| got.starts_with("BUSY")) {
            break;
        }
    }
    got.map_err(|got| format!("`{}`\n want: {}\n  got: {got}", shown(&row.request), wanted(&row.answer)))
}

/// What came back, if it is not the answer of the row.
fn asked(row: &RequestRow) -> Result<(), String> {
    let files = Files::new();
    let server = Server::listening(files.command(&row.before.options));
    prepare(&server, &row.before);
    let outcome = match row.before.udp.then(|| server.udp_addresses[0]) {
        Some(address) => datagram(address, row),
        None => stream(server.connect(), row),
    };
    // `shutdown` ends the server, which its row has seen as a closed connection.
    if row.answer.then == Then::Closed && row.name == "shutdown" {
        ended(server);
    }
    outcome
}

fn ended(mut server: Server) {
    let status = server.wait_for_exit();
    assert!(status.success(), "shutdown: {status}");
}

/// Sends what must have happened before, and waits until it has.
fn prepare(server: &Server, before: &Before) {
    if before.requests.is_empty() {
        return;
    }
    let mut conn = server.connect();
    conn.send(before.requests.concat());
    conn.send(TEXT_MARK.0);
    while !conn.line().as_bytes().starts_with(TEXT_MARK.1) {}
}

/// The answer to the row's request on a stream; what came instead, if it is another.
fn stream(mut conn: Conn, row: &RequestRow) -> Result<(), String> {
    let mark = if row.request.first() == Some(&0x80) { BINARY_MARK } else { TEXT_MARK };
    let Answer { bytes, then } = &row.answer;
    conn.send(&row.request);
    let mut expected = bytes.clone();
    if *then == Then::Complete {
        conn.send(mark.0);
        expected.extend_from_slice(mark.1);
    }
    let got = receive(&mut conn, &expected)?;
    if *then != Then::Closed {
        return Ok(());
    }
    match conn.read(&mut [0]) {
        Ok(0) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => Ok(()),
        other => Err(format!("{} and then {other:?}", shown(&got))),
    }
}

/// Reads as much as is expected, or what shows that something else comes.
fn receive(conn: &mut Conn, expected: &[u8]) -> Result<Vec<u8>, String> {
    let mut got = Vec::new();
    while got.len() < expected.len() {
        let mut some = vec![0; expected.len() - got.len()];
        let end = conn.read(&mut some);
        let len = *end.as_ref().unwrap_or(&0);
        got.extend_from_slice(&some[..len]);
        if len == 0 || !expected.starts_with(&got) {
            return Err(format!("{} ({end:?})", shown(&got)));
        }
    }
    Ok(got)
}

/// The answer to the row's request as one datagram.
fn datagram(address: SocketAddr, row: &RequestRow) -> Result<(), String> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
    socket.connect(address).expect("an address");
    socket.set_read_timeout(Some(PATIENCE)).expect("read timeout");
    let next = |expected: &[u8]| {
        let mut got = vec![0; DATAGRAM_MAX];
        let len = socket.recv(&mut got).map_err(|e| e.to_string())?;
        got.truncate(len);
        if got.starts_with(expected) { Ok(got) } else { Err(shown(&got)) }
    };
    let Answer { bytes, then } = &row.answer;
    socket.send(&row.request).map_err(|e| e.to_string())?;
    if !bytes.is_empty() {
        let got = next(bytes)?;
        if *then == Then::Complete && got.len() > bytes.len() {
            return Err(shown(&got));
        }
    }
    socket.send(UDP_MARK.0).map_err(|e| e.to_string())?;
    next(UDP_MARK.1).map(|_| ())
}

fn wanted(answer: &Answer) -> String {
    let then = match answer.then {
        Then::Complete => "",
        Then::More => " ...",
        Then::Closed => " then closed",
    };
    format!("{}{then}", shown(&answer.bytes))
}

/// The directory of one row: sockets, a users file, a pid file.
struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn new() -> Files {
        let directory = tempfile::tempdir().expect("temporary directory");
        std::fs::write(directory.path().join("users"), USERS).expect("users file");
        Files { directory }
    }

    /// The path of a file in it.
    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// The words of a command line, its placeholders filled in.
    fn words(&self, line: &str) -> Vec<String> {
        let filled = |word: &str| {
            word.replace("{dir}/", &self.path(""))
                .replace("{users}", &self.path("users"))
                .replace("{udp}", ANY_PORT)
        };
        line.split(' ').map(filled).collect()
    }

    /// The server with these command lines behind where it listens.
    fn command(&self, lines: &[String]) -> Command {
        let mut command = server_command(&LISTEN);
        command.args(lines.iter().flat_map(|line| self.words(line)));
        command
    }
}

/// Runs one command line and compares what becomes of it.
fn tried(row: &OptionRow, line: &str) -> Result<(), String> {
    let files = Files::new();
    let command = files.command(&[line.to_string()]);
    match &row.outcome {
        Outcome::Starts => started(&files, command).and_then(|stderr| match warning(&stderr, row, line) {
            Some(warning) => Err(format!("`{line}` warns: {warning}")),
            None => Ok(()),
        }),
        Outcome::Serves => started(&files, command).map(|_| ()),
        Outcome::Warns(word) => started(&files, command).and_then(|stderr| {
            let warned = warning(&stderr, row, line).is_some_and(|warning| warning.contains(word));
            if warned { Ok(()) } else { Err(format!("`{line}`: no warning with `{word}` in: {stderr}")) }
        }),
        Outcome::Ends { status, word } => ends(command).and_then(|(code, output)| {
            let right = code == Some(*status) && output.contains(word);
            if right {
                Ok(())
            } else {
                Err(format!("`{line}`: status {code:?}, want {status} and `{word}`: {output}"))
            }
        }),
        Outcome::Detaches => detached(&files, command),
    }
}

/// The line of `stderr` that warns of this option.
fn warning<'a>(stderr: &'a str, row: &OptionRow, line: &str) -> Option<&'a str> {
    let names = row.names.iter().map(|name| name.split(['=', '[', ' ']).next().unwrap_or_default());
    let names: Vec<&str> = names.chain(line.split(['=', ' ']).next()).filter(|name| *name != "-o").collect();
    let mut warnings = stderr.lines().filter(|text| text.contains("warning"));
    warnings.find(|text| names.iter().any(|name| text.split([' ', ',', ':', '`']).any(|word| word == *name)))
}

/// Waits until the server serves, on its port or on the socket of its row; what it has written to stderr by then.
fn started(files: &Files, command: Command) -> Result<String, String> {
    let socket = std::path::PathBuf::from(files.path("socket"));
    let on_socket = command.get_args().any(|word| word.to_string_lossy().ends_with("/socket"));
    let server = if on_socket {
        Server::listening_on_path(command, tempfile::tempdir().expect("temporary directory"), socket)
    } else {
        Server::listening(command)
    };
    // With -Y there is an answer too.
    match server.connect().ask_line("version\r\n") {
        line if line.starts_with("VERSION ") || line == "CLIENT_ERROR unauthenticated" => Ok(server.stderr()),
        line => Err(format!("version: {line}")),
    }
}

/// Waits until the command ends by itself: its status, and what it has printed.
fn ends(mut command: Command) -> Result<(Option<i32>, String), String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|e| format!("cannot start {command:?}: {e}"))?;
    // Longer than a pipe holds it may not print: -h and -i are below that.
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().expect("wait for our own child").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("kill our own child");
            child.wait().expect("wait for our own child");
            return Err(format!("{command:?} still runs after {PATIENCE:?}"));
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    let printed = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&printed).into_owned()))
}

/// The command ends and leaves a server behind, whose pid file says where; it is ended again.
fn detached(files: &Files, command: Command) -> Result<(), String> {
    let (code, output) = ends(command)?;
    if code != Some(0) {
        return Err(format!("status {code:?}: {output}"));
    }
    let pid_file = files.path("pid");
    let pid =
        wait_for("the pid file", || std::fs::read_to_string(&pid_file).ok()?.trim().parse::<i32>().ok());
    kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(|e| format!("process {pid}: {e}"))
}
