//! `mtls-min check`: it says what the server would do.

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use mtls_min::RefusalCode;
use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose as Eku, GeneralSubtree, IsCa, KeyUsagePurpose,
    NameConstraints, SanType,
};

use crate::support::client::{TLS13, eventually, get};
use crate::support::command::{Serving, binary, run};
use crate::support::crl::Crl;
use crate::support::files::TempDir;
use crate::support::pki::{Ca, HOUR, Holder, SHA1, changed, params, pem, self_signed, write};

struct Case {
    code: &'static str,
    options: &'static str,
    holder: Holder,
}

fn case(code: &'static str, holder: Holder) -> Case {
    Case { code, options: "", holder }
}

fn refusals(ca: &Ca) -> Vec<Case> {
    let past = |days: u32| (SystemTime::now() - HOUR * 24 * days).into();
    let limits = NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("good.test".to_owned())],
        excluded_subtrees: Vec::new(),
    };
    let limited = ca.intermediate_with("limited", |params| params.name_constraints = Some(limits));
    let flat = ca.intermediate_with("flat", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let mute = ca.intermediate_with("mute", |params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    let deep = (0..8).fold(ca.intermediate("level"), |above, level| above.intermediate(&format!("level{level}")));
    let leaf_as_ca = Ca::out_of(&ca.client("leaf"), params("leaf"));
    let other = Ca::new("other");
    let mut with_root = other.client("alice");
    with_root.chain.push(other.der.clone());
    let mut with_ours = ca.intermediate("unsent").client("alice").alone();
    with_ours.chain.push(ca.der.clone());
    let mut damaged = ca.client("alice");
    let mut bytes = damaged.chain[0].to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    damaged.chain[0] = bytes.into();
    // rsaEncryption with a modulus of 1024 bits; id-Ed448.
    let rsa = write(0x30, &[write(2, &[&[0], &[0xc1; 128][..]].concat()), write(2, &[1, 0, 1])].concat());
    let rsa_id = write(0x30, &[write(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1]), write(5, &[])].concat());
    let short = [rsa_id, write(3, &[&[0], &rsa[..]].concat())].concat();
    let ed448 = [write(0x30, &write(6, &[0x2b, 0x65, 0x71])), write(3, &[0; 58])].concat();
    let unknown = || {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 2], vec![5, 0]);
        extension.set_criticality(true);
        vec![extension]
    };
    let broken = || vec![CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x30, 0x7f])];
    // requireExplicitPolicy at once
    let asked_for = vec![CustomExtension::from_oid_content(&[2, 5, 29, 36], vec![0x30, 3, 0x80, 1, 0])];
    let asking = ca.intermediate_with("asking", |params| params.custom_extensions = asked_for);
    let revoked = ca.client("revoked");
    vec![
        case("expired", ca.client_with("alice", |params| params.not_after = past(1))),
        case("not_yet_valid", ca.client_with("alice", |params| params.not_before = (SystemTime::now() + HOUR).into())),
        case("self_signed", self_signed("alice")),
        case("unknown_issuer", other.client("alice")),
        case("unknown_root", with_root),
        case("missing_intermediate", with_ours),
        case("same_name_other_key", Ca::new("ca").client("alice")),
        case("bad_signature", damaged),
        case("issuer_not_ca", leaf_as_ca.client("alice")),
        case("issuer_without_cert_sign", mute.client("alice")),
        case("path_length", flat.intermediate("below").client("alice")),
        case("chain_too_long", deep.client("alice")),
        case("wrong_usage", ca.client_with("alice", |params| params.extended_key_usages = vec![Eku::ServerAuth])),
        case(
            "ca_as_client",
            ca.client_with("alice", |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        ),
        case("x509_v1", ca.client_v1("alice")),
        case("weak_key", changed(ca, Some(&short), None)),
        case("unsupported_key", changed(ca, Some(&ed448), None)),
        case("unsupported_signature", changed(ca, None, Some(SHA1))),
        case("unsupported_extension", ca.client_with("alice", |params| params.custom_extensions = unknown())),
        case(
            "name_constraint",
            limited.client_with("alice", |params| {
                params.subject_alt_names = vec![SanType::DnsName("evil.test".try_into().unwrap())];
            }),
        ),
        case("missing_policy", asking.client("alice")),
        case(
            "malformed",
            ca.client_with("alice", |params| {
                params.is_ca = IsCa::NoCa;
                params.custom_extensions = broken();
            }),
        ),
        Case { code: "revoked", options: "--crl crl.pem", holder: revoked },
        Case { code: "crl_missing", options: "--crl-required", holder: ca.client("alice") },
        Case { code: "crl_expired", options: "--crl stale.pem", holder: ca.client("alice") },
        Case { code: "crl_not_yet_valid", options: "--crl early.pem", holder: ca.client("alice") },
        Case { code: "not_allowed", options: "--crl crl.pem --allow cn:bob", holder: ca.client("alice") },
        // And the clients that are let in.
        Case { code: "", options: "", holder: ca.client("alice") },
        Case { code: "", options: "--crl crl.pem --crl-required --allow cn:alice", holder: ca.client("alice") },
        Case { code: "", options: "--crl stale.pem --crl-expired warn", holder: ca.client("alice") },
        Case { code: "", options: "--accept-v1", holder: ca.client_v1("alice") },
        Case { code: "", options: "", holder: ca.intermediate("one").client("alice") },
    ]
}

