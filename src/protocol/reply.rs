//! Replies: the fixed texts, and writers of the answers that carry a value.
//!
//! Writers put bytes at the start of the caller's buffer and return how many; none of them allocates or formats. The
//! caller leaves room for the most they can write, named beside each. [`text`] ends each answer in its CR LF.

use super::number::{U64_DIGITS_MAX, write_u64};

/// The fixed answers, CR LF included.
#[rustfmt::skip]
#[allow(missing_docs, reason = "each is its own text")]
pub mod text {
    pub const STORED: &[u8] = b"STORED\r\n";
    pub const NOT_STORED: &[u8] = b"NOT_STORED\r\n";
    pub const EXISTS: &[u8] = b"EXISTS\r\n";
    pub const NOT_FOUND: &[u8] = b"NOT_FOUND\r\n";
    pub const DELETED: &[u8] = b"DELETED\r\n";
    pub const TOUCHED: &[u8] = b"TOUCHED\r\n";
    pub const OK: &[u8] = b"OK\r\n";
    pub const END: &[u8] = b"END\r\n";
    /// `mn`.
    pub const META_NOOP: &[u8] = b"MN\r\n";
    /// `me`.
    pub const META_MISS: &[u8] = b"EN\r\n";
    pub const RESET: &[u8] = b"RESET\r\n";
    /// The memcached whose behaviour this is: clients compare it to decide what they may send, and some parse it
    /// strictly, so the server's own name and version are no part of it.
    pub const VERSION: &[u8] = b"VERSION 1.6.45\r\n";

    pub const MEMLIMIT_ADJUST_FAILED: &[u8] = b"MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n";

    pub const ERROR: &[u8] = b"ERROR\r\n";
    /// Then close.
    pub const TOO_MANY_CONNECTIONS: &[u8] = b"ERROR Too many open connections\r\n";

    pub const BAD_FORMAT: &[u8] = b"CLIENT_ERROR bad command line format\r\n";
    pub const BAD_DATA_CHUNK: &[u8] = b"CLIENT_ERROR bad data chunk\r\n";
    pub const INVALID_EXPTIME: &[u8] = b"CLIENT_ERROR invalid exptime argument\r\n";
    pub const INVALID_DELTA: &[u8] = b"CLIENT_ERROR invalid numeric delta argument\r\n";
    pub const NON_NUMERIC: &[u8] = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    pub const FLUSH_NOT_ALLOWED: &[u8] = b"CLIENT_ERROR flush_all not allowed\r\n";
    pub const INVALID_SHUTDOWN_MODE: &[u8] = b"CLIENT_ERROR invalid shutdown mode\r\n";

    /// The flags of meta commands, and their arguments.
    pub const INVALID_FLAG: &[u8] = b"CLIENT_ERROR invalid flag\r\n";
    pub const DUPLICATE_FLAG: &[u8] = b"CLIENT_ERROR duplicate flag\r\n";
    pub const TOO_MANY_FLAGS: &[u8] = b"CLIENT_ERROR options flags are too long\r\n";
    pub const BAD_TOKEN: &[u8] = b"CLIENT_ERROR bad token in command line format\r\n";
    pub const UNDECODABLE_KEY: &[u8] = b"CLIENT_ERROR error decoding key\r\n";
    pub const OPAQUE_TOO_LONG: &[u8] = b"CLIENT_ERROR opaque token too long\r\n";
    pub const INVALID_DELTA_VALUE: &[u8] = b"CLIENT_ERROR invalid numeric delta value\r\n";
    pub const INVALID_INITIAL_VALUE: &[u8] = b"CLIENT_ERROR invalid numeric initial value\r\n";
    pub const INVALID_STORE_MODE: &[u8] = b"CLIENT_ERROR invalid mode for ms M token\r\n";
    pub const INVALID_ARITH_MODE: &[u8] = b"CLIENT_ERROR invalid mode for ma M token\r\n";
    /// `ma`, for whatever is wrong with its flags.
    pub const INVALID_ARITH_FLAG: &[u8] = b"CLIENT_ERROR invalid or duplicate flag\r\n";

