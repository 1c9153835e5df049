//! `ringcached top`: in a terminal of tmux's, and as text.

use crate::harness::{PATIENCE, Server, another_server_lacks, free_ports, server_command, wait_for};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

/// A terminal of our own: a server of tmux with one pane. Its directory has its socket and what the pane's shell writes.
struct Screen {
    directory: tempfile::TempDir,
}

impl Screen {
    /// 120 columns and 40 lines, in which `top` runs with these words. Its terminal's settings are noted before and behind it,
    /// and the shell says how it ended.
    fn running(words: &str) -> Screen {
        let screen = Screen { directory: tempfile::tempdir().expect("temporary directory") };
        let (program, directory) = (env!("CARGO_BIN_EXE_ringcached"), screen.directory.path().display());
        let script = format!(
            "cd '{directory}'; stty -g >before; sh -c 'echo $$ >pid; exec \"$0\" top {words}' '{program}'; \
             echo \"it ended with $?\"; stty -g >behind; exec cat"
        );
        // Neither the configuration nor the locale of who runs the tests.
        let size = ["-u", "-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40"];
        screen.tmux(&[&size[..], &[&script]].concat());
        screen
    }

    fn tmux(&self, words: &[&str]) -> String {
        let socket = self.directory.path().join("socket");
        let output = Command::new("tmux").arg("-S").arg(socket).args(words).env_remove("TMUX").output();
        let output = output.expect("`tmux`: install tmux");
        assert!(output.status.success(), "tmux {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn resize(&self, columns: &str, lines: &str) {
        self.tmux(&["resize-window", "-x", columns, "-y", lines]);
    }

    /// What is to be seen.
    fn frame(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until what is to be seen has all of `parts`. Between two looks `meanwhile` is done.
    fn wait_for(&self, parts: &[&str], mut meanwhile: impl FnMut()) -> String {
        let mut last = String::new();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            meanwhile();
            last = self.frame();
            if parts.iter().all(|part| last.contains(part)) {
                return last;
            }
        }
        panic!("no {parts:?} in\n{last}");
    }

    fn file(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.directory.path().join(name)).ok().filter(|text| text.ends_with('\n'))
    }

    /// It has ended with this status, and the terminal is what it was before.
    fn expect_end(&self, status: u32) {
        self.wait_for(&[&format!("it ended with {status}")], || {});
        let behind = wait_for("the settings of the terminal", || self.file("behind"));
        assert_eq!(Some(behind), self.file("before"), "stty -g");
        let modes = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        assert_eq!(modes.trim(), "0 1", "the first screen, with a cursor");
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let socket = self.directory.path().join("socket");
        let _ = Command::new("tmux").arg("-S").arg(socket).arg("kill-server").output();
    }
}

/// A server of two shards on this port.
fn server_on(port: u16, options: &[&str]) -> Server {
    let port = port.to_string();
    Server::listening(server_command(&[&["-p", &port, "-l", "127.0.0.1", "-t", "2"], options].concat()))
}

/// A load of gets, mostly of one key, half of them misses.
fn some_requests(server: &Server) -> impl FnMut() {
    let mut conn = server.connect();
    // A key that would clear the screen.
    conn.ask("set hot\x1b[2J 0 0 1\r\n1\r\n", "STORED\r\n");
    let mut turn = 0_u32;
    move || {
        for _ in 0..20 {
            turn += 1;
            conn.ask("get hot\x1b[2J\r\n", "VALUE hot\x1b[2J 0 1\r\n1\r\nEND\r\n");
            conn.ask(format!("get cold{turn}\r\n"), "END\r\n");
        }
    }
}

/// `top` without a terminal.
fn top(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringcached"));
    command.arg("top").args(words).stdin(Stdio::null()).output().expect("the program")
}

/// The frame of `top --once`.
fn once(words: &[&str]) -> String {
    let output = top(&[words, &["--once", "-i", "0.2"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("ASCII and bars")
}

fn assert_has(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "no `{part}` in\n{text}"));
}

/// Why `top` with these words ends with status 1.
fn refusal(words: &[&str]) -> String {
    let output = top(words);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The number before `/s` in the first total.
fn requests_per_s(frame: &str) -> f64 {
    let rate = frame.split(" requests ").nth(1).and_then(|rest| rest.split("/s").next()).unwrap_or_default();
    rate.replace(',', "").parse().unwrap_or(0.0)
}

#[test]
fn a_server_is_seen_working_stopping_and_coming_back() {
    if another_server_lacks("ringcached top") {
        return;
    }
    let port = free_ports(1);
    let mut server = server_on(port, &["--slow-log", "1"]);
    let mut load = some_requests(&server);
    let screen = Screen::running(&format!("127.0.0.1:{port} --interval 0.2"));
    // Rates, a latency, the bar of a shard and the hot key, whose escape sequence is harmless.
    let parts = ["hits 50.0 %", "us  ", "    0 |||", "    1 |||", "hot%1B%5B2J", "of 64.0 MiB"];
    let frame = screen.wait_for(&parts, &mut load);
    assert!(requests_per_s(&frame) > 0.0, "{frame}");
    assert_has(
        &frame,
        &[
            &format!(" 127.0.0.1:{port}  version 1.6"),
            " shards, by number",
            "requests a second, look by look",
        ],
    );
    screen.press(&["3"]);
    screen.wait_for(&["shard requests", "core"], &mut load);
    screen.resize("80", "24");
    screen.wait_for(&["shard requests", "? help"], || {});
    assert_eq!(screen.frame().lines().count(), 24);
    screen.press(&["Tab", "Tab", "Tab"]);
    screen.wait_for(&["requests that took 1us or longer", "hot%1B%5B2J"], &mut load);
    screen.press(&["?"]);
    screen.wait_for(&["next pane"], || {});
    screen.press(&["?", "1"]);
    screen.wait_for(&["commands; hits now"], || {});
    screen.press(&["p"]);
    screen.wait_for(&["PAUSED"], || {});
    screen.press(&["p"]);
    // It goes away, and is started again.
    drop(load);
    server.stop();
    let lost = screen.wait_for(&["LOST for", "Connection refused", "trying again"], || {});
    assert!(!lost.contains("PAUSED"), "{lost}");
    let server = server_on(port, &[]);
    let mut load = some_requests(&server);
    let frame = screen.wait_for(&["hits 50.0 %", "? help", "hot%1B%5B2J"], &mut load);
    assert!(!frame.contains("LOST"), "{frame}");
    screen.press(&["q"]);
    screen.expect_end(0);
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    if another_server_lacks("ringcached top") {
        return;
    }
    // Nobody listens there.
    let screen = Screen::running(&format!("127.0.0.1:{}", free_ports(1)));
    screen.wait_for(&["nothing seen yet", "LOST for", "Connection refused"], || {});
    let pid = wait_for("the pid", || screen.file("pid"));
    let kill = Command::new("kill").args(["-TERM", pid.trim()]).status().expect("kill");
    assert!(kill.success());
    screen.expect_end(143);
}

/// As when its window is closed.
#[test]
fn it_does_not_outlive_its_terminal() {
    if another_server_lacks("ringcached top") {
        return;
    }
    let server = Server::start(1, &[]);
    let screen = Screen::running(&format!("127.0.0.1:{}", server.port()));
    screen.wait_for(&["requests 0.0/s"], || {});
    let pid = wait_for("the pid", || screen.file("pid"));
    drop(screen);
    wait_for("the end of a process without a terminal", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim()));
        // Whoever adopted it may not have asked how it ended.
        status.map_or(true, |status| status.contains("State:\tZ")).then_some(())
    });
}

