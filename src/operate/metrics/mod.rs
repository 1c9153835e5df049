//! The text of `/metrics`, from the reports of all shards: first what memcached_exporter makes of memcached's `stats`
//! ([`memcached`]), then what each shard has to tell besides ([`shards`]). No key of a client's is ever in it.

mod memcached;
mod shards;
mod text;

use super::stats::Reporter;
use super::stats::classes::classes;
use crate::shard::snapshot::Snapshot;
use std::time::Duration;
use text::Exposition;

/// Its content type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bytes of text after which the shard's loop gets its turn again. A fraction of a millisecond.
const STEP_BYTES: usize = 128 * 1024;

/// How long it gets.
const STEP_REST: Duration = Duration::from_millis(1);

/// The most that is written of the server, of a size class and of a shard, in bytes, with the help of every family. A text has its
/// memory at once: one that grew would be there twice while it does.
const SERVER_BYTES: usize = 32 * 1024;
const CLASS_BYTES: usize = 3584;
const SHARD_BYTES: usize = 24 * 1024;

/// When a text rested last.
#[derive(Default)]
struct Pace {
    rested_at_bytes: usize,
}

impl Pace {
    /// Gives the shard's loop its turn if a step has been written since the last one.
    async fn rest(&mut self, text: &Exposition) {
        if text.len() - self.rested_at_bytes > STEP_BYTES {
            glommio::timer::sleep(STEP_REST).await;
            self.rested_at_bytes = text.len();
        }
    }
}

/// Writes the text, in steps. For a task of a shard's executor.
pub async fn render(reporter: &Reporter, reports: &[Snapshot]) -> String {
    let classes = classes(reports);
    let bytes = SERVER_BYTES + classes.len() * CLASS_BYTES + reports.len() * SHARD_BYTES;
    let mut text = Exposition::with_capacity(bytes);
    let mut pace = Pace::default();
    memcached::write(&mut text, reporter, reports);
    memcached::write_classes(&mut text, &mut pace, classes).await;
    for family in shards::families() {
        family.begin(&mut text);
        for report in reports {
            family.write(&mut text, report);
            pace.rest(&text).await;
        }
    }
    text.end()
}

#[cfg(test)]
mod tests;
