//! NIST PKITS, the Public Key Interoperability Test Suite (version 1.0.1 of 2011), which tries every rule of RFC 5280, section
//! 6: nobody is let in whom it calls invalid, and each client that it calls valid and we refuse has its reason
//! here. `tests/run` gets the files, which are in the public domain, from the PyPI package `cryptography_vectors`.
//!
//! It is run with its default settings: no policy is asked for. For a test that has variants with other settings, the verdict for
//! the default settings counts: where one of its variants is valid, the test is valid without asking for more.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use mtls_min::{Trust, TrustBuilder, Verdict, judge};
use rustls::pki_types::CertificateDer;

use crate::support::pki::{armour, pem};

/// A line for each test: number, verdict of PKITS, ours (`in`, or the code of the refusal), the client's certificate and those
/// above it up to the root of the suite; after a stroke, the lists of those.
const TESTS: &str = include_str!("pkits.txt");

/// Valid by PKITS, and refused: why, and which.
const REFUSED_ALTHOUGH_VALID: &[(&str, &[&str])] = &[
    ("DSA is not accepted", &["4.1.4", "4.1.5"]),
    ("a CA is not let in as a client", &["4.6.8", "4.6.14", "4.8.6", "4.14.13"]),
    ("distribution points named relative to their CA are not supported", &["4.14.4", "4.14.5", "4.14.7"]),
    ("lists for some reasons only are not supported", &["4.14.18", "4.14.19"]),
    (
        "indirect lists are not supported",
        &["4.14.22", "4.14.24", "4.14.25", "4.14.28", "4.14.29", "4.14.30", "4.14.33"],
    ),
    ("delta lists are not supported, so none takes back what a complete one revokes", &["4.15.5"]),
];

/// Invalid by PKITS, and let in.
const LET_IN_ALTHOUGH_INVALID: &[(&str, &[&str])] =
    &[("delta lists are not supported, so what only they revoke is not known", &["4.15.4"])];

/// A time in the years for which the suite was made.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000)
}

struct Row {
    number: &'static str,
    is_valid: bool,
    ours: &'static str,
    /// The client's, then upwards.
    certificates: Vec<&'static str>,
    lists: Vec<&'static str>,
}

fn rows() -> Vec<Row> {
    let rows = TESTS.lines().map(|line| {
        let (path, lists) = line.split_once(" /").unwrap();
        let mut path = path.split_whitespace();
        let mut next = || path.next().unwrap();
        let (number, verdict, ours) = (next(), next(), next());
        assert!(["valid", "invalid"].contains(&verdict), "{line}");
        Row {
            number,
            is_valid: verdict == "valid",
            ours,
            certificates: path.collect(),
            lists: lists.split_whitespace().collect(),
        }
    });
    rows.collect()
}

fn file(kind: &str, name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pkits").join(kind).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; tests/run gets it", path.display()))
}

fn certificate(name: &str) -> Vec<u8> {
    file("certs", &format!("{name}.crt"))
}

fn list(name: &str) -> String {
    armour("X509 CRL", &file("crls", &format!("{name}.crl")))
}

/// What an operator loads: the root in --ca, the rest in --intermediates and --crl.
#[derive(Default)]
struct Loaded {
    intermediates: BTreeSet<&'static str>,
    lists: BTreeSet<&'static str>,
}

impl Loaded {
    fn builder(&self) -> TrustBuilder {
        let root = Trust::builder().pem(pem(&certificate("TrustAnchorRootCertificate")), "the root").now(now());
        let add = |builder: TrustBuilder, name: &&str| builder.intermediates(pem(&certificate(name)), *name);
        let builder = self.intermediates.iter().fold(root, add);
        self.lists.iter().fold(builder, |builder, name| builder.crl(list(name), *name))
    }

    /// Which of a test's files are accepted, and why the others are not.
    fn of(row: &Row) -> (Self, Vec<String>) {
        let (mut loaded, mut said) = (Self::default(), Vec::new());
        for name in &row.certificates[1..] {
            loaded.intermediates.insert(*name);
            if let Err(error) = loaded.builder().build() {
                loaded.intermediates.remove(name);
                said.push(chain_of(&error));
            }
        }
        for name in ["TrustAnchorRootCRL"].iter().chain(&row.lists) {
            loaded.lists.insert(*name);
            if let Err(error) = loaded.builder().build() {
                loaded.lists.remove(name);
                said.push(chain_of(&error));
            }
        }
        (loaded, said)
    }