#[test]
fn control_c_ends_it() {
    if another_server_lacks("ringcached top") {
        return;
    }
    let server = Server::start(1, &[]);
    let screen = Screen::running(&format!("127.0.0.1:{}", server.port()));
    screen.wait_for(&["requests 0.0/s"], || {});
    screen.press(&["C-c"]);
    screen.expect_end(0);
}

#[test]
fn one_frame_is_text() {
    if another_server_lacks("ringcached top") {
        return;
    }
    let server = Server::start(2, &[]);
    let mut load = some_requests(&server);
    load();
    let frame = once(&[&format!("localhost:{}", server.port())]);
    assert_has(&frame, &["requests 0.0/s   hits - (in all 50.0 %)", "(in all", "get", "hot%1B%5B2J"]);
    assert_eq!(frame.lines().count(), 40);
    assert!(!frame.chars().any(|c| c.is_control() && c != '\n'), "{frame}");
    let server = Server::on_unix_socket(&[]);
    let path = server.unix_socket().to_str().expect("UTF-8");
    assert_has(&once(&[path]), &[path, "version 1.6", "items 0 "]);
}

#[test]
fn memcached_is_seen_without_what_it_lacks() {
    let mut memcached = Command::new("memcached");
    memcached.args(["-u", "root", "-p", "-1", "-l", "127.0.0.1"]);
    let memcached = Server::listening(memcached);
    let mut conn = memcached.connect();
    conn.ask("set a 0 0 1\r\n1\r\nget a\r\nget b\r\n", "STORED\r\nVALUE a 0 1\r\n1\r\nEND\r\nEND\r\n");
    let frame = once(&[&memcached.addresses[0].to_string()]);
    assert_has(&frame, &["(in all 50.0 %)", "items 1 ", "(meta)", "memory of size classes, by bytes"]);
    for lacking in ["shards", "latency", "hotkeys 50"] {
        assert_has(&frame, &[&format!("absent: the server answers ERROR to `stats {lacking}`")]);
    }
}

#[test]
fn a_login_comes_from_a_file() {
    if another_server_lacks("ringcached top") {
        return;
    }
    let users = tempfile::NamedTempFile::new().expect("temporary file");
    std::fs::write(users.path(), "ann:pass word:2\nbob:x\n").expect("written");
    let path = users.path().to_str().expect("UTF-8");
    let server = Server::start(1, &["-Y", path]);
    let address = format!("127.0.0.1:{}", server.port());
    assert_has(&once(&[&address, "--login", path]), &["version 1.6", "requests 0.0/s"]);
    let error = refusal(&[&address, "--once"]);
    assert_has(
        &error,
        &[
            "ringcached top: `stats` is refused: CLIENT_ERROR unauthenticated; does the server want a --login?",
        ],
    );
    std::fs::write(path, "ann:wrong\n").expect("written");
    assert_has(
        &refusal(&[&address, "--once", "--login", path]),
        &["the login is refused: CLIENT_ERROR authentication failure"],
    );
}

#[test]
fn errors_are_sentences() {
    if another_server_lacks("ringcached top") {
        return;
    }
    assert_eq!(
        refusal(&["127.0.0.1:1"]),
        "ringcached top: standard output is no terminal: use --once for one frame as text\n"
    );
    assert_has(&refusal(&["127.0.0.1:1", "--once"]), &["ringcached top: cannot connect: Connection refused"]);
    assert_has(&refusal(&["/nonexistent", "--once"]), &["ringcached top: cannot connect: No such file"]);
    assert_eq!(top(&["--interval", "0"]).status.code(), Some(64));
    // A word of this name elsewhere is one that belongs to no option, as with memcached.
    let words = ["-V", "top"];
    let output = Command::new(env!("CARGO_BIN_EXE_ringcached")).args(words).output().expect("the program");
    assert!(output.stdout.starts_with(b"ringcached 0."), "{output:?}");
}