/// One table: for each case the log of a real server and the offline check name the same code.
#[test]
fn check_and_the_server_agree_on_every_refusal() {
    let ca = Ca::new("ca");
    let dir = TempDir::new();
    let cases = refusals(&ca);
    let server = ca.server();
    dir.write("ca.pem", ca.pem());
    dir.write("server-crt.pem", server.pem());
    dir.write("server-key.pem", server.key_pem());
    let revoked = &cases.iter().find(|case| case.code == "revoked").unwrap().holder;
    dir.write("crl.pem", Crl::number(1).revoking(revoked).pem(&ca));
    let stale = Some(SystemTime::now() - HOUR / 2);
    dir.write("stale.pem", Crl { next_update: stale, ..Crl::number(1) }.pem(&ca));
    dir.write("early.pem", Crl { this_update: SystemTime::now() + HOUR, ..Crl::number(1) }.pem(&ca));
    let mut covered = BTreeSet::new();
    for Case { code, options, holder } in &cases {
        let chain: String = holder.chain.iter().map(|der| pem(der)).collect();
        dir.write("client.pem", chain);
        let options: Vec<&str> = options.split_whitespace().collect();
        let mut line = vec!["--ca", "ca.pem"];
        line.extend(&options);

        let check = run(dir.path(), &[&line[..], &["check", "--json", "client.pem"]].concat());
        let said = String::from_utf8(check.stdout).unwrap();
        let wanted = match *code {
            "" => "{\"decision\":\"authorised\",\"subject\":".to_owned(),
            code => format!("{{\"decision\":\"refused\",\"code\":\"{code}\","),
        };
        assert!(said.starts_with(&wanted), "{code}: {said} {}", String::from_utf8_lossy(&check.stderr));
        assert_eq!(check.status.code(), Some(i32::from(!code.is_empty())));

        let serving =
            ["--cert", "server-crt.pem", "--key", "server-key.pem", "--listen", "127.0.0.1:0", "--log", "json"];
        let serving = Serving::start(&binary(), dir.path(), &[&line[..], &serving[..]].concat());
        let reply = get(serving.addr, Some(holder), &TLS13);
        match *code {
            "" => assert_eq!(reply.unwrap().status, 200, "{line:?}"),
            // The key cannot prove anything.
            "weak_key" | "unsupported_key" => {
                let wanted = format!("\"message\":\"refused in the handshake\",\"refused\":\"{code}\"");
                eventually(|| serving.stderr().contains(&wanted));
            }
            code => {
                assert_eq!(reply.unwrap().status, if code == "not_allowed" { 403 } else { 401 }, "{code}");
                eventually(|| serving.stdout().contains(&format!("\"refused\":\"{code}\"")));
            }
        }
        covered.insert(*code);
    }
    for code in RefusalCode::ALL {
        // A file without a certificate is not checked at all.
        assert!(covered.contains(code.as_str()) || *code == RefusalCode::NoCertificate, "{code} is not in the table");
    }
}

