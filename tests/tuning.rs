//! The checker and the scripts of tuning/: against machines made of files, and against the network of a namespace.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::namespace::Namespace;

/// Copies of /proc and /sys of a machine that does not exist.
struct Machine(TempDir);

/// A machine that is as it should be: four cores, a card with four queues, each with an interrupt on a core of its own.
const GOOD: &[(&str, &str)] = &[
    ("proc/sys/kernel/osrelease", "6.12.3-test"),
    ("proc/sys/kernel/io_uring_disabled", "0"),
    ("proc/sys/kernel/numa_balancing", "0"),
    (
        "proc/self/status",
        "Name:\tbash\nCapEff:\t0000000000000000\nSeccomp:\t0\nCpus_allowed_list:\t0-3\nVmSwap:\t0 kB\n",
    ),
    ("proc/self/limits", LIMITS),
    ("proc/self/cgroup", "0::/system.slice/cache.service\n"),
    ("proc/sys/net/core/somaxconn", "4096"),
    ("proc/sys/net/core/optmem_max", "131072"),
    ("proc/sys/net/ipv4/tcp_max_syn_backlog", "4096"),
    ("proc/sys/net/ipv4/tcp_syncookies", "1"),
    ("proc/sys/net/ipv4/tcp_slow_start_after_idle", "0"),
    ("proc/sys/net/ipv4/tcp_congestion_control", "cubic"),
    ("proc/net/netstat", "TcpExt: A ListenOverflows B\nTcpExt: 1 0 2\n"),
    ("proc/interrupts", INTERRUPTS),
    ("proc/irq/40/smp_affinity_list", "0-3"),
    ("proc/irq/40/effective_affinity_list", "0"),
    ("proc/irq/41/smp_affinity_list", "1"),
    ("proc/irq/42/smp_affinity_list", "2"),
    ("proc/irq/43/smp_affinity_list", "3"),
    ("proc/irq/44/smp_affinity_list", "0"),
    (
        "proc/meminfo",
        "MemTotal: 1 kB\nHugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n",
    ),
    ("proc/swaps", "Filename Type Size Used Priority\n"),
    ("proc/sys/vm/swappiness", "60"),
    ("proc/sys/vm/overcommit_memory", "0"),
    ("proc/7/comm", "sshd"),
    ("sys/class/net/eth0/device/msi_irqs/40", "msix"),
    ("sys/class/net/eth0/device/msi_irqs/41", "msix"),
    ("sys/class/net/eth0/device/msi_irqs/42", "msix"),
    ("sys/class/net/eth0/device/msi_irqs/43", "msix"),
    ("sys/class/net/eth0/device/msi_irqs/44", "msix"),
    ("sys/class/net/eth0/device/numa_node", "0"),
    ("sys/class/net/eth0/queues/rx-0/rps_cpus", "0"),
    ("sys/class/net/eth0/queues/rx-1/rps_cpus", "0"),
    ("sys/class/net/eth0/queues/rx-2/rps_cpus", "0"),
    ("sys/class/net/eth0/queues/rx-3/rps_cpus", "0"),
    ("sys/class/net/eth0/queues/tx-0/xps_cpus", "5"),
    ("sys/class/net/eth0/queues/tx-1/xps_cpus", "0000000a"),
    ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/latency", "0"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/name", "POLL"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state1/latency", "2"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state1/name", "C1"),
    ("sys/devices/system/cpu/smt/active", "0"),
    ("sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected"),
    ("sys/devices/system/node/node0/cpulist", "0-3"),
    ("sys/fs/cgroup/cpu.stat", "usage_usec 1\nnr_throttled 0\n"),
    ("sys/fs/cgroup/system.slice/cache.service/cpu.max", "max 100000"),
    ("sys/fs/cgroup/system.slice/cache.service/memory.max", "max"),
    ("sys/fs/cgroup/system.slice/cache.service/memory.high", "max"),
    ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never"),
];

const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 65536                files\n\
                      Max locked memory         65536                8388608              bytes\n";

