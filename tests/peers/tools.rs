//! Running other programs.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a shell command in `dir`: its output and errors together. It has to end with success.
#[track_caller]
pub(crate) fn sh(dir: &Path, command: &str) -> String {
    let (success, output) = try_sh(dir, command);
    assert!(success, "{command}\n{output}");
    output
}

/// The same, whatever its end.
#[track_caller]
pub(crate) fn try_sh(dir: &Path, command: &str) -> (bool, String) {
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(dir)
        .env("HOME", dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_ne!(output.status.code(), Some(127), "a program is missing: {text}; tests/run installs it");
    (output.status.success(), text)
}