fn checked(dir: &TempDir, args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = run(dir.path(), args);
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn the_decision_is_a_short_tree_of_what_it_rests_on() {
    let ca = Ca::new("ca");
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    let dir = TempDir::new();
    dir.write("ca.pem", ca.pem());
    dir.write("crl.pem", Crl::number(5).revoking(&bob).pem(&ca));
    dir.write("alice.pem", alice.pem());
    dir.write("bob.der", &bob.chain[0]);
    dir.write("policy", "/ any\n/admin cn:bob or ou:Staff\n");
    let options = ["check", "--ca", "ca.pem", "--crl", "crl.pem", "--policy", "policy"];
    let (code, said, _) = checked(&dir, &[&options[..], &["alice.pem", "--path", "/x"]].concat());
    assert_eq!(code, Some(0), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "authorised  CN=alice");
    let identity = mtls_min::Identity::from_der(&alice.chain[0]).unwrap();
    for (part, words) in [
        ("certificate", vec![identity.sha256(), identity.serial()]),
        ("dates", vec!["59 days left"]),
        ("usage", vec!["may authenticate clients"]),
        ("anchor", vec!["CN=ca, sha256 "]),
        ("revocation", vec!["list number 5 of CN=ca, as of 20", ", 1 revoked, next due on", "no entry"]),
        ("rule", vec!["GET /x: any, policy, line 1"]),
        ("stands until", vec!["T"]),
    ] {
        let line = lines.iter().find(|line| line.contains(&format!("─ {part} "))).unwrap_or_else(|| panic!("{said}"));
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    assert!(lines[lines.len() - 1].starts_with("└─"), "{said}");

    let (code, said, _) = checked(&dir, &[&options[..], &["alice.pem", "--path", "/admin/x"]].concat());
    assert_eq!(code, Some(1));
    assert!(said.starts_with("refused: not_allowed  CN=alice\n"), "{said}");
    assert!(said.contains("the nearest rule is cn:bob (policy, line 2): the client's common name is alice"), "{said}");

    let (code, said, _) = checked(&dir, &[&options[..], &["bob.der"]].concat());
    assert_eq!(code, Some(1));
    assert!(said.starts_with("refused: revoked  CN=bob\n") && said.contains("revoked on 20"), "{said}");
    assert!(said.contains("─ repair"), "{said}");
}

/// As the server does at its start: without the list, the decision may be another one.
#[test]
fn a_list_beside_the_ca_that_is_not_read_is_warned_of() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let dir = TempDir::new();
    std::fs::create_dir(dir.path().join("certs")).unwrap();
    dir.write("certs/ca.pem", ca.pem());
    dir.write("certs/crl.pem", Crl::number(1).revoking(&alice).pem(&ca));
    dir.write("alice.pem", alice.pem());
    let warning =
        "mtls-min: warning: certs/crl.pem exists but is not used, so no certificate is revoked; load it with --crl\n";
    for (options, code, said) in [
        (&[][..], 0, warning),
        (&["--ca", "certs/ca.pem", "--json"], 0, warning),
        (&["--crl", "certs/crl.pem"], 1, ""),
        (&["--crl-required"], 1, ""),
    ] {
        let (found, _, stderr) = checked(&dir, &[&["check", "alice.pem"], options].concat());
        assert_eq!((found, stderr.as_str()), (Some(code), said), "{options:?}");
    }
}

#[test]
fn a_path_for_anyone_is_open_to_a_refused_certificate_too() {
    let ca = Ca::new("ca");
    let dir = TempDir::new();
    dir.write("ca.pem", ca.pem());
    dir.write("mallory.pem", self_signed("mallory").pem());
    dir.write("policy", "/ any\n/health anyone\n");
    let options = ["check", "--ca", "ca.pem", "--policy", "policy", "mallory.pem"];
    for (path, code, first, json) in [
        ("/", 1, "refused: self_signed  CN=mallory", "{\"decision\":\"refused\",\"code\":\"self_signed\""),
        (
            "/health",
            0,
            "for anyone, certificate refused: self_signed  CN=mallory",
            "{\"decision\":\"anyone\",\"code\":\"self_signed\"",
        ),
    ] {
        let (found, said, _) = checked(&dir, &[&options[..], &["--path", path]].concat());
        assert_eq!((found, said.lines().next()), (Some(code), Some(first)));
        let (found, said, _) = checked(&dir, &[&options[..], &["--path", path, "--json"]].concat());
        assert_eq!(found, Some(code));
        assert!(said.starts_with(json), "{said}");
    }
}

/// A target as the log shows it: the server ignores the query, and accepts the absolute form that proxies send.
#[test]
fn a_target_is_taken_as_the_server_takes_it() {
    let ca = Ca::new("ca");
    let dir = TempDir::new();
    dir.write("ca.pem", ca.pem());
    dir.write("alice.pem", ca.client("alice").pem());
    dir.write("policy", "/ any\n/x cn:bob\n");
    for (target, code, rule) in [
        ("/a?b=/../%2f&c[]=1", 0, "GET /a: any"),
        ("/%78?", 1, "GET /x: "),
        ("https://localhost:4433/x?y", 1, "GET /x: "),
        ("/a#b", 2, ""),
        ("/a?b c", 2, ""),
        ("*", 2, ""),
    ] {
        let args = ["check", "--ca", "ca.pem", "--policy", "policy", "--path", target, "alice.pem"];
        let (found, said, error) = checked(&dir, &args);
        assert_eq!(found, Some(code), "{target}: {error}");
        assert!(said.contains(rule), "{target}: {said}");
    }
    // What the server answers before it judges the client is reported as that, with its status.
    let long = format!("/{}", "a".repeat(9_000));
    for (method, target, status) in
        [("TRACE", "/", 501), ("CONNECT", "/", 501), ("GET", &long, 414), ("GET", "/%zz", 400)]
    {
        let args = ["check", "--ca", "ca.pem", "--method", method, "--path", target, "alice.pem"];
        let (found, _, error) = checked(&dir, &args);
        assert_eq!(found, Some(2), "{method} {target}");
        assert!(error.contains(&format!("is answered with {status} to everyone")), "{error}");
        assert!(error.len() < 500, "{error}");
    }
}

#[test]
fn a_refused_certificate_has_its_anchor_and_the_list_of_its_own_issuer() {
    // Two CAs of one name, each with a list; the one that did not sign is named first.
    let (other, ca) = (Ca::new("ca"), Ca::new("ca"));
    let bob = ca.client("bob");
    let dir = TempDir::new();
    dir.write("ca.pem", other.pem() + &ca.pem());
    dir.write("crl.pem", Crl::number(8).pem(&other) + &Crl::number(5).revoking(&bob).pem(&ca));
    dir.write("bob.pem", bob.pem());
    let late = ca.client_with("late", |params| params.not_after = (SystemTime::now() - HOUR / 2).into());
    dir.write("late.pem", late.pem());
    let anchor = mtls_min::Identity::from_der(&ca.der).unwrap().sha256().to_owned();
    for (file, code, entry) in [("bob.pem", "revoked", "{\"date\":\"20"), ("late.pem", "expired", "null}")] {
        let options = ["check", "--ca", "ca.pem", "--crl", "crl.pem", file, "--json"];
        let (_, said, _) = checked(&dir, &options);
        for part in [
            format!("\"code\":\"{code}\""),
            format!("\"anchor\":{{\"subject\":\"CN=ca\",\"sha256\":\"{anchor}\","),
            "\"revocation\":{\"number\":\"5\",".to_owned(),
            format!("\"revoked\":1,\"entry\":{entry}"),
        ] {
            assert!(said.contains(&part), "{said} lacks {part}");
        }
    }
}

#[test]
fn a_certificate_is_judged_at_the_time_that_is_asked_for() {
    let ca = Ca::with("ca", |params| params.not_after = (SystemTime::now() + HOUR * 24 * 3000).into());
    let dir = TempDir::new();
    dir.write("ca.pem", ca.pem());
    dir.write("alice.pem", ca.client("alice").pem());
    for (at, code, words) in [
        ("2001-01-01", Some(1), "refused: not_yet_valid"),
        ("2030-01-01T12:00:00Z", Some(1), "refused: expired"),
        ("2030-01-01 12:00:00", Some(1), "refused: expired"),
        // The CA has expired by then; that it is read now is no error.
        ("2040-01-01", Some(1), "refused: expired"),
        ("1969-12-31", Some(2), ""),
        ("yesterday", Some(2), ""),
    ] {
        let (found, said, _) = checked(&dir, &["check", "--ca", "ca.pem", "--at", at, "alice.pem"]);
        assert_eq!(found, code, "{at}: {said}");
        assert!(said.starts_with(words), "{at}: {said}");
    }
}

#[test]
fn a_certificate_comes_from_standard_input_too() {
    let ca = Ca::new("ca");
    let dir = TempDir::new();
    dir.write("ca.pem", ca.pem());
    let input = std::fs::File::open(dir.write("alice.pem", ca.client("alice").pem())).unwrap();
    let mut command = Command::new(binary());
    command.args(["check", "--ca", "ca.pem", "-"]).current_dir(dir.path()).stdin(Stdio::from(input));
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().next(), Some("authorised  CN=alice"));
}

