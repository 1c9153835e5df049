//! Frames as a terminal would show them.

use super::*;
use crate::report::Report;
use crate::sample::tests::{RINGCACHED, memcached, sample};
use crate::sample::{ASKS, Absent, Told};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use std::time::Duration;

/// An app that has looked twice, a second apart; in between there were 300 requests.
fn app(texts: &[&str; ASKS.len()]) -> App {
    let mut app = App::new("cache:11211".to_string(), Duration::from_secs(1));
    let start = Instant::now();
    app.hear(Ok(sample(start, texts)), start);
    let changes = [
        ("uptime 60", "uptime 61"),
        ("cmd_get 1000", "cmd_get 1300"),
        ("get_hits 900", "get_hits 1050"),
        ("0:cmd_local 500", "0:cmd_local 800"),
    ];
    let later =
        texts.map(|text| changes.iter().fold(text.to_string(), |text, (from, to)| text.replace(from, to)));
    app.hear(Ok(sample(start + Duration::from_secs(1), &later.each_ref().map(String::as_str))), start);
    app
}

/// The lines of a terminal of this size.
fn frame(app: &App, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
    terminal.draw(|frame| draw(app, frame.area(), frame.buffer_mut(), Instant::now())).expect("drawn");
    lines(terminal.backend().buffer())
}

fn assert_has(frame: &[String], parts: &[&str]) {
    for part in parts {
        assert!(frame.iter().any(|line| line.contains(part)), "no `{part}` in\n{}", frame.join("\n"));
    }
}

#[test]
fn a_small_terminal_shows_what_matters() {
    let frame = frame(&app(&RINGCACHED), 80, 24);
    assert_has(
        &frame,
        &[
            " cache:11211  version 1.6.45  up 1m 1s  every 1 s",
            " 1 Overview   2 Commands   3 Shards   4 Memory   5 Hot keys   6 Slow",
            " requests 300/s   hits 50.0 % (in all 80.8 %)   connections 3 of 1,024",
            " in 0 B/s   out 0 B/s   new connections 0.0/s   cores busy 0.00",
            " memory [||||||||||||            ] 32.0 MiB of 64.0 MiB (50.0 %)",
            " items 400   evicted 0.0/s   expired 0.0/s",
            "get             300   50.0 %    80.8 %   get     12.8us   5.3ms   6.8ms    1.2s",
            "    0 |||||||||||| 100.0 %     1   0.0 %       10.5     0.5     1 user:42",
            "    1                0.0 %     2       -",
            " q quit  Tab panes  s sort  p pause  ? help",
        ],
    );
}

#[test]
fn a_large_terminal_shows_memory_and_history_too() {
    let frame = frame(&app(&RINGCACHED), 120, 40);
    assert_has(
        &frame,
        &[
            "memory of size classes, by bytes",
            "       72 |||||||||||| ",
            "requests a second, look by look, most 300",
        ],
    );
    assert_eq!(text(&app(&RINGCACHED)).lines().count(), 40);
}

#[test]
fn every_pane_is_drawn_at_every_size() {
    let mut app = app(&RINGCACHED);
    for pane in ["1", "2", "3", "4", "5", "6"] {
        app.press(KeyEvent::from(KeyCode::Char(pane.chars().next().expect("a digit"))));
        app.scroll = 1_000;
        for shows_help in [false, true] {
            app.shows_help = shows_help;
            for (width, height) in [(1, 1), (40, 12), (41, 13), (63, 17), (80, 33), (300, 100)] {
                assert_eq!(frame(&app, width, height).len(), usize::from(height));
            }
        }
    }
    assert_has(&frame(&app, 39, 30), &["too small: 40x12 at least"]);
}

#[test]
fn panes_have_the_whole_screen() {
    let mut app = app(&RINGCACHED);
    let mut pane = |key: char| {
        app.press(KeyEvent::from(KeyCode::Char(key)));
        frame(&app, 110, 24)
    };
    assert_has(
        &pane('2'),
        &["commands; hits now", "latency since the start or a reset", "1.2s           1,000"],
    );
    assert_has(
        &pane('3'),
        &[
            "shards, by number",
            "|||||||||||| 100.0 %     1   0.0 %         300           100     1000 B    0",
        ],
    );
    assert_has(&pane('s'), &["shards, by requests"]);
    assert_has(
        &pane('4'),
        &[
            "memory of size classes, by bytes",
            "       72 ||||||||||||   28.1 KiB       0.0           400   93.8 %      42s     5",
        ],
    );
    assert_has(&pane('5'), &["hot keys", "10.5     0.5     1 user:42"]);
    assert_has(
        &pane('6'),
        &["requests that took 100us or longer", "133us get        0 127.0.0.1:36588       user:7"],
    );
    assert_has(&pane('?'), &[" Tab, Right     next pane", "q       quit"]);
    assert_has(&pane('p'), &["PAUSED"]);
}

