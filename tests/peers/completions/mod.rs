//! Completions in bash, zsh and fish, on a terminal, and the manual page in mandoc and groff.

use std::path::Path;

use crate::support::command::{binary, run};
use crate::support::files::TempDir;
use crate::tools::sh;

/// What is typed before Tab, and what the command is called with.
const TYPED: [(&str, &str); 19] = [
    ("chec", "check"),
    ("certs cli", "certs client"),
    ("certs client --em", "certs client --email"),
    // An option of the command above.
    ("certs client --di", "certs client --dir"),
    ("--log j", "--log json"),
    ("--log=j", "--log=json"),
    ("--crl-expired w", "--crl-expired warn"),
    // The value of an option is not a command.
    ("--allow check --crl-req", "--allow check --crl-required"),
    ("check --crl-expired r", "check --crl-expired refuse"),
    ("--listen 127.0.0.1:4433 --log te", "--listen 127.0.0.1:4433 --log text"),
    ("--ca a-fi", "--ca a-file.pem"),
    ("--ca=a-fi", "--ca=a-file.pem"),
    ("check a-fi", "check a-file.pem"),
    // There are a file and a directory whose names begin so.
    ("--authorized-clients a-", "--authorized-clients a-directory/"),
    ("--files /docs=a-", "--files /docs=a-directory/"),
    ("certs revoke --reason key", "certs revoke --reason key-compromise"),
    // Options of the server go with the demo.
    ("demo --strip-p", "demo --strip-prefix"),
    ("help cer", "help certs"),
    ("completions fi", "completions fish"),
];

fn prepared() -> TempDir {
    let dir = TempDir::new();
    dir.write("a-file.pem", "");
    std::fs::create_dir(dir.path().join("a-directory")).unwrap();
    dir.write("type.py", include_str!("type.py"));
    dir.write("lines", TYPED.map(|(typed, wanted)| format!("{typed}\t{wanted}\n")).concat());
    dir
}

fn script(dir: &TempDir, shell: &str, file: &str) {
    let output = run(dir.path(), &["completions", shell]);
    assert!(output.status.success());
    dir.write(file, output.stdout);
}

#[test]
fn bash_completes_what_is_typed() {
    let dir = prepared();
    script(&dir, "bash", "bash");
    sh(dir.path(), "bash -n bash && bash -c '. ./bash; complete -p mtls-min'");
    sh(dir.path(), "python3 type.py bash ./bash <lines");
}

#[test]
fn zsh_completes_what_is_typed() {
    let dir = prepared();
    script(&dir, "zsh", "_mtls-min");
    sh(dir.path(), "zsh -n _mtls-min");
    sh(dir.path(), "python3 type.py zsh _mtls-min <lines");
}

#[test]
fn fish_completes_what_is_typed() {
    let dir = prepared();
    script(&dir, "fish", "fish");
    sh(dir.path(), "fish --no-execute fish");
    sh(dir.path(), "python3 type.py fish ./fish <lines");
}

/// The long options that the help of a command lists.
fn options(dir: &Path, command: &str) -> Vec<String> {
    let words: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
    let help = String::from_utf8(run(dir, &words).stdout).unwrap();
    let lines = help.lines().filter_map(|line| line.strip_prefix("  ")).map(|line| line.trim_start_matches("-h, "));
    let options = lines.filter(|line| line.starts_with("--")).map(|line| line.split(' ').next().unwrap().to_owned());
    let mut options: Vec<String> = options.collect();
    options.sort();
    assert!(options.contains(&"--help".to_owned()), "{options:?}");
    options
}

#[test]
fn every_option_of_the_help_is_offered_and_no_other() {
    let dir = TempDir::new();
    script(&dir, "bash", "bash");
    script(&dir, "fish", "fish");
    for command in ["", "check", "certs revoke", "certs client"] {
        let mut wanted = options(dir.path(), command);
        if command.starts_with("certs ") {
            wanted.push("--dir".to_owned());
            wanted.sort();
        }
        let words = format!("mtls-min {command}");
        let at = words.split_whitespace().count();
        let offered =
            format!("COMP_WORDS=({words} --) COMP_CWORD={at}; _mtls_min; printf \"%s\\n\" \"${{COMPREPLY[@]}}\"");
        let bash = sh(dir.path(), &format!("bash -c '. ./bash; {offered}' | LC_ALL=C sort"));
        assert_eq!(bash.lines().collect::<Vec<_>>(), wanted, "{command}");
        let offered = format!("source fish; complete -C \"{words} --\"");
        let fish = sh(dir.path(), &format!("fish --no-config -c '{offered}' | cut -f 1 | LC_ALL=C sort"));
        assert_eq!(fish.lines().collect::<Vec<_>>(), wanted, "{command}");
    }
}

#[test]
fn the_manual_page_has_all_options_and_no_warnings() {
    let dir = TempDir::new();
    let output = run(dir.path(), &["man"]);
    assert!(output.status.success());
    dir.write("mtls-min.1", output.stdout);
    assert_eq!(sh(dir.path(), "mandoc -Tlint -Wwarning mtls-min.1"), "");
    assert_eq!(sh(dir.path(), "groff -man -ww -b -z -Tutf8 mtls-min.1"), "");
    let shown = sh(dir.path(), "mandoc -Tascii mtls-min.1 | col -b");
    assert!(shown.starts_with("MTLS-MIN(1)"), "{shown}");
    let lines: Vec<_> = shown.lines().map(str::trim).collect();
    for command in ["", "demo", "certs", "certs init", "certs renew", "check", "completions", "man"] {
        for option in options(dir.path(), command) {
            let names = |line: &str| line.trim_start_matches("-h, ").split(' ').next() == Some(&option);
            assert!(lines.iter().any(|line| names(line)), "{option} of {command:?} is missing: {shown}");
        }
    }
    assert!(lines.contains(&"mtls-min certs client NAME") && lines.contains(&"EXIT STATUS"), "{shown}");
    // The same page in every build of the same sources.
    let dated = sh(dir.path(), &format!("SOURCE_DATE_EPOCH=1700000000 {} man | head -n 1", binary().display()));
    assert_eq!(dated.split(' ').nth(3), Some("2023-11-14"), "{dated}");
}
