//! What must not be left over when the last client has gone: connections, descriptors, locked memory, send blocks, bytes that wait,
//! memory of items after a flush. And figures that have to agree with each other.

use anyhow::{Context, Result, bail};

use crate::server::{PATIENCE, Server, wait_for};

/// What the server has while no client is there.
#[derive(Debug, PartialEq, Eq)]
pub struct Rest {
    descriptors: Vec<String>,
    locked_bytes: u64,
    pinned_bytes: u64,
}

impl Rest {
    /// At this moment.
    ///
    /// # Errors
    /// The server has ended.
    pub fn of(server: &Server) -> Result<Rest> {
        Ok(Rest {
            descriptors: server.descriptors()?,
            locked_bytes: server.status_bytes("VmLck")?,
            pinned_bytes: server.status_bytes("VmPin")?,
        })
    }

    /// How many descriptors.
    pub fn count(&self) -> usize {
        self.descriptors.len()
    }

    /// Waits until the server has come to rest as it was before, then flushes it and compares its figures.
    ///
    /// # Errors
    /// What is left over, or does not agree.
    pub fn is_reached_again(&self, server: &Server) -> Result<()> {
        let mut last = None;
        let reached = wait_for("rest", PATIENCE, || {
            let now = Rest::of(server)?;
            let same = now == *self;
            last = Some(now);
            Ok(same.then_some(()))
        });
        if let (Err(_), Some(now)) = (&reached, last) {
            let more: Vec<&String> = surplus(&now.descriptors, &self.descriptors);
            bail!(
                "left over when all clients had gone: {} descriptors, {} at the start, more: {more:?}; locked memory \
                 {} and {} bytes pinned, {} and {} at the start",
                now.count(),
                self.count(),
                now.locked_bytes,
                now.pinned_bytes,
                self.locked_bytes,
                self.pinned_bytes
            );
        }
        reached?;
        server.ask("flush_all")?;
        let mut found = String::new();
        let emptied = wait_for("nothing to be left over", 3 * PATIENCE, || {
            found = figures(server)?;
            Ok(found.is_empty().then_some(()))
        });
        emptied.with_context(|| format!("left over: {found}"))?;
        counters_agree(server)
    }
}

/// What `now` has more of than `before`; both sorted.
fn surplus<'a>(now: &'a [String], before: &[String]) -> Vec<&'a String> {
    let mut before = before.iter().peekable();
    let is_new = |kind: &&String| {
        while before.next_if(|other| *other < *kind).is_some() {}
        before.next_if(|other| *other == *kind).is_none()
    };
    now.iter().filter(is_new).collect()
}

/// Figures that should be 0, in words; the connection that asks is none of them.
fn figures(server: &Server) -> Result<String> {
    let metrics = server.metrics()?;
    let connections = server.stats("")?.get("curr_connections")?.saturating_sub(1);
    let mut found = Vec::new();
    let mut note = |what: &str, count: u64| {
        if count > 0 {
            found.push(format!("{count} {what}"));
        }
    };
    note("connections", connections);
    for (what, name, part) in [
        ("connections of shards", "ringcached_connections{", ""),
        ("send blocks", "ringcached_send_blocks_used{", ""),
        ("waiting bytes", "ringcached_waiting_bytes{", ""),
        ("submissions that wait for the ring", "ringcached_ring_backlog{", ""),
        ("bytes of pages for items, all of which are flushed", "ringcached_memory_bytes{", "use=\"items\""),
    ] {
        note(what, metrics.sum(name, part)?);
    }
    Ok(found.join(", "))
}

/// What is counted in two ways.
fn counters_agree(server: &Server) -> Result<()> {
    let (stats, shards) = (server.stats("")?, server.stats("shards")?);
    let pairs = [
        (
            "get_hits + get_misses",
            stats.get("get_hits")? + stats.get("get_misses")?,
            "cmd_get",
            stats.get("cmd_get")?,
        ),
        (
            "touch_hits + touch_misses",
            stats.get("touch_hits")? + stats.get("touch_misses")?,
            "cmd_touch",
            stats.get("cmd_touch")?,
        ),
        (
            "cmd_forwarded of shards",
            shards.sum("", ":cmd_forwarded")?,
            "cmd_for_peers",
            shards.sum("", ":cmd_for_peers")?,
        ),
        ("curr_items of shards", shards.sum("", ":curr_items")?, "curr_items", stats.get("curr_items")?),
    ];
    for (one, first, other, second) in pairs {
        if first != second {
            bail!("stats: {one} is {first}, {other} is {second}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_named() {
        let kinds = |words: &str| words.split(' ').map(String::from).collect::<Vec<_>>();
        let (before, now) = (kinds("a b b d"), kinds("a b b b c d e"));
        assert_eq!(surplus(&now, &before), ["b", "c", "e"]);
        assert!(surplus(&before, &now).is_empty());
    }
}