#[cfg(feature = "pki")]
#[test]
fn a_pkcs12_file_of_either_flavour_is_checked_with_its_password() {
    let dir = TempDir::new();
    dir.write("password", "correct horse\n");
    dir.write("other", "battery staple\n");
    for args in [&["certs", "init"][..], &["certs", "client", "alice", "--password-file", "password"]] {
        assert!(run(dir.path(), args).status.success());
    }
    for file in ["certs/alice.p12", "certs/alice.legacy.p12"] {
        let args = ["check", "--crl", "certs/crl.pem", file, "--password-file"];
        let (code, said, error) = checked(&dir, &[&args[..], &["password"]].concat());
        assert_eq!((code, error.as_str()), (Some(0), ""), "{file}");
        assert!(said.starts_with("authorised  CN=alice,O=mtls-min\n"), "{file}: {said}");
        let (code, said, error) = checked(&dir, &[&args[..], &["other"]].concat());
        assert_eq!((code, said.as_str()), (Some(2), ""), "{file}");
        assert!(error.contains(&format!("cannot read {file}")) && error.contains("is the password"), "{error}");
    }
}

#[test]
fn what_cannot_be_told_is_said_with_exit_status_2() {
    let ca = Ca::new("ca");
    let dir = TempDir::new();
    dir.write("ca.pem", ca.pem());
    dir.write("alice.pem", ca.client("alice").pem());
    dir.write("key.pem", ca.client("alice").key_pem());
    dir.write("empty", "");
    dir.write("cut.pem", &ca.pem()[..200]);
    dir.write("p12", [0x30, 0x03, 0x02, 0x01, 0x03]);
    dir.write("password", "secret\n");
    dir.write("large", vec![b'x'; 1024 * 1024 + 1]);
    for (args, words) in [
        (&["--ca", "ca.pem", "missing"][..], &["cannot read missing", "No such file"][..]),
        (&["--ca", "ca.pem", "empty"], &["empty holds no certificate", "the file is empty"]),
        (&["--ca", "ca.pem", "key.pem"], &["key.pem holds no certificate"]),
        (&["--ca", "ca.pem", "cut.pem"], &["cut.pem, line 1: this certificate is broken"]),
        (&["--ca", "ca.pem", "large"], &["larger than 1 MiB"]),
        (&["--ca", "ca.pem", "p12"], &["cannot read p12", "this PKCS#12 file is broken"]),
        (&["--ca", "ca.pem", "p12", "--password-file", "password"], &["p12"]),
        (&["--ca", "ca.pem", "p12", "--password-file", "empty"], &["the password file empty is empty"]),
        (&["--ca", "missing", "alice.pem"], &["cannot read the CA file missing"]),
        (&["--ca", "ca.pem", "--allow", "alice", "alice.pem"], &["--allow alice", "kind:value"]),
        (&["--ca", "ca.pem", "--path", "x", "alice.pem"], &["--path x"]),
        (&["--ca", "ca.pem"], &["file"]),
        (&["--ca", "ca.pem", "alice.pem", "--method", "GE T"], &["method"]),
    ] {
        let (code, said, error) = checked(&dir, &[&["check"], args].concat());
        assert_eq!((code, said.as_str()), (Some(2), ""), "{args:?}: {error}");
        for word in words {
            assert!(error.contains(word), "{args:?}: {error}");
        }
    }
}
