//! The memory there is, and the pages the kernel makes of it: what the operator should know before the first item comes.

use std::fs;
use std::path::Path;

/// Bytes this process may have: the machine's memory, or what its control group allows if that is less. 0 if the kernel does not
/// say.
pub fn available_bytes() -> u64 {
    let machine = nix::sys::sysinfo::sysinfo().map_or(0, |info| info.ram_total());
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    group_limits(&groups, |path| fs::read_to_string(path).ok()).fold(machine, u64::min)
}

/// The limits of the control groups in the text of /proc/self/cgroup and of those they are in, of version 1 and 2 (cgroups(7)). In a
/// container the group's own folder may be the root of what is mounted, which is looked at like any group above.
fn group_limits(groups: &str, read: impl Fn(&Path) -> Option<String>) -> impl Iterator<Item = u64> {
    groups.lines().flat_map(move |line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { return Vec::new() };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return Vec::new(),
        };
        let paths = Path::new(group).ancestors().map(|group| format!("{root}{}/{file}", group.display()));
        // `max`, no limit, is no number.
        paths.filter_map(|path| read(Path::new(&path))?.trim().parse().ok()).collect()
    })
}

/// Bytes of files mapped into this process, in memory or not: the program and its libraries. 0 if the kernel does not say.
pub fn mapped_file_bytes() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().filter_map(file_mapping_bytes).sum()
}

/// The length of a mapping, given its line of /proc/self/maps (proc(5)), if there is a file behind it.
fn file_mapping_bytes(line: &str) -> Option<usize> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let path = fields.nth(4)?;
    let address = |text: &str| usize::from_str_radix(text, 16).ok();
    address(end)?.checked_sub(address(start)?).filter(|_| path.starts_with('/'))
}

/// A sentence when `-m` and the fixed budget together are more than there is.
pub fn too_much(limit_bytes: u64, fixed_bytes: u64, available_bytes: u64) -> Option<String> {
    let mib = |bytes: u64| bytes >> 20;
    (available_bytes > 0 && limit_bytes + fixed_bytes > available_bytes).then(|| {
        format!(
            "-m {} and the fixed budget of {} MiB are more than the {} MiB this process may have: lower -m, or it \
             will be paged out or killed when it is full",
            mib(limit_bytes),
            mib(fixed_bytes),
            mib(available_bytes)
        )
    })
}

/// A sentence about the pages the items will lie in. `explicit`: huge pages were asked for (`-L`); where they could not be had,
/// the store has said so.
pub fn page_sizes(explicit: bool) -> String {
    let text = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let pages = match (explicit, chosen(&text)) {
        (true, _) => "explicit huge pages for items (-L), as far as they are set aside",
        (false, Some("always" | "madvise")) => "transparent huge pages for items, as the kernel finds them",
        (false, Some(_)) => {
            "small pages for items: the kernel is told never to use transparent huge pages \
             (/sys/kernel/mm/transparent_hugepage/enabled)"
        }
        (false, None) => "small pages for items: this kernel has no transparent huge pages",
    };
    format!("memory: {pages}")
}

/// The word in brackets.
fn chosen(text: &str) -> Option<&str> {
    text.split_once('[')?.1.split_once(']').map(|(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_both_versions_are_found() {
        let files = |path: &Path| match path.to_str()? {
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes" => Some("4096\n".to_string()),
            "/sys/fs/cgroup/b/memory.max" => Some("max\n".to_string()),
            "/sys/fs/cgroup//memory.max" => Some("8192\n".to_string()),
            "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes" => Some("1048576\n".to_string()),
            _ => None,
        };
        let limits = |groups: &str| group_limits(groups, files).collect::<Vec<u64>>();
        assert_eq!(limits("5:cpu,memory:/a\n2:cpuset:/\n"), [4096]);
        assert_eq!(limits("5:memory:/a/b/c\n"), [1_048_576, 4096], "those above hold, too");
        assert_eq!(limits("0::/b\n"), [8192]);
        assert_eq!(limits("nonsense\n0::/missing\n"), [8192]);
        assert_eq!(limits(""), []);
    }

    #[test]
    fn mappings_of_files_are_measured() {
        let text = "55a4babde000-55a4bac2b000 r--p 00000000 fe:00 68165 /opt/a name";
        assert_eq!(file_mapping_bytes(text), Some(0x4d000));
        for other in ["7f0-7f1 rw-p 00000000 00:00 0", "7f0-7f1 rw-p 0 00:00 0 [heap]", "nonsense /a", ""] {
            assert_eq!(file_mapping_bytes(other), None, "{other}");
        }
        assert!(mapped_file_bytes() > 1 << 20, "this test is a program too");
    }

    #[test]
    fn too_much_memory_is_said() {
        assert_eq!(too_much(10 << 20, 1 << 20, 11 << 20), None);
        assert_eq!(too_much(10 << 20, 1 << 20, 0), None);
        let said = too_much(11 << 20, 1 << 20, 11 << 20).expect("a sentence");
        assert!(said.contains("-m 11 ") && said.contains("the 11 MiB"), "{said}");
    }

    #[test]
    fn the_chosen_word_is_in_brackets() {
        assert_eq!(chosen("always [madvise] never\n"), Some("madvise"));
        assert_eq!(chosen(""), None);
        assert!(page_sizes(true).contains("-L") && page_sizes(false).starts_with("memory: "));
    }
}