const INTERRUPTS: &str = "           CPU0       CPU1       CPU2       CPU3\n  \
    40:  1  2  3  4  PCI-MSI-X 0-edge  eth0-TxRx-0\n  \
    41:  1  2  3  4  PCI-MSI-X 1-edge  eth0-TxRx-1\n  \
    42:  1  2  3  4  PCI-MSI-X 2-edge  eth0-TxRx-2\n  \
    43:  1  2  3  4  PCI-MSI-X 3-edge  eth0-TxRx-3\n  \
    44:  1  2  3  4  PCI-MSI-X 4-edge  eth0-config\n \
    NMI: 0  0  0  0  Non-maskable interrupts\n";

impl Machine {
    /// One that has nothing but a process.
    fn bare() -> Machine {
        let machine = Machine(tempfile::tempdir().expect("temporary directory"));
        fs::create_dir_all(machine.path().join("proc/self")).expect("folder");
        machine
    }

    /// The good one, with other contents of some files.
    fn with(changes: &[(&str, &str)]) -> Machine {
        let machine = Machine::bare();
        for (path, text) in GOOD.iter().chain(changes) {
            machine.set(path, text);
        }
        machine
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn set(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("folder")).expect("folder");
        fs::write(path, text).expect("file");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).expect("file").trim().into()
    }

    /// Runs a script of tuning/ on it.
    fn run(&self, script: &str, words: &[&str]) -> Output {
        let root = self.path().to_str().expect("a path in UTF-8");
        run(script, &[words, &["--root", root]].concat())
    }

    /// What the checker prints, and whether something costs. It has nothing to complain about by itself.
    fn check(&self, words: &[&str]) -> (String, bool) {
        checked(&self.run("check", words))
    }
}

fn run(script: &str, words: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tuning").join(script);
    Command::new(script).args(words).output().expect("the script")
}

