//! Expiration times as clients send them, and what they mean on a shard's clock.

/// The largest expiration time that counts from now, 30 days in seconds; larger ones are UNIX times.
pub const RELATIVE_MAX_S: i64 = 60 * 60 * 24 * 30;

/// On a shard's clock: never expires.
pub const NEVER_S: u32 = 0;

/// On a shard's clock, which starts at 2: expired since before the start.
pub const EXPIRED_S: u32 = 1;

/// An expiration time as the client sent it, in seconds: 0 is never, a negative number is already over, up to
/// [`RELATIVE_MAX_S`] counts from now, above that it is a UNIX time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exptime(pub i64);

impl Exptime {
    /// The last second of the shard's clock in which the item is alive: it is dead when `now_s` is larger.
    /// [`NEVER_S`] and [`EXPIRED_S`] stand for the two ends. `now_s` and `unix_now_s` are the same moment on the shard's
    /// clock and on the wall.
    ///
    /// A relative time gets at least its full number of seconds (memcached's gets up to one less, so that a time of 1 may
    /// end at once). An absolute time is over when the wall clock reads it. Times beyond the shard's clock (136 years) end
    /// with it.
    #[inline]
    pub fn to_expires_s(self, now_s: u32, unix_now_s: u64) -> u32 {
        match self.0 {
            0 => NEVER_S,
            ..0 => EXPIRED_S,
            relative_s @ 1..=RELATIVE_MAX_S => now_s.saturating_add(relative_s as u32),
            unix_s => match unix_s.unsigned_abs().checked_sub(unix_now_s) {
                None | Some(0) => EXPIRED_S,
                Some(left_s) => now_s.saturating_add(u32::try_from(left_s - 1).unwrap_or(u32::MAX)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01 00:00:00 UTC.
    const UNIX_NOW_S: u64 = 1_767_225_600;
    const NOW_S: u32 = 1_000;

    #[test]
    fn every_range_has_its_meaning() {
        let unix_now_s = UNIX_NOW_S as i64;
        for (sent, expected) in [
            (0, NEVER_S),
            (-1, EXPIRED_S),
            (i64::MIN, EXPIRED_S),
            (1, 1_001),
            (60, 1_060),
            (2_592_000, 2_593_000),
            // The first absolute time is a day in January 1970.
            (2_592_001, EXPIRED_S),
            (unix_now_s - 1, EXPIRED_S),
            (unix_now_s, EXPIRED_S),
            (unix_now_s + 1, 1_000),
            (unix_now_s + 100, 1_099),
            // Past 2038, past 2^32, past everything.
            (2_147_483_648, 1_000 + (2_147_483_648 - UNIX_NOW_S - 1) as u32),
            (4_294_967_296, 1_000 + (4_294_967_296 - UNIX_NOW_S - 1) as u32),
            (i64::MAX, u32::MAX),
        ] {
            assert_eq!(Exptime(sent).to_expires_s(NOW_S, UNIX_NOW_S), expected, "{sent}");
        }
    }

    #[test]
    fn an_absolute_time_is_over_exactly_when_the_wall_clock_reads_it() {
        let expires_s = Exptime(UNIX_NOW_S as i64 + 10).to_expires_s(NOW_S, UNIX_NOW_S);
        assert!(NOW_S + 9 <= expires_s, "alive in its last second");
        assert!(NOW_S + 10 > expires_s, "dead when the clock reads it");
    }

    #[test]
    fn an_old_shard_clock_ends_rather_than_wraps() {
        assert_eq!(Exptime(60).to_expires_s(u32::MAX - 1, UNIX_NOW_S), u32::MAX);
        assert_eq!(Exptime(UNIX_NOW_S as i64 + 60).to_expires_s(u32::MAX - 1, UNIX_NOW_S), u32::MAX);
    }
}
