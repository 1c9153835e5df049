//! Large values and long pipelines.

use crate::harness::Server;

on_shards! { values_of_every_size values_too_large pipelines quiet_pipelines_cut_anywhere }

/// Bytes of `len` in a pattern that shows a piece that is missing or misplaced.
fn value_of(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

fn values_of_every_size(shards: u32) {
    let server = Server::start(shards, &[]);
    let mut connections: Vec<_> = (0..=shards).map(|_| server.connect()).collect();
    for len in [1, 4095, 4096, 4097, 16_384, 100_000, 1_000_000] {
        let value = value_of(len);
        for (i, conn) in connections.iter_mut().enumerate() {
            let key = format!("key{i}");
            conn.ask(
                [format!("ms {key} {len} s k F3 E7\r\n").as_bytes(), &value, b"\r\n"].concat(),
                format!("HD s{len} k{key}\r\n"),
            );
            conn.ask(
                [format!("ms {key} {len} s ME\r\n").as_bytes(), &value, b"\r\n"].concat(),
                format!("NS s{len}\r\n"),
            );
        }
        for conn in &mut connections {
            for i in 0..=shards {
                let head = format!("VA {len} kkey{i} f3 c7 O1\r\n");
                conn.ask(format!("mg key{i} v k f c O1\r\n"), [head.as_bytes(), &value, b"\r\n"].concat());
                conn.ask(format!("mg key{i} v C7 s\r\n"), format!("HD s{len}\r\n"));
                conn.ask(format!("mg key{i} s\r\n"), format!("HD s{len}\r\n"));
            }
        }
        // Bad data at the end of a large value: what was there stays.
        let bad = [format!("ms key0 {len} q\r\n").as_bytes(), &value, b"x\nmg key0 f\r\n"].concat();
        connections[0].ask(bad, "CLIENT_ERROR bad data chunk\r\nHD f3\r\n");
        let bad = [format!("ms key0 {len} Sx\r\n").as_bytes(), &value, b"\r\nmg key0 f\r\n"].concat();
        connections[0].ask(bad, "CLIENT_ERROR invalid flag\r\nHD f3\r\n");
    }
    let (conn, part) = (&mut connections[0], value_of(3000));
    for (mode, total) in [("S", 3000), ("A", 6000), ("P", 9000)] {
        let request = [format!("ms grown 3000 M{mode} s\r\n").as_bytes(), &part, b"\r\n"].concat();
        conn.ask(request, format!("HD s{total}\r\n"));
    }
    conn.ask("mg grown v\r\n", [b"VA 9000\r\n", &part[..], &part, &part, b"\r\n"].concat());
    for conn in connections {
        conn.finish();
    }
}

/// What is too large is swallowed, and the value it was to replace is gone.
fn values_too_large(shards: u32) {
    const LEN: usize = 2_000_000;
    let server = Server::start(shards, &[]);
    for key in ["a", "b", "c", "d"] {
        let mut conn = server.connect();
        conn.ask(format!("ms {key} 1\r\nx\r\n"), "HD\r\n");
        let request =
            [format!("ms {key} {LEN} q k O1\r\n").as_bytes(), &value_of(LEN), b"\r\nmn\r\n"].concat();
        let mut writer = conn.another_handle();
        std::thread::scope(|scope| {
            scope.spawn(move || writer.send(request));
            conn.expect("SERVER_ERROR object too large for cache\r\nMN\r\n");
        });
        conn.ask(format!("mg {key}\r\n"), "EN\r\n");
        conn.finish();
    }
}

/// Many commands at once: answers in the order of requests, whoever owns the keys; mn behind them all.
fn pipelines(shards: u32) {
    const COMMANDS: usize = 3000;
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    let (mut request, mut answer) = (String::new(), String::new());
    for i in 0..COMMANDS {
        let (key, value) = (format!("key{}", i % 500), format!("value {i}"));
        let len = value.len();
        let (asked, answered) = match i % 6 {
            0 => (format!("ms {key} {len} O{i} E{i}\r\n{value}\r\n"), format!("HD O{i}\r\n")),
            1 => (
                format!("ms {key} {len} q\r\n{value}\r\nmg {key} v O{i}\r\n"),
                format!("VA {len} O{i}\r\n{value}\r\n"),
            ),
            2 => (format!("mg nope{i} q v\r\n"), String::new()),
            3 => (format!("mg nope{i} k O{i}\r\n"), format!("EN knope{i} O{i}\r\n")),
            4 => (format!("ma count O{i} N0 v q\r\nmg {key}x\r\n"), "EN\r\n".into()),
            _ => ("mn\r\n".into(), "MN\r\n".into()),
        };
        request += &asked;
        answer += &answered;
    }
    request += "mn\r\n";
    answer += "MN\r\n";
    let mut writer = conn.another_handle();
    std::thread::scope(|scope| {
        scope.spawn(move || writer.send(request));
        conn.expect(answer);
    });
    conn.ask("mg count v\r\n", format!("VA 3\r\n{}\r\n", COMMANDS / 6 - 1));
    conn.finish();
}

/// A pipeline of quiet commands means the same however it arrives, and is silent but for what went wrong.
fn quiet_pipelines_cut_anywhere(shards: u32) {
    let pipeline = "ms a 3 q\r\nabc\r\nms b 2 q T1000\r\n\r\n\r\nmg a v q k\r\nmg nope q\r\nma n N0 q\r\nmd nope q k\r\n\
                    ms a 1 q Mx\r\nx\r\nmg YWE= b k q\r\nmg b v q\r\nmd a q\r\nmd b q\r\nmd n q\r\nmn\r\n";
    let answer = "VA 3 ka\r\nabc\r\nNF knope\r\nCLIENT_ERROR invalid mode for ms M token\r\n\
                  VA 2\r\n\r\n\r\nMN\r\n";
    let server = Server::start(shards, &[]);
    let mut conn = server.connect();
    conn.ask(pipeline, answer);
    for cut in 1..pipeline.len() {
        conn.send(&pipeline[..cut]);
        conn.send(&pipeline[cut..]);
        conn.expect(answer);
    }
    for byte in pipeline.as_bytes() {
        conn.send([*byte]);
    }
    conn.expect(answer);
    conn.finish();
}