#[test]
fn memcached_is_shown_without_what_it_has_not() {
    let frame = frame(&app(&memcached()), 120, 40);
    assert_has(
        &frame,
        &[
            "absent: the server answers ERROR to `stats shards`",
            "absent: the server answers ERROR to `stats latency`",
        ],
    );
    assert_has(
        &frame,
        &["requests 300/s   hits 50.0 %", "absent: the server answers ERROR to `stats hotkeys 50`"],
    );
}

#[test]
fn a_server_that_tells_nothing_has_no_zeros() {
    let mut texts = memcached();
    (texts[0], texts[3], texts[4]) = ("END\r\n", "ERROR\r\n", "ERROR\r\n");
    let frame = frame(&app(&texts), 80, 24);
    assert_has(
        &frame,
        &[
            " cache:11211  version -  up -",
            " requests -   hits - (in all -)   connections - of -",
            " in -   out -   new connections -   cores busy -",
            "] - of - (-)",
            " items -   evicted -   expired -",
            "get               -        -         -",
        ],
    );
}

#[test]
fn a_lost_server_is_said_and_its_last_figures_stay() {
    let mut app = app(&RINGCACHED);
    app.hear(Err("cannot connect: Connection refused (os error 111)".to_string()), Instant::now());
    assert_has(
        &frame(&app, 80, 24),
        &[" LOST for 0s: cannot connect: Connection refused", " requests 300/s "],
    );
    let mut new = App::new("a\x1b[2J".to_string(), Duration::from_secs(1));
    new.hear(Err("cannot connect".to_string()), Instant::now());
    assert_has(
        &frame(&new, 80, 24),
        &[r" a\x1b[2J  version -", "nothing seen yet", " LOST for 0s: cannot connect; trying again"],
    );
}

#[test]
fn no_key_of_a_user_writes_to_the_terminal() {
    let mut texts = RINGCACHED;
    texts[5] = "STAT 0:rate 1.0\r\nSTAT 0:key \x1b[31mred\x07\u{9b}2J\u{202e}\r\nEND\r\n";
    let mut app = app(&texts);
    app.press(KeyEvent::from(KeyCode::Char('5')));
    let frame = frame(&app, 120, 40);
    assert_has(&frame, &[r"\x1b[31mred\x07\xc2\x9b2J\xe2\x80\xae"]);
    assert!(!frame.concat().chars().any(char::is_control));
}

/// Answers with bytes overwritten and pieces left out or doubled, until one is read: what a hostile or broken server might say.
fn broken_answer(random: &mut fastrand::Rng, text: &str) -> Result<Report, String> {
    const BYTES: &[u8] = b"\x1b\x00\xff:.-9 \nE";
    loop {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..random.usize(..6) {
            let at = random.usize(..bytes.len());
            match random.u8(..4) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes.extend_from_within(at..),
                _ => bytes[at] = BYTES[random.usize(..BYTES.len())],
            }
        }
        if let Ok(answer) = Report::read(&mut [&bytes[..], b"\r\nEND\r\n"].concat().as_slice()) {
            return answer;
        }
    }
}

#[test]
fn no_answer_breaks_it() {
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut app = app(&RINGCACHED);
        for _ in 0..3 {
            let mut answers: [Told; ASKS.len()] = ASKS.map(|_| Ok(Report::default()));
            for ((ask, text), told) in ASKS.into_iter().zip(RINGCACHED).zip(&mut answers) {
                *told = broken_answer(&mut random, text).map_err(|answer| Absent { ask, answer });
            }
            let at = app.latest.as_ref().map_or_else(Instant::now, |(sample, _)| sample.at);
            app.hear(Sample::new(at + Duration::from_millis(random.u64(..2_000)), answers), at);
        }
        app.press(KeyEvent::from(KeyCode::Char(char::from(b'1' + random.u8(..6)))));
        let frame = frame(&app, random.u16(40..130), random.u16(12..50)).concat();
        assert!(!frame.chars().any(char::is_control), "seed {seed}");
    }
}
