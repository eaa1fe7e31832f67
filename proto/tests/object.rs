// SPDX-License-Identifier: GPL-2.0

//! No way leads to a panic: in an optimized object, with checks for overflows as
//! in the kernels of distributions, nothing of the protocol refers to one.

use std::path::Path;
use std::process::Command;

/// In what the compiler calls all the functions that panic.
const PANICS: [&str; 4] = ["panick", "unwrap_failed", "expect_failed", "_fail17h"];

/// Compiles the object and says to which of the [`PANICS`] it refers.
fn panics(name: &str, flags: &[&str]) -> Vec<&'static str> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("object");
    let object = target.join(format!("{name}.o"));
    let output = Command::new(env!("CARGO"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/object"))
        .env("CARGO_TARGET_DIR", &target)
        .args([
            "rustc",
            "--quiet",
            "--locked",
            "--offline",
            "--release",
            "--",
        ])
        .args(["-Ccodegen-units=1", "-Coverflow-checks=on", "-Awarnings"])
        .arg(format!("--emit=obj={}", object.display()))
        .args(flags)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let bytes = std::fs::read(&object).expect("there is an object");
    let contains = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    for part in [
        "received",
        "event",
        "packet",
        "announcement",
        "digest",
        "count",
        "hash",
        "time",
        "neighbour",
        "frame",
        "state",
        "step",
        "bulk",
        "held",
        "number",
        "key",
        "signature",
        "authentication",
        "examination",
        "verification",
    ] {
        assert!(contains(part), "every {part} is in the object");
    }
    PANICS.into_iter().filter(|text| contains(text)).collect()
}

#[test]
#[ignore = "compiles the crate once more"]
fn the_object_refers_to_no_panic() {
    let none: [&str; 0] = [];
    assert_eq!(panics("everything", &[]), none);
    // the same with one index that may be out of bounds
    assert_eq!(panics("sabotage", &["--cfg=sabotage"]), ["panick"]);
}
