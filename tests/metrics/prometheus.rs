//! What Prometheus makes of `/metrics`: its lints, and every expression of the alert rules and of the dashboard in `tuning/`, asked of a
//! Prometheus that scrapes a server with some load.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::{address, connect, samples, scrape, server, use_everything};
use crate::harness::{PATIENCE, Server, free_ports, wait_for};

on_shards! { promtool_has_nothing_to_say }

fn tuning(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tuning").join(path)
}

fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package prometheus: tools/check installs it");
    // It does not read on where a text is broken.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("its end")
}

fn promtool_has_nothing_to_say(shards: u32) {
    let server = server(shards, &[]);
    for text in [scrape(&server), {
        use_everything(&server);
        scrape(&server)
    }] {
        let output = promtool(&["check", "metrics"], &text);
        assert!(
            output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
            "{output:?}"
        );
    }
    // And it would have: two types, a counter by another name, a bucket that is too small.
    let text = scrape(&server);
    for (right, wrong) in [
        ("# TYPE memcached_up gauge\n", "# TYPE memcached_up gauge\n# TYPE memcached_up counter\n"),
        ("ringcached_crowds_total", "ringcached_crowds"),
        ("memcached_up 1", "memcached_up one"),
    ] {
        let output = promtool(&["check", "metrics"], &text.replace(right, wrong));
        assert!(!output.status.success(), "{wrong} goes unnoticed");
    }
}

/// Counts by class add up to what was asked, and each bucket holds those of the one below.
#[test]
fn histograms_are_whole() {
    let server = server(2, &[]);
    use_everything(&server);
    let text = scrape(&server);
    let all = samples(&text);
    let mut gets = 0.0;
    for shard in ["0", "1"] {
        let labels = format!("shard=\"{shard}\",class=\"get\"");
        let mut last = 0.0;
        let buckets: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with(&format!("ringcached_service_time_seconds_bucket{{{labels},")))
            .collect();
        for line in &buckets {
            let (_, count) = line.rsplit_once(' ').expect("a sample");
            let count: f64 = count.parse().expect("a count");
            assert!(count >= last, "{line} after {last}");
            last = count;
        }
        if let Some(count) = all.get(&*format!("ringcached_service_time_seconds_count{{{labels}}}")) {
            assert_eq!(*count, last, "as many as up to +Inf");
            assert!(all[&*format!("ringcached_service_time_seconds_sum{{{labels}}}")] > 0.0);
            assert!(buckets.last().is_some_and(|line| line.contains("le=\"+Inf\"")));
            gets += count;
        }
    }
    assert_eq!(gets, 81.0, "at so little load each one is looked at: 80 and one with its CAS");
}

#[test]
fn rules_fire_when_they_should() {
    let output = Command::new("promtool")
        .args(["test", "rules", "ringcached.test.yml"])
        .current_dir(tuning("prometheus"))
        .output()
        .expect("promtool");
    assert!(output.status.success(), "{output:?}");
}

/// A Prometheus that scrapes one server.
struct Prometheus {
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Prometheus {
    fn scraping(server: &Server) -> Prometheus {
        let directory = tempfile::tempdir().expect("temporary directory");
        let port = free_ports(1);
        let rules = tuning("prometheus/ringcached.rules.yml");
        let configuration = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 500ms}}\nrule_files: [{}]\nscrape_configs:\n  - job_name: \
             ringcached\n    static_configs: [{{targets: ['{}']}}]\n",
            rules.display(),
            address(server),
        );
        std::fs::write(directory.path().join("prometheus.yml"), configuration).expect("its configuration");
        let log = std::fs::File::create(directory.path().join("log")).expect("its log");
        let child = Command::new("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus, of Debian: tools/check installs it");
        Prometheus { child, port, directory }
    }

    /// What it answers; nothing as long as it does not.
    fn ask(&self, path: &str) -> Option<Value> {
        let socket = std::net::TcpStream::connect(("127.0.0.1", self.port));
        let mut socket = socket.ok()?;
        socket.set_read_timeout(Some(PATIENCE)).expect("read timeout");
        socket.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let answer: Value = serde_json::from_str(body).ok()?;
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        Some(answer["data"].clone())
    }

    /// The numbers that an expression gives now.
    fn query(&self, expression: &str) -> Vec<f64> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = self.ask(&format!("/api/v1/query?query={encoded}")).unwrap_or_default();
        let series = answer["result"].as_array().cloned().unwrap_or_default();
        series.iter().filter_map(|one| one["value"][1].as_str()?.parse().ok()).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            eprintln!("--- log of prometheus ---\n{log}---");
        }
    }
}

/// Every expression of the dashboard, by its panel, with the variables as Grafana would put them.
fn dashboard() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(tuning("grafana/ringcached.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            let expression = target["expr"].as_str().expect("an expression");
            let expression = expression.replace("$instance", ".*").replace("$__rate_interval", "1m");
            assert!(!expression.contains('$'), "an unknown variable: {expression}");
            found.push((panel["title"].as_str().unwrap_or_default().to_string(), expression));
        }
    }
    found
}

/// The part of an alert's expression that is there whether it fires or not: what it compares.
fn compared(expression: &str) -> &str {
    let comparisons = [" > ", " < ", " == "].into_iter().filter_map(|sign| expression.rfind(sign));
    &expression[..comparisons.max().expect("an alert compares")]
}

#[test]
fn every_expression_gives_a_result() {
    let server = server(2, &[]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // All the time, so that rates are not 0.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                use_everything(&server);
            }
        });
        let prometheus = Prometheus::scraping(&server);
        // Set whatever happens: the thread is waited for.
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ask_all(&prometheus)));
        done.store(true, Ordering::Relaxed);
        asked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert!(connect(address(&server)).peer_addr().is_ok());
}

fn ask_all(prometheus: &Prometheus) {
    wait_for("Prometheus and its first scrapes", || {
        (prometheus.query("count_over_time(memcached_up[1m])").first() > Some(&2.0)).then_some(())
    });
    let rules = wait_for("rules that were looked at", || {
        let rules = prometheus.ask("/api/v1/rules")?["groups"][0]["rules"].as_array()?.clone();
        rules.iter().all(|rule| rule["health"] == "ok").then_some(rules)
    });
    let alerts = rules.iter().map(|rule| {
        let name = rule["name"].as_str().unwrap_or_default().to_string();
        (name, compared(rule["query"].as_str().unwrap_or_default()).to_string())
    });
    let alerts: Vec<_> = alerts.collect();
    let panels = dashboard();
    assert!(alerts.len() >= 10 && panels.len() >= 30, "{} alerts, {} panels", alerts.len(), panels.len());
    for (name, expression) in alerts.into_iter().chain(panels) {
        wait_for(&format!("a result of {name}: {expression}"), || {
            let numbers = prometheus.query(&expression);
            numbers.iter().any(|number| number.is_finite()).then_some(())
        });
    }
    // A name that is misspelt has none.
    assert!(prometheus.query("rate(ringcached_request_total[1m])").is_empty());
}