    pub const TOO_LARGE: &[u8] = b"SERVER_ERROR object too large for cache\r\n";
    pub const OUT_OF_MEMORY_STORING: &[u8] = b"SERVER_ERROR out of memory storing object\r\n";
    /// A request that is longer than there is memory for; the connection ends.
    pub const OUT_OF_MEMORY_READING: &[u8] = b"SERVER_ERROR out of memory reading request\r\n";
    /// A report for which there is no memory.
    pub const OUT_OF_MEMORY_STATS: &[u8] = b"SERVER_ERROR out of memory writing stats\r\n";
    /// `incr`, `decr`.
    pub const OUT_OF_MEMORY: &[u8] = b"SERVER_ERROR out of memory\r\n";
    /// `ma`, creating an item.
    pub const OUT_OF_MEMORY_CREATING: &[u8] = b"SERVER_ERROR Out of memory allocating new item\r\n";
    /// With a colon, as memcached has it.
    pub const SHUTDOWN_NOT_ENABLED: &[u8] = b"SERVER_ERROR: shutdown not enabled\r\n";

    /// Instead of an answer that is too long for UDP.
    pub const ANSWER_TOO_LONG: &[u8] = b"SERVER_ERROR answer too large for UDP\r\n";

    /// Authentication, before which nothing else is answered.
    pub const UNAUTHENTICATED: &[u8] = b"CLIENT_ERROR unauthenticated\r\n";
    pub const AUTH_TOKEN_TOO_LONG: &[u8] = b"CLIENT_ERROR auth token too long\r\n";
    pub const BAD_AUTH_TOKEN: &[u8] = b"CLIENT_ERROR bad authentication token format\r\n";
    pub const BAD_TERMINATION: &[u8] = b"CLIENT_ERROR bad command line termination\r\n";
    pub const AUTH_FAILURE: &[u8] = b"CLIENT_ERROR authentication failure\r\n";

    /// `cache_memlimit`.
    pub const MEMORY_LIMIT_TOO_SMALL: &[u8] = b"MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n";
    pub const MEMORY_LIMIT_NOT_BYTES: &[u8] = b"MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n";
    pub const MEMORY_LIMIT_NOT_ADJUSTED: &[u8] = b"MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n";
    /// `lru_crawler`.
    pub const CRAWLER_SLEEP_TOO_LONG: &[u8] = b"CLIENT_ERROR sleep must be one second or less\r\n";
    pub const CRAWLER_UNKNOWN_ERROR: &[u8] = b"ERROR an unknown error happened\r\n";
    pub const BAD_CLASS: &[u8] = b"BADCLASS invalid class id\r\n";
    pub const NOTHING_TO_CRAWL: &[u8] = b"NOTSTARTED no items to crawl\r\n";
    pub const METADUMP_NOT_ALLOWED: &[u8] = b"ERROR metadump not allowed\r\n";
    pub const KEY_DUMP_NOT_ALLOWED: &[u8] = b"ERROR key dump not allowed\r\n";
    /// `watch`, with answers before it that are not sent yet.
    pub const PIPELINED_WATCH: &[u8] = b"ERROR cannot pipeline other commands before watch\r\n";
    /// `lru tune`.
    pub const LRU_SHARES_TOO_LARGE: &[u8] = b"ERROR hot and warm pcts must not exceed 80\r\n";
    pub const LRU_FACTORS_TOO_SMALL: &[u8] = b"ERROR hot/warm age factors must be greater than 0\r\n";
    /// `slabs`.
    pub const SAME_CLASS: &[u8] = b"SAME src and dst class are identical\r\n";
    pub const BAD_CLASS_PAIR: &[u8] = b"BADCLASS invalid src or dst class id\r\n";
    pub const AUTOMOVE_WINDOW_OUT_OF_RANGE: &[u8] = b"CLIENT_ERROR automove window too low or too high\r\n";
    /// `watch`.
    pub const WATCH_NOT_ALLOWED: &[u8] = b"CLIENT_ERROR watch commands not allowed\r\n";
    pub const TOO_MANY_WATCHERS: &[u8] = b"WATCHER_TOO_MANY log watcher limit reached\r\n";
    /// `stats detail`, `stats cachedump`, and the lists of keys that are slow, hot or big.
    pub const DETAIL_NOT_ALLOWED: &[u8] = b"CLIENT_ERROR stats detail not allowed\r\n";
    pub const DETAIL_USAGE: &[u8] = b"CLIENT_ERROR usage: stats detail on|off|dump\r\n";
    pub const CACHEDUMP_NOT_ALLOWED: &[u8] = b"CLIENT_ERROR stats cachedump not allowed\r\n";
    pub const KEY_LISTS_NOT_ALLOWED: &[u8] =
        b"CLIENT_ERROR stats slowlog, hotkeys and bigkeys not allowed\r\n";
    pub const BAD_LINE: &[u8] = b"CLIENT_ERROR bad command line\r\n";
    pub const ILLEGAL_SLAB_ID: &[u8] = b"CLIENT_ERROR Illegal slab id\r\n";
}

