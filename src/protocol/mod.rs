//! Bytes to requests and replies to bytes: memcached's text protocol, classic and meta commands, here, its binary one in
//! [`binary`]. The frame that UDP puts round either is in [`datagram`], the authentication within the binary protocol in
//! [`sasl`].
//!
//! Everything here is a pure function of the bytes it is given: no socket, no clock, no thread, no allocation. A
//! connection reads like this:
//!
//! 1. `frame` finds the next line in what has been received,
//! 2. `parse` turns that line into a `Command` that borrows from it,
//! 3. a `Command::Store` or an `ms` is followed by `len` bytes of data and CR LF, which the caller takes,
//! 4. the functions of `reply` and `meta_reply` write the answer into the caller's buffer.
//!
//! A `get` too long to buffer is read key by key through `LongGet` instead of steps 1 and 2.
//!
//! # Where this differs from memcached, and why
//!
//! The measure is memcached 1.6.45, byte for byte, but for these:
//!
//! * **Flags above 2^32-1 are refused** (`CLIENT_ERROR bad command line format`, data swallowed). memcached keeps them
//!   modulo 2^32, so the client reads back flags it never wrote.
//! * **An expiration time may be any 64-bit number, in every command.** memcached keeps the low 32 bits in storage
//!   commands (4294967296 never expires, 2147483648 is expired at once) and refuses such numbers in `touch`, `gat`,
//!   `flush_all` and the meta commands. Here an absolute time after January 2038 works, and one beyond the server's clock is as far as the clock
//!   goes.
//! * **A relative time is given in full.** An item set for one second lives at least one; in memcached it may be gone at
//!   once, because the second it is set in counts.
//! * **A number is digits.** memcached takes a lone `-` as 0 in the length of a value and in the times of `touch`, `gat`,
//!   `flush_all` and the meta commands, a lone TAB as 0 in the flags and expiration time of a storage command, and anything after a TAB there. All
//!   are refused here; a sign or white space round such a number stays allowed. Any number of leading zeros is allowed,
//!   where memcached stops after a few.
//! * **A two-byte line ended by a bare LF is a command** like any other, as it is with CR LF. memcached answers
//!   `CLIENT_ERROR bad command line format`.
//! * **`delete` with more than three words behind its key is refused.** memcached 1.6.45 ignores any number, and so fails
//!   `delete` in libmemcached's conformance test (memccapable), which 1.6.18 passes. The time of old clients
//!   (`delete k 0`) and `noreply` stay allowed.
//! * **One CR LF ends the error of a `get` whose key is too long.** memcached sends two, and a client that counts lines
//!   loses step.
//! * **The last token is the last token** of the line, however long: `noreply` and `HTTP/` are seen after 23 tokens too.
//! * **Words of a command are compared whole:** `shutdown g` is an invalid mode, not `graceful`, and `stats r` resets nothing.
//! * **`noreply` is no argument of `lru_crawler` and `slabs`.** memcached counts it as one, finds one too many, and says
//!   nothing.
//! * **`lru_crawler enable` is always right.** memcached answers an error when the crawler is already on.
//! * **`extstore` is an unknown command**, as in a memcached built without it.
//! * **Before authentication every command is answered**, where memcached sends the last of several answers only; see `auth.rs`.
//! * **A `get` too long to buffer answers as it reads.** When a key in it is too long the hits before that key have been
//!   sent; the error then stands where `END` would. In a line that is buffered whole the error stands alone, as in memcached.
//! * **A base64 key is base64.** memcached skips bytes that are no base64 (`Y!Q==` is `YQ==`), lets padding stand anywhere and
//!   ignores what follows it, so that many texts name one key. Here they are `CLIENT_ERROR error decoding key`. Unused bits
//!   of the last letter are ignored by both.
//! * **An item that is over has no seconds left.** Where one request sets such a time and asks for it (`T-1 t`), memcached's
//!   number wraps.
//! * **`me <key> b` reads its key as base64.** memcached does so only if one more word follows.
//! * **An opaque token that is too long stops the command.** memcached runs it, and then answers with the error alone. Nor is
//!   a NUL behind `M` taken as no mode.
//! * **A line without LF that starts with spaces is closed after 2,048 bytes** even if `get ` follows the spaces.
//!   memcached buffers it without bound, only to answer `ERROR`.

mod admin;
mod ahead;
mod auth;
pub mod binary;
mod binary_key;
mod classic;
pub mod datagram;
mod exptime;
mod get;
mod line;
mod meta;
mod meta_flags;
pub mod meta_reply;
pub mod number;
pub mod reply;
pub mod sasl;
mod stats;
mod storage;
mod token;

#[cfg(test)]
mod meta_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod pieces;
#[cfg(test)]
mod tests;

pub use admin::{Admin, Classes, DumpForm, WatchKind, WatchKinds};
pub use ahead::Ahead;
pub use auth::{AUTH_TOKEN_LEN_MAX, AuthStep, authenticate};
pub use binary_key::decode_key;
pub use classic::{Command, Limits, parse};
pub use exptime::{EXPIRED_S, Exptime, NEVER_S, RELATIVE_MAX_S};
pub use get::{GetCommand, Keys, LongGet, LongGetStep, single_key};
pub use line::{Frame, LINE_BUFFERED_MAX, frame};
pub use meta::{MetaCommand, MetaVerb};
pub use meta_flags::{MetaFlags, MetaTimes, OPAQUE_LEN_MAX};
pub use stats::StatsRequest;
pub use storage::{StoreCommand, StoreVerb, VALUE_LEN_MAX};
