//! `--busy-poll`: a shard without work looks for some for a while, and then sleeps as ever.

use crate::harness::{Server, another_server_lacks, wait_for};

on_shards! {
    an_idle_shard_looks_for_a_while_and_then_sleeps
}

/// The CPU time a server has taken, in ticks of the kernel, ten milliseconds each: `proc_pid_stat(5)`.
fn ticks(server: &Server) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).expect("a running server");
    let (_, fields) = stat.rsplit_once(')').expect("its name in parentheses");
    let mut times =
        fields.split_ascii_whitespace().skip(11).map(|field| field.parse::<u64>().expect("ticks"));
    times.next().expect("user") + times.next().expect("system")
}

fn an_idle_shard_looks_for_a_while_and_then_sleeps(shards: u32) {
    if another_server_lacks("--busy-poll") {
        return;
    }
    let server = Server::start(shards, &["--busy-poll", "400000"]);
    let mut conn = server.connect();
    let before = ticks(&server);
    // So many requests alone, one every few milliseconds, would not take a tenth of it.
    wait_for("half a second of CPU time", || {
        conn.ask("mn\r\n", "MN\r\n");
        (ticks(&server) >= before + 50).then_some(())
    });
    let (mut last, mut quiet_looks) = (ticks(&server), 0);
    wait_for("a tenth of a second without CPU time", || {
        let now = ticks(&server);
        quiet_looks = if now == last { quiet_looks + 1 } else { 0 };
        last = now;
        (quiet_looks >= 50).then_some(())
    });
    conn.ask("mn\r\n", "MN\r\n");
}
