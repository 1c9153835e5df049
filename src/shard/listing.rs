//! Listing keys: `lru_crawler metadump`, `mgdump` and `stats cachedump`, a step at a time.
//!
//! A step lists some items of one shard, in the order of their hashes; where it stopped is a hash too, so items may come,
//! go and move and the table may grow between two steps, and an item that is there all the time is listed exactly once. The
//! session asks for the next step when it has room for it ([`super::session`]), so a slow reader holds up nobody.

use super::keyspace::Keyspace;
use crate::store::ItemView;
use base64::display::Base64Display;
use base64::prelude::BASE64_STANDARD;
use std::io::Write as _;

/// Bytes of text at which a step ends.
pub const TEXT_MAX: u32 = 32 * 1024;

/// The same in a crowd (`shard/crowd.rs`).
pub const TEXT_MAX_IN_CROWD: u32 = 4 * 1024;

/// Buckets of the table that one step visits.
const BUCKETS_MAX: usize = 256;

/// How items are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Style {
    /// `metadump`: everything known of each.
    #[default]
    Metadata = 0,
    /// `mgdump`: a meta get for each.
    Commands,
    /// `cachedump`: size and time.
    Cache,
}

const STYLES: [Style; 3] = [Style::Metadata, Style::Commands, Style::Cache];

/// One step of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListingStep {
    /// The shard that does it.
    pub shard: usize,
    /// How items are listed.
    pub style: Style,
    /// Only items of this size class; 0 is all.
    pub class: u8,
    /// The hash to begin with.
    pub from: u32,
    /// The most items to list.
    pub items_max: u32,
    /// Bytes of text at which the step ends.
    pub text_max: u32,
}

/// What a step has listed.
#[derive(Debug, Default)]
pub struct Listed {
    /// The lines.
    pub text: Box<[u8]>,
    /// How many.
    pub items: u32,
    /// Where to go on; nowhere if the shard is through.
    pub next: Option<u32>,
}

impl ListingStep {
    /// As two words, for the mesh.
    pub fn encode(self) -> [u64; 2] {
        let what = u64::from(self.style as u8) | u64::from(self.class) << 8 | (self.shard as u64) << 16;
        [what | u64::from(self.from) << 32, u64::from(self.items_max) | u64::from(self.text_max) << 32]
    }

    /// Back from two words.
    pub fn decode([what, most]: [u64; 2]) -> Option<ListingStep> {
        Some(ListingStep {
            shard: usize::from((what >> 16) as u16),
            style: STYLES.get(usize::from(what as u8)).copied()?,
            class: (what >> 8) as u8,
            from: (what >> 32) as u32,
            items_max: most as u32,
            text_max: (most >> 32) as u32,
        })
    }

    /// Does the step.
    pub fn run(&self, keys: &mut Keyspace) -> Listed {
        let unix_0_s = keys.settings.unix_now_s() - i64::from(keys.now_s);
        let mut text = Vec::new();
        let mut items = 0;
        let next = keys.store.scan(self.from, BUCKETS_MAX, keys.now_s, &mut |item| {
            if (self.class == 0 || item.class() == self.class) && items < self.items_max {
                items += u32::from(self.write(&mut text, &item, unix_0_s));
            }
            text.len() < self.text_max as usize && items < self.items_max
        });
        Listed { text: text.into(), items, next: next.filter(|_| items < self.items_max) }
    }

    /// Writes the line of an item; `unix_0_s` is second 0 of the shard clock. False for one that is not shown.
    fn write(&self, out: &mut Vec<u8>, item: &ItemView<'_>, unix_0_s: i64) -> bool {
        let unix_s = |second: u32| unix_0_s + i64::from(second);
        // Writing to memory does not fail.
        let _ = match self.style {
            Style::Metadata => {
                out.extend_from_slice(b"key=");
                write_uri(out, item.key());
                let exp = if item.expires_s() == 0 { -1 } else { unix_s(item.expires_s()) };
                let (la, cas, class) = (unix_s(item.last_access_s()), item.cas(), item.class());
                let fetch = if item.fetched() { "yes" } else { "no" };
                let (size, flags) = (item.stored_bytes(), item.flags());
                writeln!(
                    out,
                    " exp={exp} la={la} cas={cas} fetch={fetch} cls={class} size={size} flags={flags} "
                )
            }
            Style::Commands if item.has_binary_key() => {
                write!(out, "mg {} b\r\n", Base64Display::new(item.key(), &BASE64_STANDARD))
            }
            Style::Commands => [b"mg ", item.key(), b"\r\n"].iter().try_for_each(|part| out.write_all(part)),
            Style::Cache if item.has_binary_key() => return false,
            Style::Cache => {
                let exp = if item.expires_s() == 0 { 0 } else { unix_s(item.expires_s()) };
                out.extend_from_slice(b"ITEM ");
                out.extend_from_slice(item.key());
                write!(out, " [{} b; {exp} s]\r\n", item.value_len())
            }
        };
        true
    }
}

/// Percent-encodes all but letters, digits and `-._~` (RFC 3986).
pub fn write_uri(out: &mut Vec<u8>, key: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in key {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_survive_the_mesh() {
        let step = ListingStep {
            shard: 255,
            style: Style::Cache,
            class: 200,
            from: u32::MAX - 1,
            items_max: u32::MAX,
            text_max: 77,
        };
        assert_eq!(ListingStep::decode(step.encode()), Some(step));
        assert_eq!(ListingStep::decode([9, 0]), None);
    }

    #[test]
    fn keys_are_percent_encoded() {
        let mut out = Vec::new();
        write_uri(&mut out, b"aZ09-._~ %\xff\n");
        assert_eq!(out, b"aZ09-._~%20%25%FF%0A");
    }
}
