//! Cores: the list grammar of `--cores`, which is the kernel's own (`0-3,8`), and the order in which the cores of a
//! machine are given to shards: one hardware thread of every physical core first, their siblings after that.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::authentication::SASL_USERS_VARIABLE;
use super::error::OptionError;
use super::table::{CORES, SHARDS_MAX};

/// What the defaults depend on. A value, so that parsing gives the same on every machine it is tested on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The cores this process may run on, in the order shards take them. Never empty.
    pub cores: Vec<usize>,
    /// The file that the environment names for the users of `-S`.
    pub sasl_users: Option<PathBuf>,
}

/// Highest core number understood, beyond what Linux can be built for (`CONFIG_NR_CPUS` ends at 8192).
const CORE_MAX: usize = 8191;

impl Machine {
    /// Asks the kernel: `sched_getaffinity` for the cores, sysfs for which of them are threads of one physical core;
    /// and the environment.
    pub fn probe() -> Machine {
        let allowed: Vec<usize> =
            core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
        // Without an answer there still is the core this runs on.
        let allowed = if allowed.is_empty() { vec![0] } else { allowed };
        let sasl_users = std::env::var_os(SASL_USERS_VARIABLE).filter(|name| !name.is_empty());
        Machine { cores: threads_last(&allowed, siblings_of), sasl_users: sasl_users.map(PathBuf::from) }
    }
}

/// Those of the cores this thread may run on that share their memory with `core`; all of them if the kernel does not say.
pub fn on_node_of(core: usize) -> Vec<usize> {
    let allowed = core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id);
    let node = node_of(core).and_then(|node| {
        let path = format!("/sys/devices/system/node/node{node}/cpulist");
        parse_list(std::fs::read_to_string(path).ok()?.trim())
    });
    allowed.filter(|core| node.as_ref().is_none_or(|node| node.contains(core))).collect()
}

/// The NUMA node of a core: sysfs has a link `nodeN` in the directory of each.
fn node_of(core: usize) -> Option<usize> {
    let entries = std::fs::read_dir(format!("/sys/devices/system/cpu/cpu{core}")).ok()?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_prefix("node")?.parse().ok()).next()
}

/// The hardware threads of the physical core that `core` belongs to; only itself if the kernel does not say.
fn siblings_of(core: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    parse_list(text.trim()).unwrap_or_else(|| vec![core])
}

/// `allowed` sorted so that the first allowed thread of each physical core precedes every second one, and so on.
fn threads_last(allowed: &[usize], siblings_of: impl Fn(usize) -> Vec<usize>) -> Vec<usize> {
    let mut ranked: Vec<(usize, usize)> = allowed
        .iter()
        .map(|&core| {
            let earlier =
                siblings_of(core).into_iter().filter(|&other| other < core && allowed.contains(&other));
            (earlier.count(), core)
        })
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, core)| core).collect()
}

/// The core of each shard: `threads` of `list`, or of the machine's cores where no list is given. Fewer cores than
/// shards are handed out again from the start, with a warning.
pub fn assign(
    machine: &Machine,
    list: Option<&str>,
    threads: Option<usize>,
    warnings: &mut Vec<String>,
) -> Result<Vec<usize>, OptionError> {
    let available = match list {
        None => machine.cores.clone(),
        Some(text) => parse_list(text)
            .filter(|cores| cores.iter().all(|core| machine.cores.contains(core)))
            .ok_or_else(|| CORES.refuse(text))?,
    };
    let shards = threads.unwrap_or(available.len()).min(SHARDS_MAX);
    if shards > available.len() {
        let cores = available.len();
        warnings.push(format!(
            "-t {shards}: more shards than cores ({cores}), so shards share a core; -t {cores} is faster"
        ));
    }
    Ok(available.iter().copied().cycle().take(shards).collect())
}

/// `0-3,8`: numbers and ranges, each core once, at least one. `None` for anything else.
fn parse_list(text: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    let mut seen = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (parse_core(first)?, parse_core(last)?);
        if first > last {
            return None;
        }
        for core in first..=last {
            if !seen.insert(core) {
                return None;
            }
            cores.push(core);
        }
    }
    Some(cores)
}

/// A core number: digits only.
fn parse_core(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&core| digits && core <= CORE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four physical cores of two threads, numbered as x86 does: 0-3, then their siblings 4-7.
    fn eight() -> Machine {
        Machine { cores: (0..8).collect(), sasl_users: None }
    }

    fn shards(list: Option<&str>, threads: Option<usize>) -> Result<(Vec<usize>, Vec<String>), OptionError> {
        let mut warnings = Vec::new();
        let cores = assign(&eight(), list, threads, &mut warnings)?;
        Ok((cores, warnings))
    }

    #[test]
    fn lists_keep_their_order() {
        assert_eq!(parse_list("0-3,8"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(parse_list("7,1"), Some(vec![7, 1]));
        for bad in
            ["", ",", "1,", "3-1", "1,1", "0-2,1", "-1", "a", "1-", "+1", "9999", "0-99999999999999999999"]
        {
            assert_eq!(parse_list(bad), None, "{bad}");
        }
    }

    #[test]
    fn siblings_come_last_in_either_numbering() {
        let split = |core: usize| vec![core % 4, core % 4 + 4];
        assert_eq!(threads_last(&[0, 1, 2, 3, 4, 5, 6, 7], split), [0, 1, 2, 3, 4, 5, 6, 7]);
        let adjacent = |core: usize| vec![core & !1, core | 1];
        assert_eq!(threads_last(&[0, 1, 2, 3], adjacent), [0, 2, 1, 3]);
        // A thread whose sibling is not allowed counts as a first thread.
        assert_eq!(threads_last(&[1, 2, 3], adjacent), [1, 2, 3]);
    }

    #[test]
    fn shards_take_the_first_cores() {
        assert_eq!(shards(None, None).unwrap(), ((0..8).collect(), vec![]));
        assert_eq!(shards(None, Some(2)).unwrap(), (vec![0, 1], vec![]));
        assert_eq!(shards(Some("6,4-5"), None).unwrap(), (vec![6, 4, 5], vec![]));
        assert_eq!(shards(Some("6,4-5"), Some(1)).unwrap(), (vec![6], vec![]));
    }

    #[test]
    fn more_shards_than_cores_share_with_a_warning() {
        let (cores, warnings) = shards(Some("2,3"), Some(3)).unwrap();
        assert_eq!(cores, [2, 3, 2]);
        assert_eq!(warnings, ["-t 3: more shards than cores (2), so shards share a core; -t 2 is faster"]);
    }

    #[test]
    fn cores_outside_of_the_allowed_ones_are_refused() {
        let error = shards(Some("0,8"), None).unwrap_err();
        assert!(error.to_string().starts_with("--cores `0,8`: must be a list of core numbers"), "{error}");
    }

    #[test]
    fn this_machine_has_cores() {
        let machine = Machine::probe();
        let near = on_node_of(machine.cores[0]);
        assert!(near.contains(&machine.cores[0]) && near.iter().all(|core| machine.cores.contains(core)));
        assert!(!machine.cores.is_empty());
        let unique: BTreeSet<usize> = machine.cores.iter().copied().collect();
        assert_eq!(unique.len(), machine.cores.len());
    }
}