const VALUE: &[u8] = b"VALUE ";
pub(super) const CRLF: &[u8] = b"\r\n";
pub(super) const U32_DIGITS_MAX: usize = 10;

/// The most [`write_number_line`] writes.
pub const NUMBER_LINE_LEN_MAX: usize = U64_DIGITS_MAX + CRLF.len();

/// The most [`write_value_header`] writes for a key of `key_len` bytes.
pub const fn value_header_len_max(key_len: usize) -> usize {
    VALUE.len() + key_len + 2 * (1 + U32_DIGITS_MAX) + 1 + U64_DIGITS_MAX + CRLF.len()
}

/// Writes `VALUE <key> <flags> <len>[ <cas>]` CR LF, the line before a hit's data, and returns its length. `len` is in
/// bytes, without the CR LF that follow the data.
///
/// # Panics
/// If `out` is shorter than the line; [`value_header_len_max`] always suffices.
#[inline]
pub fn write_value_header(out: &mut [u8], key: &[u8], flags: u32, len: u32, cas: Option<u64>) -> usize {
    let mut at = put(out, 0, VALUE);
    at = put(out, at, key);
    at = put_number(out, at, u64::from(flags));
    at = put_number(out, at, u64::from(len));
    if let Some(cas) = cas {
        at = put_number(out, at, cas);
    }
    put(out, at, CRLF)
}

/// Writes `value` in decimal and CR LF, the answer of `incr` and `decr`, and returns the length.
///
/// # Panics
/// If `out` is shorter than the line; [`NUMBER_LINE_LEN_MAX`] always suffices.
#[inline]
pub fn write_number_line(out: &mut [u8], value: u64) -> usize {
    let at = write_u64(out, value);
    put(out, at, CRLF)
}

/// Puts `bytes` at `at`; where they end.
#[inline]
pub(super) fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let end = at + bytes.len();
    out[at..end].copy_from_slice(bytes);
    end
}

/// Puts a space and `value` at `at`; where they end.
#[inline]
pub(super) fn put_number(out: &mut [u8], at: usize, value: u64) -> usize {
    let at = put(out, at, b" ");
    at + write_u64(&mut out[at..], value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_headers_are_exact() {
        for (key, flags, len, cas, expected) in [
            (&b"k"[..], 0, 0, None, &b"VALUE k 0 0\r\n"[..]),
            (b"key", 17, 100, None, b"VALUE key 17 100\r\n"),
            (b"key", u32::MAX, 1_048_516, Some(0), b"VALUE key 4294967295 1048516 0\r\n"),
            (b"k", 1, 2, Some(u64::MAX), b"VALUE k 1 2 18446744073709551615\r\n"),
        ] {
            let mut out = [b'#'; 128];
            let written = write_value_header(&mut out, key, flags, len, cas);
            assert_eq!(&out[..written], expected);
            assert_eq!(out[written], b'#');
        }
    }

    #[test]
    fn the_longest_header_takes_what_is_promised() {
        let key = [b'k'; 250];
        let mut out = [0; value_header_len_max(250)];
        assert_eq!(write_value_header(&mut out, &key, u32::MAX, u32::MAX, Some(u64::MAX)), out.len());
    }

    #[test]
    fn number_lines_are_exact() {
        let mut out = [0; NUMBER_LINE_LEN_MAX];
        assert_eq!(write_number_line(&mut out, u64::MAX), out.len());
        assert_eq!(&out, b"18446744073709551615\r\n");
        let written = write_number_line(&mut out, 7);
        assert_eq!(&out[..written], b"7\r\n");
    }
}
