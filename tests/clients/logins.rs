//! Clients that log in: over text with `-Y`, over binary with SASL PLAIN and `-S`. Each tour passes with the right password
//! and is told that it failed to authenticate with a wrong one.
//!
//! memcached 1.6.45 may be built without SASL; Debian's has it, and takes its users from `SASL_CONF_PATH`.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use tempfile::NamedTempFile;

use super::{java, node, php, python, ruby, run, run_refused};
use crate::harness::{PATIENCE, Server, server_command};

const USER: &str = "ann";
const PASSWORD: &str = "secret";
/// How long the client from crates.io tries again after a refusal.
const REFUSED_PATIENCE: Duration = Duration::from_secs(1);

on_1_and_2_shards! {
    emcache_text memcache_for_python_meta memcache_for_rust_text
    python_binary_memcached_sasl memjs_sasl dalli_sasl php_memcached_sasl spymemcached_sasl memcache_for_rust_sasl
}

/// A file with one user, whom `-Y` and MEMCACHED_SASL_PWDB let in.
fn users() -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("temporary file");
    writeln!(file, "{USER}:{PASSWORD}").expect("written");
    file
}

fn text_server(shards: u32, users: &NamedTempFile) -> Server {
    let users = users.path().to_str().expect("temporary path in UTF-8");
    Server::start(shards, &["-m", "128", "-Y", users])
}

fn sasl_server(shards: u32, users: &NamedTempFile) -> Server {
    let shards = shards.to_string();
    let mut command = server_command(&["-p", "-1", "-l", "127.0.0.1", "-t", &shards, "-m", "128", "-S"]);
    command.env("MEMCACHED_SASL_PWDB", users.path());
    Server::listening(command)
}

fn both_passwords(server: &Server, language: impl Fn() -> Command, arguments: &[&str]) {
    let port = server.port().to_string();
    let with = |password| {
        let mut command = language();
        command.arg(&port).args(arguments).args([USER, password]);
        command
    };
    let said = run(&mut with(PASSWORD));
    assert!(said.ends_with("all passed\n"), "{said}");
    let said = run_refused(&mut with("wrong"));
    assert!(said.to_lowercase().contains("auth"), "{said}");
}

fn emcache_text(shards: u32) {
    let users = users();
    both_passwords(&text_server(shards, &users), || python("emcache_tour.py"), &[]);
}

fn memcache_for_python_meta(shards: u32) {
    let users = users();
    both_passwords(&text_server(shards, &users), || python("memcache_tour.py"), &[]);
}

fn python_binary_memcached_sasl(shards: u32) {
    let users = users();
    both_passwords(&sasl_server(shards, &users), || python("binary_memcached_tour.py"), &[]);
}

fn memjs_sasl(shards: u32) {
    let users = users();
    both_passwords(&sasl_server(shards, &users), || node("memjs_tour.js"), &[]);
}

fn dalli_sasl(shards: u32) {
    let users = users();
    both_passwords(&sasl_server(shards, &users), || ruby("dalli_tour.rb"), &[]);
}

fn php_memcached_sasl(shards: u32) {
    let users = users();
    both_passwords(&sasl_server(shards, &users), || php("php_memcached_tour.php"), &["binary"]);
}

/// Only with the right password: with a wrong one this client tries again until its caller gives up.
fn spymemcached_sasl(shards: u32) {
    let users = users();
    let server = sasl_server(shards, &users);
    let mut command = java("SpymemcachedTour.java");
    let said = run(command.arg(server.port().to_string()).args(["binary", USER, PASSWORD]));
    assert!(said.ends_with("all passed\n"), "{said}");
}

fn memcache_for_rust_text(shards: u32) {
    let users = users();
    rust_with_both_passwords(&text_server(shards, &users), "ascii");
}

fn memcache_for_rust_sasl(shards: u32) {
    let users = users();
    rust_with_both_passwords(&sasl_server(shards, &users), "binary");
}

fn rust_with_both_passwords(server: &Server, protocol: &str) {
    let connect = |password, patience| {
        let url = format!("memcache://{USER}:{password}@127.0.0.1:{}?protocol={protocol}", server.port());
        memcache::Client::builder().with_connection_timeout(patience).add_server(url)?.build()
    };
    let client = connect(PASSWORD, PATIENCE).expect("log in");
    client.set("key", "value", 0).expect("set");
    assert_eq!(client.get::<String>("key").expect("get").as_deref(), Some("value"));
    assert!(connect("wrong", REFUSED_PATIENCE).is_err());
}
