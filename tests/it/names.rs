//! The name that is shown for a client, with an empty subject (RFC 5280, section 4.1.2.6) and without.

use mtls_min::Identity;
use rcgen::{CertificateParams, DistinguishedName, DnType, OtherNameValue, SanType};

use crate::support::client::{TLS13, config, connect, eventually, exchange};
use crate::support::command::{Serving, binary, run};
use crate::support::files::TempDir;
use crate::support::pki::{self, CN, Ca, Holder, O};

const SPIFFE: &str = "spiffe://example.org/ns/default/sa/web";

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

fn email(text: &str) -> SanType {
    SanType::Rfc822Name(text.try_into().unwrap())
}

fn other(arcs: &[u64], text: &str) -> SanType {
    SanType::OtherName((arcs.to_vec(), OtherNameValue::Utf8String(text.to_owned())))
}

fn upn(text: &str) -> SanType {
    other(&[1, 3, 6, 1, 4, 1, 311, 20, 2, 3], text)
}

/// A client with no subject but these alternative names.
fn nameless(ca: &Ca, names: &[SanType]) -> Holder {
    ca.client_with("", |params: &mut CertificateParams| {
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = names.to_vec();
    })
}

fn display_name(holder: &Holder) -> String {
    Identity::from_der(&holder.chain[0]).unwrap().display_name()
}

#[test]
fn without_a_subject_the_first_alternative_name_that_can_be_read_is_the_name() {
    let ca = Ca::new("ca");
    let address = || SanType::IpAddress("2001:db8::1".parse().unwrap());
    for (names, shown) in [
        (vec![uri(SPIFFE), dns("web.example.org")], SPIFFE),
        (vec![dns("web.example.org"), uri(SPIFFE)], "web.example.org"),
        (vec![email("alice@example.org"), dns("a.example.org")], "alice@example.org"),
        (vec![upn("alice@corp.test"), dns("a.example.org")], "alice@corp.test"),
        (vec![address(), dns("a.example.org")], "2001:db8::1"),
        (vec![other(&[1, 2, 3], "unknown"), dns("a.example.org")], "a.example.org"),
        (vec![dns("a\nb\u{1b}")], r"a\0Ab\1B"),
    ] {
        assert_eq!(display_name(&nameless(&ca, &names)), shown);
    }
    for names in [vec![], vec![other(&[1, 2, 3], "unknown")]] {
        let holder = nameless(&ca, &names);
        let identity = Identity::from_der(&holder.chain[0]).unwrap();
        assert_eq!(identity.display_name(), format!("sha256:{}", identity.sha256()));
    }
}

#[test]
fn with_a_subject_it_is_the_one_common_name_or_all_of_it() {
    const UTF8: u8 = 12;
    let ca = Ca::new("ca");
    let base = ca.client_with("x", |params| params.subject_alt_names = vec![dns("a.example.org")]);
    for (name, shown) in [
        (pki::name(&[&[(O, UTF8, b"Example")], &[(CN, UTF8, b"alice")]]), "alice"),
        (pki::name(&[&[(CN, UTF8, b"a\nb\xe2\x80\xae")]]), r"a\0Ab\E2\80\AE"),
        (pki::name(&[&[(O, UTF8, b"Example")]]), "O=Example"),
        (pki::name(&[&[(CN, UTF8, b"a")], &[(CN, UTF8, b"b")]]), "CN=b,CN=a"),
        (pki::name(&[&[(CN, UTF8, b"\xff")]]), "CN=#0c01ff"),
        (pki::name(&[&[(CN, UTF8, b"  ")]]), r"CN=\ \ "),
        (pki::name(&[]), "a.example.org"),
    ] {
        assert_eq!(display_name(&ca.with_subject(&base, &name)), shown);
    }
}

#[test]
fn the_log_check_and_the_page_name_a_client_without_a_subject() {
    let ca = Ca::new("ca");
    let dir = TempDir::new();
    let server = ca.server();
    dir.write("ca.pem", ca.pem());
    dir.write("server.pem", server.pem());
    dir.write("key.pem", server.key_pem());
    let web = nameless(&ca, &[uri(SPIFFE), dns("web.example.org"), upn("web@corp.test")]);
    dir.write("web.pem", web.pem());
    let shown = format!("uri:{SPIFFE}");
    let options = ["--ca", "ca.pem", "--cert", "server.pem", "--key", "key.pem", "--listen", "127.0.0.1:0"];
    // What the log and `check` show works as a rule for this client.
    for (form, line) in [("text", format!(" subject=\"{shown}\"\n")), ("json", format!(",\"subject\":\"{shown}\","))] {
        let serving =
            Serving::start(&binary(), dir.path(), &[&options[..], &["--log", form, "--allow", &shown]].concat());
        let mut stream = connect(serving.addr, config(Some(&web), &TLS13));
        let page = exchange(&mut stream, "GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n").unwrap();
        assert!(page.body.contains(&format!("You are <strong>{SPIFFE}</strong>")), "{}", page.body);
        assert!(page.body.contains("upn:web@corp.test") && !page.body.contains("<dt>Subject</dt>"), "{}", page.body);
        eventually(|| serving.stdout().contains(&line));
        let stranger = nameless(&Ca::new("other"), &[dns("evil.test")]);
        let _ =
            exchange(&mut connect(serving.addr, config(Some(&stranger), &TLS13)), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        eventually(|| serving.stdout().contains("dns:evil.test"));
    }
    let output = run(dir.path(), &["check", "--ca", "ca.pem", "--allow", &shown, "web.pem"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with(&format!("authorised  {shown}\n")), "{said}");
    let names = format!("names         dns:web.example.org, upn:web@corp.test, {shown}\n");
    assert!(said.contains(&names), "{said}");
    let output = run(dir.path(), &["check", "--json", "--ca", "ca.pem", "web.pem"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(&format!("\"names\":[\"dns:web.example.org\",\"upn:web@corp.test\",\"{shown}\"]")), "{said}");
}

/// `subject=` does not take a text that only looks like a subject.
#[test]
fn an_alternative_name_is_not_shown_as_if_it_were_a_subject() {
    let ca = Ca::new("ca");
    let dir = TempDir::new();
    dir.write("ca.pem", ca.pem());
    dir.write("evil.pem", nameless(&ca, &[dns("CN=admin,O=Example")]).pem());
    let output = run(dir.path(), &["check", "--ca", "ca.pem", "evil.pem"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("authorised  dns:CN=admin,O=Example\n"), "{said}");
}

#[test]
fn a_subject_is_still_shown_whole_in_the_log() {
    let ca = Ca::new("ca");
    let holder = ca.client_with("alice", |params| {
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.subject_alt_names = vec![dns("a.example.org")];
    });
    let dir = TempDir::new();
    dir.write("ca.pem", ca.pem());
    dir.write("alice.pem", holder.pem());
    let output = run(dir.path(), &["check", "--ca", "ca.pem", "alice.pem"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("authorised  O=Example,CN=alice\n"), "{said}");
}