fn checked(output: &Output) -> (String, bool) {
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(complaints.is_empty(), "{complaints}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let code = output.status.code().expect("status");
    assert!(code == 0 || code == 1, "{code}: {text}");
    (text, code == 1)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_good_machine_has_nothing_to_change() {
    let (text, costs) = Machine::with(&[]).check(&[]);
    assert!(!costs, "{text}");
    assert!(text.ends_with("25 good, 0 cost something, 0 notes, 0 not to be read\n"), "{text}");
}

#[test]
fn each_thing_that_costs_is_named_with_its_remedy() {
    let eth0 = "sys/class/net/eth0/queues";
    let group = "sys/fs/cgroup/system.slice/cache.service";
    let upper = "sys/fs/cgroup/system.slice/cpu.max";
    let rps = format!("{eth0}/rx-2/rps_cpus");
    let xps = format!("{eth0}/tx-1/xps_cpus");
    let memory_high = format!("{group}/memory.high");
    let few_files = LIMITS.replace("65536                files", "1100                 files");
    let little_locked = LIMITS.replace("8388608", "65536");
    for (path, text, name, remedy) in [
        (
            "proc/sys/kernel/osrelease",
            "5.15.0-91-generic",
            "release: Linux 5.15.0-91-generic",
            "boot a kernel from 6.1 on",
        ),
        (
            "proc/sys/kernel/io_uring_disabled",
            "2",
            "io_uring: switched off",
            "sysctl kernel.io_uring_disabled=0",
        ),
        (
            "proc/sys/kernel/io_uring_disabled",
            "1",
            "io_uring: only for the group -1",
            "sysctl kernel.io_uring_group=GID",
        ),
        (
            "proc/self/limits",
            &few_files,
            "open files: 1100; -c 1024, the default, needs 1184",
            "LimitNOFILE=65536",
        ),
        (
            "proc/self/limits",
            &little_locked,
            "locked memory, of other users: 64 KiB",
            "LimitMEMLOCK=infinity",
        ),
        (
            "proc/sys/net/core/somaxconn",
            "128",
            "backlog: net.core.somaxconn = 128 caps",
            "sysctl net.core.somaxconn=4096",
        ),
        (
            "proc/sys/net/ipv4/tcp_slow_start_after_idle",
            "1",
            "window after a pause",
            "sysctl net.ipv4.tcp_slow_start_after_idle=0",
        ),
        (
            "proc/irq/43/smp_affinity_list",
            "2",
            "eth0, interrupts: 4 receive queues, on 3 of 4 cores",
            "tuning/irq-affinity --cores 0-3 eth0",
        ),
        (&rps, "f", "eth0, RPS: on for 1 of 4", "tuning/packet-steering --cores 0-3 eth0"),
        (&xps, "2", "eth0, XPS: 2 queues to send on, and 1 of 4", "tuning/packet-steering --cores 0-3 eth0"),
        (
            "sys/devices/system/cpu/cpu2/cpufreq/scaling_governor",
            "powersave",
            "frequency: governor powersave on 1 of 4",
            "cpupower frequency-set -g performance",
        ),
        (
            "sys/devices/system/cpu/cpu0/cpuidle/state1/latency",
            "133",
            "idle states: down to C1",
            "cpupower idle-set -D 10",
        ),
        ("proc/sys/kernel/numa_balancing", "1", "", ""), // one node: there is nothing to balance
        (upper, "150000 100000", "cores: a quota of 150 % of a core for 4 shards", "-t 1"),
        (&memory_high, "268435456", "memory: from 256 MiB on", "MemoryHigh=infinity"),
        (
            "sys/kernel/mm/transparent_hugepage/enabled",
            "always madvise [never]",
            "transparent huge pages",
            "echo madvise",
        ),
        (
            "proc/swaps",
            "Filename Type Size Used Priority\n/dev/vda2 partition 1 0 -2\n",
            "swap: there is some, vm.swappiness = 60",
            "vm.swappiness=1",
        ),
        (
            "proc/sys/vm/overcommit_memory",
            "2",
            "overcommit: vm.overcommit_memory = 2",
            "sysctl vm.overcommit_memory=0",
        ),
    ] {
        let (said, costs) = Machine::with(&[(path, text)]).check(&[]);
        let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("  COSTS ")).collect();
        if name.is_empty() {
            assert!(!costs && lines.is_empty(), "{path} = {text}: {said}");
            continue;
        }
        assert!(costs, "{path} = {text}: {said}");
        assert!(lines.len() == 1 && lines[0].contains(name), "{path} = {text}: {lines:?}");
        let (_, after) = said.split_once(lines[0]).expect("the line");
        let mut after = after.lines().skip(1);
        let (cost, command) = (after.next().unwrap_or_default(), after.next().unwrap_or_default());
        assert!(cost.starts_with("        costs: ") && command.starts_with("        do:    "), "{said}");
        assert!(command.contains(remedy), "{command}");
    }
}

#[test]
fn fewer_queues_than_cores_want_packet_steering() {
    let machine = Machine::with(&[]);
    for queue in 1..4 {
        fs::remove_dir_all(machine.path().join(format!("sys/class/net/eth0/queues/rx-{queue}")))
            .expect("queue");
        fs::remove_file(machine.path().join(format!("sys/class/net/eth0/device/msi_irqs/{}", 40 + queue)))
            .expect("irq");
    }
    let (text, costs) = machine.check(&[]);
    assert!(
        costs && text.contains("COSTS eth0, RPS: 1 receive queues for 4 cores, and 1 without RPS"),
        "{text}"
    );
    let (text, costs) = machine.check(&["--cores", "0"]);
    assert!(!costs, "one core has its queue: {text}");
    let output = machine.run("packet-steering", &["--cores", "0-3", "eth0"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(machine.read("sys/class/net/eth0/queues/rx-0/rps_cpus"), "f");
    assert_eq!(machine.read("sys/class/net/eth0/queues/tx-0/xps_cpus"), "5");
    assert_eq!(machine.read("sys/class/net/eth0/queues/tx-1/xps_cpus"), "0000000a", "as it was");
    let (text, costs) = machine.check(&[]);
    assert!(!costs, "{text}");
}

/// A kernel without RPS has nothing to turn off, and nothing to turn on.
#[test]
fn what_a_kernel_does_not_have_is_off() {
    let machine = Machine::with(&[("sys/class/net/eth0/queues/tx-1/xps_cpus", "0")]);
    let without = "sys/class/net/eth0/queues/rx-1/rps_cpus";
    fs::remove_file(machine.path().join(without)).expect("RPS");
    let output = machine.run("packet-steering", &["--cores", "0-3", "eth0"]);
    assert!(output.status.success(), "{}: {}", output.status, said(&output));
    assert!(said(&output).contains(&format!("as it should be: there is no /{without}")), "{}", said(&output));
    assert_eq!(machine.read("sys/class/net/eth0/queues/tx-1/xps_cpus"), "a");
    // With two queues for the cores it is wanted.
    for queue in [2, 3] {
        fs::remove_dir_all(machine.path().join(format!("sys/class/net/eth0/queues/rx-{queue}")))
            .expect("queue");
    }
    let output = machine.run("packet-steering", &["--cores", "0-3", "eth0"]);
    assert!(output.status.code() == Some(2) && said(&output).contains(without), "{}", said(&output));
}

#[test]
fn two_nodes_and_a_card_on_the_other() {
    let machine = Machine::with(&[
        ("sys/devices/system/node/node0/cpulist", "0-1"),
        ("sys/devices/system/node/node1/cpulist", "2-3"),
        ("proc/sys/kernel/numa_balancing", "1"),
        ("sys/class/net/eth0/device/numa_node", "1"),
    ]);
    let (text, costs) = machine.check(&["--cores", "0-1"]);
    assert!(costs && text.contains("the server's cores are on 0, but eth0 on node 1"), "{text}");
    assert!(text.contains("COSTS node balancing: kernel.numa_balancing = 1"), "{text}");
}

#[test]
fn choices_are_notes() {
    let machine = Machine::with(&[
        ("proc/sys/net/ipv4/tcp_congestion_control", "bbr"),
        ("proc/sys/net/core/optmem_max", "20480"),
        ("sys/devices/system/cpu/smt/active", "1"),
        ("sys/devices/system/cpu/vulnerabilities/meltdown", "Mitigation: PTI"),
        ("sys/fs/cgroup/memory.max", "1073741824"),
        ("proc/8/comm", "irqbalance"),
        ("proc/meminfo", "HugePages_Total: 100\nHugePages_Free: 40\nHugepagesize: 2048 kB\n"),
    ]);
    let (text, costs) = machine.check(&[]);
    assert!(!costs, "{text}");
    for note in [
        "congestion control: bbr",
        "steered datagrams: net.core.optmem_max = 20480",
        "hardware threads: two or more",
        "mitigations: active: meltdown",
        "memory limit: 1024 MiB (/sys/fs/cgroup/memory.max)",
        "irqbalance: it runs",
        "huge pages set aside: 40 of 100 are free",
    ] {
        assert!(text.contains(&format!("  note  {note}")), "{note}: {text}");
    }
}

#[test]
fn control_groups_of_version_1() {
    let machine = Machine::with(&[
        ("proc/self/cgroup", "5:memory:/box\n4:cpu,cpuacct:/box\n0::/\n"),
        ("sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", "-1"),
        ("sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", "100000"),
        ("sys/fs/cgroup/cpu,cpuacct/box/cpu.stat", "nr_periods 9\nnr_throttled 3\n"),
        ("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "9223372036854771712"),
    ]);
    let (text, costs) = machine.check(&[]);
    assert!(!costs && text.contains("good  cores: no quota"), "{text}");
    machine.set("sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", "50000");
    machine.set("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "67108864");
    let (text, costs) = machine.check(&[]);
    assert!(
        costs && text.contains("a quota of 50 % of a core for 4 shards; it was held back 3 times"),
        "{text}"
    );
    assert!(text.contains("note  memory limit: 64 MiB"), "{text}");
}

#[test]
fn a_running_server_is_read_by_its_process() {
    let machine = Machine::with(&[
        (
            "proc/99/status",
            "CapEff:\t0000000000000000\nSeccomp:\t2\nCpus_allowed_list:\t1-2\nVmRSS:\t63000 kB\n",
        ),
        ("proc/99/limits", LIMITS),
        ("proc/99/cgroup", "0::/box\n"),
        ("sys/fs/cgroup/box/memory.max", "67108864"),
    ]);
    let (text, costs) = machine.check(&["--pid", "99"]);
    assert!(
        text.contains("cores 1-2\n") && text.contains("good  seccomp: a filter that lets process 99 run"),
        "{text}"
    );
    assert!(
        costs
            && text.contains(
                "COSTS memory limit: 64 MiB (/sys/fs/cgroup/box/memory.max), and process 99 has 61"
            ),
        "{text}"
    );
    let output = machine.run("check", &["--pid", "98"]);
    assert!(
        output.status.code() == Some(2) && said(&output).contains("--pid 98: no such process"),
        "{}",
        said(&output)
    );
}

#[test]
fn what_is_not_there_is_said_and_nothing_breaks() {
    let (text, costs) = Machine::bare().check(&[]);
    assert!(!costs, "{text}");
    assert!(text.lines().filter(|line| line.starts_with("  ?     ")).count() >= 15, "{text}");
    // Each file of the good machine away, or without sense.
    for (path, _) in GOOD {
        let machine = Machine::with(&[]);
        fs::remove_file(machine.path().join(path)).expect("file");
        machine.check(&[]);
        for nonsense in ["", "99999999999999999999 x"] {
            machine.set(path, nonsense);
            machine.check(&[]);
        }
    }
}

#[test]
fn this_machine_can_be_read() {
    let (text, _) = checked(&run("check", &[]));
    assert!(text.contains("  good  release: Linux "), "{text}");
}

#[test]
fn interrupts_go_to_a_core_each_and_back() {
    let machine = Machine::with(&[]);
    let affinity = |irq: u32| machine.read(&format!("proc/irq/{irq}/smp_affinity_list"));
    let output = machine.run("irq-affinity", &["--dry-run", "--cores", "2-3", "eth0"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", said(&output));
    assert!(
        said(&output).contains("would write: /proc/irq/40/smp_affinity_list = 2 (now 0-3)"),
        "{}",
        said(&output)
    );
    assert_eq!(affinity(40), "0-3");
    let output = machine.run("irq-affinity", &["--cores", "2-3", "eth0"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!([40, 41, 42, 43].map(affinity), ["2", "3", "2", "3"]);
    assert_eq!(affinity(44), "0", "what is no queue stays");
    let undo = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(undo.lines().next(), Some("echo '0-3' > /proc/irq/40/smp_affinity_list"));
    assert_eq!(undo.lines().count(), 2, "two were right: {undo}");
}

#[test]
fn virtual_cards_and_wide_machines() {
    let machine = Machine::with(&[
        (
            "proc/interrupts",
            "  CPU0\n 50: 1 PCI-MSIX-0000:00:03.0 0-edge virtio2-config\n 51: 1 PCI-MSIX-0000:00:03.0 1-edge virtio2-input.0\n \
          52: 1 PCI-MSIX-0000:00:03.0 2-edge virtio2-output.0\n 53: 1 PCI-MSIX-0000:00:03.0 3-edge virtio2-input.1\n",
        ),
        ("proc/irq/51/smp_affinity_list", "0"),
        ("proc/irq/52/smp_affinity_list", "0"),
        ("proc/irq/53/smp_affinity_list", "0"),
        ("sys/devices/pci/msi_irqs/50", "msix"),
        ("sys/devices/pci/msi_irqs/51", "msix"),
        ("sys/devices/pci/msi_irqs/52", "msix"),
        ("sys/devices/pci/msi_irqs/53", "msix"),
        ("sys/devices/pci/virtio2/vendor", "0x1af4"),
        ("sys/class/net/eth1/queues/rx-0/rps_cpus", "00000000,00000000"),
        ("sys/class/net/eth1/queues/rx-1/rps_cpus", "00000000,00000000"),
        ("sys/class/net/eth1/queues/tx-0/xps_cpus", "00000000,00000000"),
    ]);
    symlink("../../../devices/pci/virtio2", machine.path().join("sys/class/net/eth1/device")).expect("link");
    let output = machine.run("irq-affinity", &["--cores", "0,40", "eth1"]);
    assert!(output.status.success(), "{}", said(&output));
    let affinity = |irq: u32| machine.read(&format!("proc/irq/{irq}/smp_affinity_list"));
    assert_eq!([51, 52, 53].map(affinity), ["0", "0", "40"]);
    let output = machine.run("packet-steering", &["--cores", "0-2,40", "eth1"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(machine.read("sys/class/net/eth1/queues/rx-0/rps_cpus"), "5");
    assert_eq!(machine.read("sys/class/net/eth1/queues/rx-1/rps_cpus"), "100,00000002");
}

#[test]
fn settings_are_raised_and_never_lowered() {
    let machine =
        Machine::with(&[("proc/sys/net/core/somaxconn", "128"), ("proc/sys/net/core/optmem_max", "200000")]);
    let output = machine.run("sysctl", &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(machine.read("proc/sys/net/core/somaxconn"), "4096");
    assert_eq!(machine.read("proc/sys/vm/swappiness"), "1");
    assert_eq!(machine.read("proc/sys/net/core/optmem_max"), "200000");
    assert!(said(&output).contains("higher already: net.core.optmem_max = 200000"), "{}", said(&output));
    let undo = "echo '128' > /proc/sys/net/core/somaxconn\necho '60' > /proc/sys/vm/swappiness\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), undo);
}

#[test]
fn what_the_scripts_cannot_do_is_named() {
    let machine = Machine::with(&[]);
    for (script, words, want) in [
        ("irq-affinity", &["eth7"][..], "eth7: no interrupts of queues"),
        ("irq-affinity", &["--cores", "a", "eth0"], "--cores 'a' is no list"),
        ("irq-affinity", &["--cores", "0-", "eth0"], "--cores '0-' is no list"),
        ("packet-steering", &["eth7"], "eth7: no such interface"),
        ("packet-steering", &["../x"], "'../x' is no name"),
        ("packet-steering", &[], "which network card?"),
        ("packet-steering", &["--nonsense", "eth0"], "--nonsense is no option"),
        ("sysctl", &["/nowhere"], "/nowhere cannot be read"),
        ("check", &["--nonsense"], "--nonsense is no option"),
        ("check", &["--cores", "3-"], "--cores '3-' is no list"),
    ] {
        let output = machine.run(script, words);
        assert!(
            output.status.code() == Some(2) && said(&output).contains(want),
            "{words:?}: {}",
            said(&output)
        );
    }
}

#[test]
fn the_kernel_takes_what_the_scripts_write() {
    let namespace = Namespace::new();
    namespace.run(|| {
        let added =
            "link add rc0 numrxqueues 2 numtxqueues 2 type veth peer name rc1 numrxqueues 1 numtxqueues 1";
        assert!(Command::new("ip").args(added.split(' ')).status().expect("ip").success());
        let read = |path: &str| {
            let mask = fs::read_to_string(path).expect(path);
            mask.trim().trim_start_matches(['0', ',']).to_string()
        };
        let (rps, xps) =
            ("/sys/class/net/rc0/queues/rx-1/rps_cpus", "/sys/class/net/rc0/queues/tx-1/xps_cpus");
        fs::write(rps, "3").expect("RPS");
        let steer = |device| {
            let output = run("packet-steering", &["--cores", "0-1", device]);
            assert!(output.status.success(), "{}", said(&output));
            output
        };
        let output = steer("rc0");
        assert_eq!((read(rps), read(xps)), (String::new(), "2".into()));
        let again = steer("rc0");
        assert!(again.stdout.is_empty(), "nothing is left to do: {}", said(&again));
        let undone =
            Command::new("sh").arg("-c").arg(String::from_utf8_lossy(&output.stdout).as_ref()).status();
        assert!(undone.expect("sh").success());
        assert_eq!((read(rps), read(xps)), ("3".into(), String::new()));
        steer("rc1");
        assert_eq!(read("/sys/class/net/rc1/queues/rx-0/rps_cpus"), "3");

        let settings = tempfile::NamedTempFile::new().expect("a file");
        fs::write(&settings, "# of this network only\nnet.core.somaxconn = 5000\nnet.core.nonsense = 1\n")
            .expect("settings");
        let output = run("sysctl", &[settings.path().to_str().expect("UTF-8")]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("not on this kernel: net.core.nonsense"), "{}", said(&output));
        assert_eq!(fs::read_to_string("/proc/sys/net/core/somaxconn").expect("somaxconn").trim(), "5000");
    });
}
