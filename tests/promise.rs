//! The memory a server promises, when it starts, to keep to: one line of its log, explained in `src/shard/plan.rs`.

/// In bytes.
#[derive(Debug)]
pub struct Promise {
    /// `-m`.
    pub limit_bytes: u64,
    /// Everything that is neither `-m` nor connections.
    fixed_bytes: u64,
    /// What each connection may take on top.
    connection_bytes: u64,
    /// What each that watches may take beyond that.
    watcher_bytes: u64,
}

impl Promise {
    /// From the log of a server; nothing while the line is not there.
    pub fn read(log: &str) -> Option<Promise> {
        let number = |before: &str| {
            let (_, rest) = log.split_once(before)?;
            rest.split(' ').next()?.parse::<f64>().ok()
        };
        let mib = |number: f64| (number * f64::from(1 << 20)) as u64;
        const ROUNDING_MIB: f64 = 0.05;
        Some(Promise {
            limit_bytes: mib(number("memory: ")?),
            fixed_bytes: mib(number("fixed budget ")? + ROUNDING_MIB),
            connection_bytes: number("each connection at most ")? as u64 * 1024,
            watcher_bytes: number("each that watches ")? as u64 * 1024,
        })
    }

    /// The same with so many connections that watch.
    pub fn with_watchers(self, watchers: u64) -> Promise {
        Promise { fixed_bytes: self.fixed_bytes + watchers * self.watcher_bytes, ..self }
    }

    /// Says how `resident_bytes` break it, if they do, under a limit of `limit_bytes` and with up to `connections` clients at a
    /// time.
    pub fn broken_by(&self, resident_bytes: u64, limit_bytes: u64, connections: u64) -> Option<String> {
        let allowed_bytes = limit_bytes + self.fixed_bytes + connections * self.connection_bytes;
        (resident_bytes > allowed_bytes).then(|| {
            format!(
                "{resident_bytes} bytes are or were resident, {allowed_bytes} are allowed with a limit of {limit_bytes} and \
                 {connections} connections: {self:?}"
            )
        })
    }
}

#[test]
fn a_promise_is_read_and_held_against_the_peak() {
    const MIB: u64 = 1 << 20;
    let log = "x\nringcached: memory: 64 MiB for items (-m), 32.0 MiB for each of 2 shards; fixed budget 20.0 MiB (program 4.8, \
               loop 0.6); each connection at most 24 KiB more, each that watches 512 KiB\n";
    let promise = Promise::read(log).expect("a promise");
    let least_broken = 84 * MIB + MIB / 20 + 48 * 1024 + 1;
    assert_eq!(promise.limit_bytes, 64 * MIB);
    assert_eq!(promise.broken_by(least_broken - 1024, 64 * MIB, 2), None);
    assert!(promise.broken_by(least_broken, 64 * MIB, 2).is_some_and(|why| why.contains("2 connections")));
    assert_eq!(promise.broken_by(least_broken, 65 * MIB, 2), None);
    assert_eq!(promise.with_watchers(1).broken_by(least_broken + (512 << 10) - 1024, 64 * MIB, 2), None);
    assert!(Promise::read("ringcached: warning").is_none());
}
