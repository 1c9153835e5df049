//! Reads what a server sends as a client does that knows nothing of what was asked: the frame of each answer has to be right,
//! and nothing may stand between two of them.

/// Bytes of the header of a packet.
const HEADER_LEN: usize = 24;

/// What begins a packet.
const MAGIC: u8 = 0x81;

/// Bytes of an answer shown in a complaint.
const SHOWN_BYTES: usize = 80;

/// How lines begin that are not numbers and no values follow. In front of a blank or at the end of a line.
const WORDS: &str = "STORED NOT_STORED EXISTS NOT_FOUND DELETED TOUCHED END OK ERROR CLIENT_ERROR SERVER_ERROR \
    SERVER_ERROR: VERSION RESET STAT BUSY BADCLASS SAME NOTFULL NOSPARE UNSAFE NOTSTARTED \
    MEMLIMIT_TOO_SMALL MEMLIMIT_ADJUST_FAILED WATCHER_TOO_MANY WATCHER_FAILED HD NS EX NF EN MN ME \
    mg CONFIG PREFIX ITEM";

/// How lines of listings and of the log begin.
const LISTED: [&[u8]; 2] = [b"key=", LOGGED];
const LOGGED: &[u8] = b"ts=";
const WATCHED: &[u8] = b"OK\r\n";

/// What a connection has been sent and what of it is not a whole answer yet.
#[derive(Default)]
pub struct Answers {
    rest: Vec<u8>,
}

impl Answers {
    /// More has come. Panics for bytes that are no answer.
    pub fn read(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(len) = answer_len(&self.rest[at..]) {
            at += len;
        }
        self.rest.drain(..at);
    }

    /// Nothing more comes. Panics for an answer that is not whole; only what a watcher is sent ends anywhere, the log and the OK
    /// before it: one that goes away is let go at once.
    pub fn end(&self) {
        let begun = |whole: &[u8]| whole.starts_with(&self.rest);
        let is_watched = self.rest.starts_with(LOGGED) || begun(LOGGED) || begun(WATCHED);
        assert!(is_watched, "half an answer: {}", shown(&self.rest));
    }
}

/// The length of the answer that `bytes` begin with, if all of it is here.
fn answer_len(bytes: &[u8]) -> Option<usize> {
    let len = if *bytes.first()? == MAGIC { packet_len(bytes)? } else { text_len(bytes)? };
    (len <= bytes.len()).then_some(len)
}

fn packet_len(bytes: &[u8]) -> Option<usize> {
    let header = bytes.first_chunk::<HEADER_LEN>()?;
    let body = u32::from_be_bytes([header[8], header[9], header[10], header[11]]) as usize;
    let key = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let extras = usize::from(header[4]);
    assert!(key + extras <= body, "a packet with lies: {}", shown(header));
    Some(HEADER_LEN + body)
}

fn text_len(bytes: &[u8]) -> Option<usize> {
    let line_len = bytes.windows(2).position(|ending| ending == b"\r\n")?;
    let line = &bytes[..line_len];
    let mut words = line.split(|byte| *byte == b' ');
    let word = words.next().unwrap_or_default();
    let value_len = match word {
        b"VALUE" => number(words.nth(2)),
        b"VA" => number(words.next()),
        _ => {
            let is_known = WORDS.split(' ').any(|known| known.as_bytes() == word)
                || LISTED.iter().any(|start| line.starts_with(start))
                || number(Some(word)).is_some();
            assert!(is_known, "no answer: {}", shown(bytes));
            return Some(line_len + 2);
        }
    };
    let value_len = value_len.unwrap_or_else(|| panic!("a value without a length: {}", shown(bytes)));
    let end = line_len + 2 + value_len;
    if let Some(ending) = bytes.get(end..end + 2) {
        assert_eq!(ending, b"\r\n", "behind the value of {}", shown(line));
    }
    Some(end + 2)
}

fn number(word: Option<&[u8]>) -> Option<usize> {
    str::from_utf8(word?).ok()?.parse().ok()
}

fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(SHOWN_BYTES)].escape_ascii().to_string()
}
