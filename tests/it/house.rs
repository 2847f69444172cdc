//! House rules as tests: what a reader may rely on in every file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::support::tree::{root, sources};

fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap()
}

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

/// Each external crate is spoken to by as few files as possible.
#[test]
fn each_crate_is_spoken_to_where_it_belongs() {
    let homes: &[(&str, &[&str])] = &[
        ("x509_parser::", &["src/x509/certificate.rs"]),
        ("httparse::", &["src/http1/head.rs"]),
        (
            "rustix::",
            &[
                "src/reactor/mod.rs",
                "src/reactor/epoll.rs",
                "src/reactor/poll.rs",
                "src/file.rs",
                "src/resources.rs",
                "src/cli/capacity.rs",
                "src/cli/password.rs",
            ],
        ),
        ("sha2::", &["src/x509/identity.rs"]),
        ("data_encoding::", &["src/hex.rs"]),
        ("humantime::", &["src/clock.rs"]),
        ("httpdate::", &["src/connection/exchange.rs", "src/handler/conditional.rs"]),
        ("form_urlencoded::", &["src/handler/request.rs"]),
        ("percent_encoding::", &["src/handler/request.rs", "src/handler/response.rs"]),
        (
            "argh::",
            &[
                "src/cli/mod.rs",
                "src/cli/arguments.rs",
                "src/cli/certs.rs",
                "src/cli/check.rs",
                "src/cli/demo.rs",
                "src/cli/trust.rs",
            ],
        ),
        ("signal_hook::", &["src/cli/serve.rs"]),
        ("::log::log", &["src/log/facade.rs"]),
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
                "src/handler/pages.rs",
                "src/handler/range.rs",
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

/// Dependencies point one way: a wing, or a file of the ground, knows only those of the layers after its own. Counted is every
/// path, wherever it stands in a line.
#[test]
fn layers_point_down() {
    let layers: &[&[&str]] = &[
        &["cli"],
        &["server"],
        &["connection", "log"],
        &["handler", "observer"],
        &["tls"],
        &["pki", "trust"],
        &["policy", "reactor"],
        &["x509", "deadline"],
        &["config"],
        &["http1", "crypto", "file", "resources"],
        &["clock", "error", "escape", "hex", "panic", "spelling", "sync"],
    ];
    let layer = |wing: &str| layers.iter().position(|wings| wings.contains(&wing));
    let mut up = BTreeSet::new();
    for (name, text) in
        sources("src").iter().filter(|(name, _)| !["src/lib.rs", "src/main.rs"].contains(&name.as_str()))
    {
        let wing = wing_of(name);
        let own = layer(wing).unwrap_or_else(|| panic!("{name} has no layer"));
        for used in wings_named_in(name, without_tests(text)) {
            let below = layer(&used).unwrap_or_else(|| panic!("{name} names {used}, which has no layer"));
            if below < own || (below == own && used != wing) {
                up.insert(format!("{name} points to {used}"));
            }
        }
    }
    assert!(up.is_empty(), "not down: {up:#?}");
}

/// `src/trust/path.rs` is of the wing `trust`, `src/error.rs` of `error`.
fn wing_of(name: &str) -> &str {
    name.trim_start_matches("src/").split(['/', '.']).next().unwrap()
}

/// Every wing that a file names by a path from `crate`, or from `super` at the root.
fn wings_named_in(name: &str, text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let is_at_root =
        !name.trim_start_matches("src/").contains('/') || name.ends_with("/mod.rs") && name.matches('/').count() == 2;
    let marks: &[&str] = if is_at_root { &["crate::", "super::"] } else { &["crate::"] };
    let mut found = BTreeSet::new();
    for mark in marks {
        for (at, _) in code.match_indices(mark) {
            let rest = &code[at + mark.len()..];
            let end = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
            let names: Vec<&str> = match rest.strip_prefix('{') {
                Some(group) => group.split('}').next().unwrap().split(',').map(str::trim).collect(),
                None => vec![rest],
            };
            // A type or a function of the crate's root is none of a wing.
            let wings = names.into_iter().map(|name| name[..end(name)].to_owned());
            found.extend(wings.filter(|wing| wing.starts_with(|c: char| c.is_ascii_lowercase())));
        }
    }
    found.remove("self");
    found.remove(wing_of(name));
    found
}

/// No two files need each other, by however long a way. A `mod.rs` may use its children, and they what stands in it.
#[test]
fn no_files_stand_in_a_circle() {
    let files: Vec<(String, String)> =
        sources("src").into_iter().map(|(name, text)| (module_of(&name), without_tests(&text).to_owned())).collect();
    let modules: BTreeSet<String> = files.iter().map(|(module, _)| module.clone()).collect();
    let mut arrows: BTreeMap<String, BTreeSet<String>> =
        files.iter().map(|(module, text)| (module.clone(), modules_named_in(module, text, &modules))).collect();
    // Who uses nobody that is left is in no circle.
    loop {
        let done: Vec<String> = arrows.iter().filter(|(_, to)| to.is_empty()).map(|(from, _)| from.clone()).collect();
        if done.is_empty() {
            break;
        }
        arrows.retain(|from, _| !done.contains(from));
        arrows.values_mut().for_each(|to| to.retain(|to| !done.contains(to)));
    }
    // Nor is who is used by nobody that is left.
    loop {
        let used: BTreeSet<String> = arrows.values().flatten().cloned().collect();
        let before = arrows.len();
        arrows.retain(|from, _| used.contains(from));
        if arrows.len() == before {
            break;
        }
    }
    assert!(arrows.is_empty(), "{arrows:#?}");
}

/// `src/trust/path.rs` is `trust::path`, `src/trust/mod.rs` is `trust`, the root is empty.
fn module_of(name: &str) -> String {
    let path = name.trim_start_matches("src/").trim_end_matches(".rs").replace('/', "::");
    match path.strip_suffix("::mod") {
        Some(wing) => wing.to_owned(),
        None if ["lib", "main"].contains(&path.as_str()) => String::new(),
        None => path,
    }
}

/// The modules that a file names by paths from `crate` or `super`, but for those that it is in.
fn modules_named_in(own: &str, text: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join(" ");
    let parent = own.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut found = BTreeSet::new();
    for (mark, base) in [("crate::", ""), ("super::", parent)] {
        for (at, _) in code.match_indices(mark) {
            let rest = &code[at + mark.len()..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(rest.len());
            let (path, group) = (rest[..end].trim_end_matches(':'), rest[end..].strip_prefix('{'));
            let members = group.map_or("", |group| group.split('}').next().unwrap()).split(',').map(str::trim);
            for member in members {
                let whole = [base, path, member].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>();
                let mut whole = whole.join("::");
                while !modules.contains(&whole) && !whole.is_empty() {
                    whole = whole.rsplit_once("::").map_or(String::new(), |(above, _)| above.to_owned());
                }
                let is_own = own == whole || own.starts_with(&format!("{whole}::")) || whole.is_empty();
                found.extend((!is_own).then_some(whole));
            }
        }
    }
    found
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

/// A renamed test would be left out no more, and nobody would know.
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
