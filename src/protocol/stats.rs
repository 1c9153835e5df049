//! What follows the verb `stats`.

use super::classic::Limits;
use super::number::parse_u32;
use super::reply::text;
use super::token::Tokens;

/// What a `stats` asks for. Words beyond those named are ignored, `noreply` among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatsRequest<'a> {
    /// `stats [word [argument]]`: a report by its word, empty for the general one. Whether there is such a report, and what
    /// the argument means to it, is for the caller to know.
    Report(&'a [u8], &'a [u8]),
    /// `stats reset`: counters back to zero.
    Reset,
    /// `stats detail on`, `stats detail off`: whether requests are counted by prefix.
    CountPrefixes(bool),
    /// `stats detail dump`: what was counted.
    Prefixes,
    /// `stats cachedump <class> <limit>`: keys of a slab class.
    CacheDump {
        /// The class, up to 255 (63 in memcached); one that does not exist has no items.
        class: u8,
        /// Most items to list, 0 = as many as fit.
        limit: u32,
    },
    /// Answer this.
    Refused(&'static [u8]),
}

impl<'a> StatsRequest<'a> {
    /// Reads the words behind the verb.
    pub fn parse(args: &'a [u8], limits: &Limits) -> StatsRequest<'a> {
        let mut words = Tokens::new(args);
        match words.next().unwrap_or_default() {
            b"reset" => StatsRequest::Reset,
            b"detail" if !limits.dumping_allowed => StatsRequest::Refused(text::DETAIL_NOT_ALLOWED),
            b"detail" => match words.next() {
                Some(b"on") => StatsRequest::CountPrefixes(true),
                Some(b"off") => StatsRequest::CountPrefixes(false),
                Some(b"dump") => StatsRequest::Prefixes,
                _ => StatsRequest::Refused(text::DETAIL_USAGE),
            },
            b"cachedump" if !limits.dumping_allowed => StatsRequest::Refused(text::CACHEDUMP_NOT_ALLOWED),
            b"cachedump" => cachedump(words).unwrap_or_else(StatsRequest::Refused),
            word => StatsRequest::Report(word, words.next().unwrap_or_default()),
        }
    }
}

/// `<class> <limit>`
fn cachedump<'a>(mut args: Tokens<'_>) -> Result<StatsRequest<'a>, &'static [u8]> {
    let (Some(class), Some(limit)) = (args.next(), args.next()) else { return Err(text::BAD_LINE) };
    let class = parse_u32(class).ok_or(text::BAD_FORMAT)?;
    let limit = parse_u32(limit).ok_or(text::BAD_FORMAT)?;
    let class = u8::try_from(class).map_err(|_| text::ILLEGAL_SLAB_ID)?;
    Ok(StatsRequest::CacheDump { class, limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use StatsRequest::*;

    /// Each row is what memcached does, but for the highest class (63 there).
    #[test]
    fn words_ask_for_reports_and_dumps() {
        for (args, expected) in [
            ("", Report(b"", b"")),
            ("  settings x", Report(b"settings", b"x")),
            ("bogus noreply", Report(b"bogus", b"noreply")),
            ("noreply", Report(b"noreply", b"")),
            ("hotkeys  20 x", Report(b"hotkeys", b"20")),
            ("reset x", Reset),
            ("detail   on x", CountPrefixes(true)),
            ("detail off noreply", CountPrefixes(false)),
            ("detail dump", Prefixes),
            ("detail", Refused(b"CLIENT_ERROR usage: stats detail on|off|dump\r\n")),
            ("detail noreply", Refused(b"CLIENT_ERROR usage: stats detail on|off|dump\r\n")),
            // memcached takes it as `on`.
            ("detail o", Refused(b"CLIENT_ERROR usage: stats detail on|off|dump\r\n")),
            ("cachedump", Refused(b"CLIENT_ERROR bad command line\r\n")),
            ("cachedump 1", Refused(b"CLIENT_ERROR bad command line\r\n")),
            ("cachedump 01 0 x", CacheDump { class: 1, limit: 0 }),
            ("cachedump 255 4294967295", CacheDump { class: 255, limit: u32::MAX }),
            ("cachedump 256 1", Refused(b"CLIENT_ERROR Illegal slab id\r\n")),
            ("cachedump 1 x", Refused(b"CLIENT_ERROR bad command line format\r\n")),
            ("cachedump x 1", Refused(b"CLIENT_ERROR bad command line format\r\n")),
            ("cachedump 256 x", Refused(b"CLIENT_ERROR bad command line format\r\n")),
            ("cachedump 1 4294967296", Refused(b"CLIENT_ERROR bad command line format\r\n")),
        ] {
            assert_eq!(StatsRequest::parse(args.as_bytes(), &Limits::default()), expected, "{args:?}");
        }
    }

    #[test]
    fn what_lists_keys_can_be_forbidden() {
        let limits = Limits { dumping_allowed: false, ..Limits::default() };
        for args in ["detail", "detail on", "detail bogus"] {
            let refused = Refused(b"CLIENT_ERROR stats detail not allowed\r\n");
            assert_eq!(StatsRequest::parse(args.as_bytes(), &limits), refused, "{args}");
        }
        for args in ["cachedump", "cachedump 1 0", "cachedump 256 0"] {
            let refused = Refused(b"CLIENT_ERROR stats cachedump not allowed\r\n");
            assert_eq!(StatsRequest::parse(args.as_bytes(), &limits), refused, "{args}");
        }
        assert_eq!(StatsRequest::parse(b"items", &limits), Report(b"items", b""));
    }
}
