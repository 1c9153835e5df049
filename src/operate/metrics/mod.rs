//! The text of `/metrics`, from the reports of all shards: first what memcached_exporter makes of memcached's `stats`
//! ([`memcached`]), then what each shard has to tell besides ([`shards`]). No key of a client's is ever in it.

mod memcached;
mod shards;
mod text;

use super::stats::Reporter;
use crate::shard::snapshot::Snapshot;
use std::time::Duration;
use text::Exposition;

/// Its content type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bytes of text after which the shard's loop gets its turn again. A fraction of a millisecond.
const STEP_BYTES: usize = 128 * 1024;

/// How long it gets.
const STEP_REST: Duration = Duration::from_millis(1);

/// Writes the text, in steps. For a task of a shard's executor.
pub async fn render(reporter: &Reporter, reports: &[Snapshot]) -> String {
    let mut text = Exposition::with_capacity(STEP_BYTES);
    memcached::write(&mut text, reporter, reports);
    let mut rested_at = 0;
    for family in shards::families() {
        family.begin(&mut text);
        for report in reports {
            family.write(&mut text, report);
            if text.len() - rested_at > STEP_BYTES {
                glommio::timer::sleep(STEP_REST).await;
                rested_at = text.len();
            }
        }
    }
    text.end()
}