    /// The client sends what is not loaded.
    fn judge(&self, row: &Row, trust: &Trust) -> (&'static str, Vec<String>) {
        verdict(row.certificates.iter().filter(|name| !self.intermediates.contains(*name)), trust)
    }
}

fn chain_of(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

/// `in`, or the code of the refusal; and what else was said.
fn verdict<'n>(sent: impl Iterator<Item = &'n &'n str>, trust: &Trust) -> (&'static str, Vec<String>) {
    let chain: Vec<_> = sent.map(|name| CertificateDer::from(certificate(name))).collect();
    match judge(&chain, trust, now()).verdict {
        Verdict::Authorised(_) => ("in", Vec::new()),
        Verdict::Refused(refusal) => (refusal.code().as_str(), vec![refusal.to_string()]),
    }
}

/// Each test by itself; and each once more with the files of all loaded, with and without --crl-required.
#[test]
fn every_test_of_nist_pkits_has_the_verdict_that_stands_here() {
    let (mut wrong, mut all) = (String::new(), Loaded::default());
    let mut compare = |row: &Row, expected: &str, (ours, said): (&str, Vec<String>)| {
        if ours != expected {
            let Row { number, is_valid, certificates, .. } = row;
            let name = certificates[0];
            wrong += &format!("{number} {name} valid: {is_valid}, {expected} is {ours}: {}\n", said.join("; "));
        }
    };
    let rows = rows();
    for row in &rows {
        let (loaded, mut said) = Loaded::of(row);
        let (ours, why) = loaded.judge(row, &loaded.builder().require_crls().build().unwrap());
        said.extend(why);
        compare(row, row.ours, (ours, said));
        all.intermediates.extend(loaded.intermediates);
        all.lists.extend(loaded.lists);
    }
    let (trust, not_required) = (all.builder().require_crls().build().unwrap(), all.builder().build().unwrap());
    for row in &rows {
        compare(row, row.ours, all.judge(row, &trust));
        // What is revoked stays revoked.
        compare(row, if row.ours == "crl_missing" { "in" } else { row.ours }, all.judge(row, &not_required));
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Who brings the intermediates changes nothing, except for clients that are refused by a list, and for what is said of an issuer that
/// nobody has.
#[test]
fn without_lists_and_all_sent_by_the_client_the_verdicts_are_those_of_the_certificates() {
    let trust = Loaded::default().builder().build().unwrap();
    for row in rows() {
        let expected = match row.ours {
            "revoked" | "crl_missing" | "crl_expired" => "in",
            // The client sends a certificate of a loaded CA that is not on its path, as if another one were missing between them.
            "unknown_issuer" => "missing_intermediate",
            ours => ours,
        };
        let (ours, said) = verdict(row.certificates.iter(), &trust);
        assert_eq!(ours, expected, "{} {said:?}", row.number);
    }
}

#[test]
fn nobody_is_let_in_or_kept_out_otherwise_than_nist_pkits_says_but_for_a_reason() {
    let rows = rows();
    let numbers = |is_valid: bool, is_in: bool| {
        let found = rows.iter().filter(|row| row.is_valid == is_valid && (row.ours == "in") == is_in);
        found.map(|row| row.number).collect::<BTreeSet<_>>()
    };
    let listed = |reasons: &[(&str, &[&'static str])]| -> BTreeSet<_> {
        reasons.iter().flat_map(|(_, numbers)| numbers.iter().copied()).collect()
    };
    assert_eq!(rows.len(), 224);
    assert_eq!(numbers(false, true), listed(LET_IN_ALTHOUGH_INVALID));
    assert_eq!(numbers(true, false), listed(REFUSED_ALTHOUGH_VALID));
    // The manual says what is not supported.
    let manual = include_str!("../../docs/refusals.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for (reason, _) in REFUSED_ALTHOUGH_VALID.iter().chain(LET_IN_ALTHOUGH_INVALID) {
        let what = reason.split_once(" are not supported").map_or("NIST PKITS", |(what, _)| what);
        assert!(manual.contains(what), "{what}");
    }
}
