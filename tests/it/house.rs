//! House rules as tests: what a reader may rely on in every file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut directories = vec![root().join(dir)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}

fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap()
}

#[test]
fn no_file_is_longer_than_400_lines_before_its_tests() {
    for (name, text) in sources("src") {
        if name.ends_with("tests.rs") {
            continue;
        }
        let lines = without_tests(&text).lines().count();
        assert!(lines <= 400, "{name} has {lines} lines: split it");
    }
}

#[test]
fn every_file_says_at_its_top_what_it_is_for() {
    for directory in ["src", "tests", "examples"] {
        for (name, text) in sources(directory) {
            assert!(text.starts_with("//! "), "{name}");
        }
    }
}

/// Each external crate is spoken to by as few files as possible.
#[test]
fn each_crate_is_spoken_to_where_it_belongs() {
    let homes: &[(&str, &[&str])] = &[
        ("x509_parser::", &["src/certificate.rs"]),
        ("httparse::", &["src/http1/head.rs"]),
        ("rustix::", &["src/sys.rs", "src/resources.rs", "src/cli/password.rs"]),
        ("sha2::", &["src/identity.rs"]),
        ("humantime::", &["src/clock.rs"]),
        ("httpdate::", &["src/connection/exchange.rs"]),
        (
            "argh::",
            &[
                "src/cli/mod.rs",
                "src/cli/arguments.rs",
                "src/cli/certs.rs",
                "src/cli/check.rs",
                "src/cli/demo.rs",
                "src/cli/line.rs",
                "src/cli/trust.rs",
            ],
        ),
        ("signal_hook::", &["src/cli/serve.rs"]),
        ("rcgen::", &["src/pki/authority.rs", "src/pki/key.rs"]),
        ("p12_keystore::", &["src/pki/pkcs12.rs", "src/pki/pkcs12_read.rs"]),
        ("getrandom::", &["src/pki/authority.rs", "src/pki/pkcs12.rs"]),
        ("webpki::", &["src/trust/signature.rs", "src/trust/possession.rs"]),
        ("ServerConnection", &["src/tls.rs"]),
    ];
    for (name, text) in sources("src") {
        for (krate, homes) in homes {
            let spoken =
                without_tests(&text).lines().any(|line| !line.trim_start().starts_with("//") && line.contains(krate));
            assert!(!spoken || homes.contains(&name.as_str()), "{name} speaks to {krate}");
        }
    }
}

/// What turns bytes into meaning does no I/O and knows no clock.
#[test]
fn meaning_is_made_without_io_or_clock() {
    let pure = |name: &str| {
        name.starts_with("src/http1/")
            || ["judge", "path", "faults", "diagnose", "signature", "refusal", "revocation", "crl", "succession"]
                .iter()
                .any(|file| *name == format!("src/trust/{file}.rs"))
            || [
                "src/certificate.rs",
                "src/certificate_policies.rs",
                "src/der.rs",
                "src/distinguished_name.rs",
                "src/extensions.rs",
                "src/name_constraints.rs",
                "src/rfc4514.rs",
                "src/identity.rs",
                "src/pages.rs",
            ]
            .contains(&name)
            || name.starts_with("src/policy/")
            || name.starts_with("src/pem/")
            || name.starts_with("src/revocation_list/")
    };
    for (name, text) in sources("src").iter().filter(|(name, _)| pure(name)) {
        for forbidden in ["std::io", "std::fs", "std::net::Tcp", "::now()", "std::env", "std::thread"] {
            assert!(!without_tests(text).contains(forbidden), "{name} uses {forbidden}");
        }
    }
}

/// Dependencies point one way: a layer knows only those after it.
#[test]
fn layers_point_down() {
    let layers: &[&[&str]] = &[
        &["cli"],
        &["server", "builder"],
        &["caretaker"],
        &["control", "reload"],
        &["pool"],
        &["listener"],
        &["connection"],
        &["context"],
        &["answer", "upload", "pages"],
        &["observer", "handler"],
        &["request"],
        &["tls"],
        &["tls_failure"],
        &["resumption"],
        &["verifier", "server_certificate"],
        &["trust", "pki"],
        &["policy"],
        &["http1", "parking", "runners", "deadline", "sys", "resources", "pem", "first_bytes"],
        &["eviction"],
        &["revocation_list", "name_constraints", "certificate_policies"],
        &["identity"],
        &["certificate", "clock", "crypto"],
        &["extensions"],
        &["distinguished_name", "rfc4514"],
        &["der", "error", "caught"],
    ];
    let layer = |module: &str| layers.iter().position(|modules| modules.contains(&module));
    let mut unknown = BTreeSet::new();
    for (name, text) in sources("src") {
        let module = name.trim_start_matches("src/").split(['/', '.']).next().unwrap().to_owned();
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let Some(own) = layer(&module) else {
            unknown.insert(module);
            continue;
        };
        for line in without_tests(&text).lines().filter(|line| line.trim_start().starts_with("use crate::")) {
            let used = line.trim_start().trim_start_matches("use crate::").split([':', ';', ' ']).next().unwrap();
            let down = layer(used).is_some_and(|used| used >= own);
            assert!(down, "{name} points up: {line}");
        }
    }
    assert!(unknown.is_empty(), "no layer for {unknown:?}");
}

/// The library is silent: only the command line prints.
#[test]
fn only_the_command_line_prints() {
    for (name, text) in sources("src").iter().filter(|(name, _)| !name.starts_with("src/cli/")) {
        for line in without_tests(text).lines().filter(|line| !line.trim_start().starts_with("//")) {
            assert!(!line.contains("println!") && !line.contains("eprint") && !line.contains("dbg!"), "{name}: {line}");
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    for directory in ["src", "tests", "examples"] {
        for (name, text) in sources(directory) {
            for mark in [
                concat!("to", "do!"),
                concat!("unimpl", "emented!"),
                concat!("FIX", "ME"),
                concat!("XX", "X"),
                concat!("#[ign", "ore"),
            ] {
                assert!(!text.contains(mark), "{name} has {mark}");
            }
        }
    }
}

#[test]
fn no_key_or_certificate_is_committed() {
    for directory in ["certs", "tests", "src", "examples"] {
        for entry in fs::read_dir(root().join(directory)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let ignored = directory == "certs" && [".pem", ".p12", ".txt"].iter().any(|end| name.ends_with(end));
            let secret = [".pem", ".p12", ".key", ".der", ".pfx"].iter().any(|end| name.ends_with(end));
            assert!(ignored || !secret, "{directory}/{name}");
        }
    }
    let ignore = fs::read_to_string(root().join(".gitignore")).unwrap();
    for pattern in ["/certs/*.pem", "/certs/*.p12", "/certs/*.txt"] {
        assert!(ignore.contains(pattern));
    }
}
