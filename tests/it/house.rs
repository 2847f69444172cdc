//! House rules as tests: what a reader may rely on in every file.

use std::fs;

use crate::support::imports::{arrows_between, wing_of, without_tests};
use crate::support::tree::{root, sources};

#[test]
fn no_file_is_longer_than_400_lines_before_its_tests() {
    for (name, text) in sources("src") {
        if name.contains("/tests/") {
            continue;
        }
        let lines = without_tests(&text).lines().count();
        assert!(lines <= 400, "{name} has {lines} lines: split it");
    }
}

#[test]
fn no_file_of_tests_is_longer_than_500_lines() {
    for (name, text) in sources("tests").into_iter().chain(sources("src")) {
        let lines = text.lines().count();
        assert!(lines <= 500 || !name.contains("tests/"), "{name} has {lines} lines: split it by topic");
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

/// Each external crate is used by as few files as possible.
#[test]
fn each_crate_is_spoken_to_where_it_belongs() {
    let homes: &[(&str, &[&str])] = &[
        ("x509_parser::", &["src/x509/certificate.rs"]),
        ("httparse::", &["src/http1/head.rs", "src/http1/answer.rs", "src/http1/tests/reference.rs"]),
        (
            "rustix::",
            &[
                "src/reactor/mod.rs",
                "src/reactor/epoll.rs",
                "src/reactor/poll.rs",
                "src/reactor/round_trip.rs",
                "src/file.rs",
                "src/resources.rs",
                "src/cli/capacity.rs",
                "src/cli/password.rs",
                "src/cli/systemd.rs",
                "src/handler/files/beneath.rs",
            ],
        ),
        ("ppp::", &["src/proxy_protocol/mod.rs", "src/proxy_protocol/failure.rs"]),
        ("sha2::", &["src/x509/identity.rs"]),
        ("data_encoding::", &["src/hex.rs", "src/base64.rs"]),
        ("humantime::", &["src/clock.rs"]),
        ("httpdate::", &["src/connection/worker.rs", "src/handler/conditional.rs"]),
        ("form_urlencoded::", &["src/handler/request.rs"]),
        (
            "percent_encoding::",
            &[
                "src/handler/request.rs",
                "src/handler/response.rs",
                "src/handler/files/mod.rs",
                "src/handler/files/listing.rs",
                "src/handler/forward/identity.rs",
            ],
        ),
        ("mime_guess::", &["src/handler/files/media.rs"]),
        (
            "argh::",
            &[
                "src/cli/mod.rs",
                "src/cli/arguments.rs",
                "src/cli/certs.rs",
                "src/cli/check.rs",
                "src/cli/completions/mod.rs",
                "src/cli/completions/fish.rs",
                "src/cli/completions/zsh.rs",
                "src/cli/demo.rs",
                "src/cli/man.rs",
                "src/cli/trust.rs",
            ],
        ),
        ("landlock::{", &["src/cli/sandbox/kernel.rs"]),
        ("listenfd::", &["src/cli/systemd.rs"]),
        ("sd_notify::", &["src/cli/systemd.rs"]),
        ("signal_hook::", &["src/cli/signals.rs", "src/cli/serve.rs"]),
        ("::log::log", &["src/log/facade.rs"]),
        ("tiny_http::", &["src/handler/response.rs", "src/admin/reply.rs"]),
        ("prometheus_client::", &["src/admin/exposition.rs"]),
        ("rcgen::", &["src/pki/authority.rs", "src/pki/key.rs"]),
        ("pem::EncodeConfig", &["src/pki/authority.rs"]),
        ("p12_keystore::", &["src/pki/pkcs12.rs", "src/pki/pkcs12_read.rs"]),
        ("getrandom::", &["src/pki/authority.rs", "src/pki/pkcs12.rs"]),
        ("webpki::", &["src/x509/signature.rs", "src/trust/possession.rs"]),
        ("ServerConnection", &["src/tls/session.rs"]),
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
            || ["judge", "verdict", "path", "faults", "diagnose", "refusal", "revocation", "crl", "succession"]
                .iter()
                .any(|file| *name == format!("src/trust/{file}.rs"))
            || [
                "src/x509/certificate.rs",
                "src/x509/certificate_policies.rs",
                "src/x509/der.rs",
                "src/x509/distinguished_name.rs",
                "src/x509/extensions.rs",
                "src/x509/name_constraints.rs",
                "src/x509/rfc4514.rs",
                "src/x509/identity.rs",
                "src/handler/conditional.rs",
                "src/x509/signature.rs",
                "src/x509/time.rs",
                "src/handler/forward/fields.rs",
                "src/handler/forward/identity.rs",
                "src/handler/forward/lookalikes.rs",
                "src/handler/pages.rs",
                "src/handler/range.rs",
                "src/handler/weight.rs",
                "src/handler/files/coding.rs",
                "src/handler/files/media.rs",
            ]
            .contains(&name)
            || name.starts_with("src/policy/")
            || name.starts_with("src/x509/pem/")
            || name.starts_with("src/x509/crl/")
    };
    for (name, text) in sources("src").iter().filter(|(name, _)| pure(name)) {
        for forbidden in ["std::io", "std::fs", "std::net::Tcp", "::now()", "std::env", "std::thread"] {
            assert!(!without_tests(text).contains(forbidden), "{name} uses {forbidden}");
        }
    }
}

/// Dependencies point one way: a wing, or a file of the ground, names only those of the layers below its own.
#[test]
fn layers_point_down() {
    let layers: &[&[&str]] = &[
        &["cli"],
        &["admin"],
        &["server"],
        &["connection", "log"],
        &["handler", "observer"],
        &["tls"],
        &["pki", "trust"],
        &["policy", "reactor"],
        &["x509", "deadline"],
        &["config"],
        &["http1", "crypto", "file", "proxy_protocol", "resources"],
        &["base64", "client_network", "clock", "error", "escape", "hex", "panic", "spelling", "sync"],
        &["byte_set"],
    ];
    let layer = |wing: &str| {
        layers.iter().position(|wings| wings.contains(&wing)).unwrap_or_else(|| panic!("{wing} has no layer"))
    };
    let mut up = Vec::new();
    for (from, to) in arrows_between(&sources("src")) {
        let own = layer(wing_of(&from));
        let is_down = |to: &str| layer(to) > own || to == wing_of(&from);
        up.extend(to.into_iter().filter(|to| !is_down(wing_of(to))).map(|to| format!("{from} points to {to}")));
    }
    assert!(up.is_empty(), "not down: {up:#?}");
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

/// After a rename, a slow test would silently be run again.
#[test]
fn what_the_quick_run_leaves_out_exists() {
    let run = fs::read_to_string(root().join("tests/run")).unwrap();
    let slow = run.split("\nslow=\"\n").nth(1).unwrap().split('"').next().unwrap();
    for name in slow.lines() {
        let (module, test) = name.rsplit_once("::").unwrap();
        let text = fs::read_to_string(root().join(format!("tests/it/{module}.rs"))).unwrap();
        assert!(test.is_empty() || text.contains(&format!("\nfn {test}() {{")), "{name}");
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
