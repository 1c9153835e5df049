//! The meta protocol: its lines, its flags, and the writers of its answers.
//!
//! What must hold: a stream means the same however it is cut, and however many spaces separate its words; flags survive the
//! way to another shard, which is their bytes; a base64 key decodes within its room; every answer fits the room it asks for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringcached::protocol::meta_reply::{
    Marks, MetaCode, MetaItem, meta_line_len_max, write_debug, write_hit, write_miss, write_number,
};
use ringcached::protocol::{
    Command, Limits, MetaCommand, MetaFlags, MetaVerb, VALUE_LEN_MAX, decode_key, parse,
};
use ringcached_fuzz::{read, same_however_cut, written};
use zerocopy::{FromBytes, IntoBytes};

/// The longest keys: memcached's, and as long as `--max-key-size` allows.
const KEY_LENS_MAX: [usize; 2] = [250, 65_535];

fuzz_target!(|stream: &[u8]| {
    for key_len_max in KEY_LENS_MAX {
        let limits = Limits { key_len_max, ..Limits::default() };
        same_however_cut(stream, |pieces| {
            read(pieces, &limits, |line, command| check(line, command, &limits))
        });
    }
});

fn check(line: &[u8], command: &Command<'_>, limits: &Limits) {
    let meta = match command {
        Command::Meta(meta) => meta,
        Command::Reply(text) | Command::ReplyAndSkip { text, .. } => {
            assert!(text.is_empty() || text.ends_with(b"\r\n"));
            return;
        }
        _ => return,
    };
    assert!((1..=limits.key_len_max).contains(&meta.key.len()) && !meta.key.contains(&b' '));
    assert!(meta.len <= VALUE_LEN_MAX && (meta.verb == MetaVerb::Set || meta.len == 0));
    assert_eq!(MetaFlags::read_from_bytes(meta.flags.as_bytes()).as_ref(), Ok(&meta.flags));
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect();
    assert_eq!(parse(&words.join(&b"   "[..]), limits), *command, "with more spaces");
    let mut room = vec![0; meta.key.len().div_ceil(4) * 3];
    let key = match meta.flags.base64_key() {
        true => decode_key(meta.key, &mut room).expect("a key that the parser let through"),
        false => meta.key,
    };
    assert!(!key.is_empty());
    check_answers(meta, key);
}

/// Every answer this command could get, about the item that takes the most room and the one that takes the least.
fn check_answers(meta: &MetaCommand<'_>, key: &[u8]) {
    let (flags, room) = (&meta.flags, meta_line_len_max(key.len()));
    let least = MetaItem {
        key,
        binary_key: false,
        flags: 0,
        cas: 0,
        ttl_s: None,
        last_access_age_s: 0,
        hit_before: false,
        value_len: 0,
    };
    let most = MetaItem {
        binary_key: true,
        flags: u32::MAX,
        cas: u64::MAX,
        ttl_s: Some(u32::MAX),
        last_access_age_s: u32::MAX,
        hit_before: true,
        value_len: u32::MAX,
        ..least
    };
    let all = Marks { win_sent: true, stale: true, won: true };
    for (item, marks) in [(least, Marks::default()), (most, all)] {
        for (code, start) in [(MetaCode::Done, "HD"), (MetaCode::Value, "VA"), (MetaCode::Exists, "EX")] {
            check_line(start, &written(room, |out| write_hit(out, code, flags, &item, marks)), 1);
        }
        let number = written(room, |out| write_number(out, flags, &item, u64::MAX));
        let (start, lines) = if flags.wants_value() { ("VA 20", 2) } else { ("HD", 1) };
        check_line(start, &number, lines);
        check_line("ME ", &written(room, |out| write_debug(out, &item, u32::MAX, u32::MAX)), 1);
    }
    for (code, start) in [(MetaCode::Miss, "EN"), (MetaCode::NotFound, "NF"), (MetaCode::NotStored, "NS")] {
        check_line(start, &written(room, |out| write_miss(out, code, flags, key)), 1);
    }
}

/// `lines` lines, as far as the key in them has none of its own.
fn check_line(start: &str, answer: &[u8], lines: usize) {
    assert!(answer.starts_with(start.as_bytes()) && answer.ends_with(b"\r\n"), "{}", answer.escape_ascii());
    let ends = answer.iter().filter(|&&byte| byte == b'\n').count();
    assert!(ends >= lines, "{}", answer.escape_ascii());
}
