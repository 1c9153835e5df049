//! Tells the program which compiler builds it: counts of instructions are only compared where it is the same.

use std::process::Command;

fn main() {
    let compiler = std::env::var_os("RUSTC").expect("cargo sets RUSTC");
    let said = Command::new(compiler).arg("--version").output().expect("the compiler says its version");
    println!("cargo::rustc-env=MICRO_RUSTC={}", String::from_utf8_lossy(&said.stdout).trim());
    println!("cargo::rustc-env=MICRO_TARGET={}", std::env::var("TARGET").expect("cargo sets TARGET"));
    println!("cargo::rerun-if-changed=build.rs");
}
