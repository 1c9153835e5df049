//! The meta protocol: `mg`, `ms`, `md`, `ma`, `me`, `mn`; one line to one [`MetaCommand`].
//!
//! `<verb> <key> [<bytes of data>] <flag>*`. The flags are read in `meta_flags.rs`; here is what concerns the line: which
//! error wins, and whether the data of an `ms` is swallowed with it.

use super::classic::{Command, Limits};
use super::meta_flags::{Flaw, Gravity, MetaFlags};
use super::reply::text;
use super::storage::{DATA_ENDING_LEN, parse_data_len};
use super::token::Tokens;

/// The most tokens of a line, verb and key included.
const TOKENS_MAX: usize = 20;

/// Tokens that are looked at for whether they can be flags at all.
const TOKENS_CHECKED_MAX: usize = 23;

/// What a meta command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaVerb {
    /// `mg`: reads an item, or creates it to be filled.
    Get,
    /// `ms`: stores an item. The data follows the line.
    Set,
    /// `md`: deletes an item, or marks it stale, or empties it.
    Delete,
    /// `ma`: counts up or down.
    Arith,
    /// `me`: shows what the server knows of an item.
    Debug,
}

/// A meta command. Borrows from its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaCommand<'a> {
    /// What to do.
    pub verb: MetaVerb,
    /// As sent, and within the limit; base64 if [`MetaFlags::base64_key`] says so, and then it decodes.
    pub key: &'a [u8],
    /// For `ms`: bytes of data, without the CR LF behind them, at most [`VALUE_LEN_MAX`](super::VALUE_LEN_MAX). Else 0.
    pub len: u32,
    /// How to do it and what to answer.
    pub flags: MetaFlags,
}

/// A line that is not obeyed.
enum Refusal {
    /// It cannot be split into what a command consists of: the data of an `ms` is not known to be data.
    Unreadable,
    /// It can, but this is wrong with it.
    Flaw(Flaw),
}

/// Reads `mg`, `md` or `ma`; `tokens` stands behind the verb.
#[inline]
pub(super) fn meta<'a>(verb: MetaVerb, mut tokens: Tokens<'a>, limits: &Limits) -> Command<'a> {
    let Some(key) = tokens.next() else { return Command::Reply(text::BAD_FORMAT) };
    match read_flags(verb, key, 2, tokens, limits) {
        Ok(flags) => Command::Meta(MetaCommand { verb, key, len: 0, flags }),
        Err(Refusal::Unreadable) => Command::Reply(text::BAD_FORMAT),
        // `ma` has one answer for whatever is wrong before it looks at its mode.
        Err(Refusal::Flaw(flaw)) if verb == MetaVerb::Arith && flaw.gravity > Gravity::Mode => {
            Command::Reply(text::INVALID_ARITH_FLAG)
        }
        Err(Refusal::Flaw(flaw)) => Command::Reply(flaw.text),
    }
}

/// Reads `ms`; `tokens` stands behind the verb.
#[inline]
pub(super) fn meta_set<'a>(mut tokens: Tokens<'a>, limits: &Limits) -> Command<'a> {
    let (Some(key), Some(len)) = (tokens.next(), tokens.next_short().and_then(parse_data_len)) else {
        return Command::Reply(text::BAD_FORMAT);
    };
    match read_flags(MetaVerb::Set, key, 3, tokens, limits) {
        Ok(flags) => Command::Meta(MetaCommand { verb: MetaVerb::Set, key, len, flags }),
        Err(Refusal::Unreadable) => Command::Reply(text::BAD_FORMAT),
        Err(Refusal::Flaw(flaw)) => {
            Command::ReplyAndSkip { text: flaw.text, skip: u64::from(len) + DATA_ENDING_LEN }
        }
    }
}

/// Reads `me <key> [b]`; `tokens` stands behind the verb. What else follows is ignored.
pub(super) fn meta_debug<'a>(mut tokens: Tokens<'a>, limits: &Limits) -> Command<'a> {
    let verb = MetaVerb::Debug;
    let bad_format = Command::Reply(text::BAD_FORMAT);
    let Some(key) = tokens.next().filter(|key| key.len() <= limits.key_len_max) else { return bad_format };
    if !tokens.clone().take(TOKENS_CHECKED_MAX - 2).all(can_be_flag) {
        return bad_format;
    }
    let mut flags = MetaFlags::NONE;
    if tokens.next() == Some(b"b") && flags.add(verb, key, b'b', b"").is_err() {
        return bad_format;
    }
    Command::Meta(MetaCommand { verb, key, len: 0, flags })
}

fn can_be_flag(token: &[u8]) -> bool {
    matches!(token, [b'A'..=b'z' | b'0'..=b'9', ..])
}

/// Reads the flags in `tokens`, before which `before` tokens of the line stood.
#[inline]
fn read_flags(
    verb: MetaVerb,
    key: &[u8],
    before: usize,
    mut tokens: Tokens<'_>,
    limits: &Limits,
) -> Result<MetaFlags, Refusal> {
    let mut flags = MetaFlags::NONE;
    let mut worst: Option<Flaw> = None;
    let mut count = before;
    while let Some(token) = tokens.next_short() {
        count += 1;
        if count <= TOKENS_CHECKED_MAX && !can_be_flag(token) {
            return Err(Refusal::Unreadable);
        }
        let gravity = worst.map(|flaw| flaw.gravity);
        if gravity < Some(Gravity::Flag)
            && let [letter, argument @ ..] = token
            && let Err(flaw) = flags.add(verb, key, *letter, argument)
            && gravity <= Some(flaw.gravity)
        {
            worst = Some(flaw);
        }
    }
    if key.len() > limits.key_len_max {
        worst = Some(Flaw { gravity: Gravity::Line, text: text::BAD_FORMAT });
    } else if count > TOKENS_MAX {
        worst = Some(Flaw { gravity: Gravity::Line, text: text::TOO_MANY_FLAGS });
    }
    worst.map_or(Ok(flags), |flaw| Err(Refusal::Flaw(flaw)))
}
