//! A panic ends the whole process, whichever thread it came in and however the program was built: a server without one of its
//! shards would answer for some keys and leave the others waiting for ever.
//!
//! One line of the log names the thread, the place and the reason. Then the process aborts (SIGABRT): the core file, where there
//! is room for one (`-r`), has the stack of the panic, and a service manager starts the server again.

use super::log;
use std::panic::PanicHookInfo;
use std::thread;

/// From now on a panic of any thread ends the process. Unlike the standard hook this one never waits for whoever reads
/// standard error: a pipe that nobody reads would keep the rest of the process alive.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|info| {
        let thread = thread::current();
        let words = sentence(thread.name().unwrap_or("without a name"), info);
        log::last_words(format_args!("{words}"));
        std::process::abort();
    }));
}

/// What is said of a panic in the thread of this name.
fn sentence(thread: &str, info: &PanicHookInfo<'_>) -> String {
    // The executor adds a number of its own to the name it is given.
    let who = match thread.strip_prefix("shard-").and_then(|rest| rest.split_once('-')) {
        Some((shard, _)) => format!("shard {shard}"),
        None => format!("thread {thread}"),
    };
    let place = info.location().map_or_else(String::new, |place| format!(" at {place}"));
    let reason = info.payload_as_str().unwrap_or("no reason given");
    format!("{who} panicked{place}: {reason}: the server ends (SIGABRT)")
}
