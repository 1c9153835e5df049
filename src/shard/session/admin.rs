//! The administrative commands of a session.

use super::{Session, Step};
use crate::protocol::reply::text;
use crate::shard::calls::{Call, Manner};
use crate::shard::core::Core;

impl Session {
    /// `stats`
    pub(super) fn stats(&mut self, core: &mut Core, args: &[u8], used: usize) -> Step {
        match stats_call(args) {
            Ok(call) => self.call(core, call, Manner::Text { noreply: false }, used),
            Err(words) => self.reply(core, words, used),
        }
    }
}

fn stats_call(args: &[u8]) -> Result<Call, &'static [u8]> {
    let word = args.split(|b| *b == b' ').find(|word| !word.is_empty()).unwrap_or(b"");
    match word {
        b"reset" => Ok(Call::ResetStats),
        _ => crate::shard::snapshot::Topic::named(word).map(Call::Stats).ok_or(text::ERROR),
    }
}
