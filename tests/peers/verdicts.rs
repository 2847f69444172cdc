//! Our verdict compared with openssl's, for certificates that openssl makes: signatures by RSA-PSS, e-mail addresses in the subject,
//! a CA that was remade or exists twice.

use crate::support::command::run;
use crate::support::files::TempDir;
use crate::tools::{sh, try_sh};

const EXTENSIONS: &str = "
[ca]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
[mail]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
nameConstraints=critical,permitted;email:example.com
[leaf]
keyUsage=critical,digitalSignature
extendedKeyUsage=clientAuth
[req]
distinguished_name=name
string_mask=utf8only
[name]
";

fn prepared() -> TempDir {
    let dir = TempDir::new();
    dir.write("x.cnf", EXTENSIONS);
    sh(
        dir.path(),
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -subj /CN=leaf -config x.cnf -out leaf.csr",
    );
    dir
}

fn root(dir: &TempDir, name: &str, key: &str, subject: &str, extensions: &str, more: &str) {
    sh(
        dir.path(),
        &format!(
            "openssl req -x509 -new -newkey {key} -nodes -keyout {name}.key -subj {subject} -config x.cnf -extensions {extensions} -days 99 {more} -out {name}.pem"
        ),
    );
}

fn leaf(dir: &TempDir, ca: &str, more: &str) {
    sh(
        dir.path(),
        &format!(
            "openssl x509 -req -in leaf.csr -CA {ca}.pem -CAkey {ca}.key -set_serial 5 -extfile x.cnf -extensions leaf -days 9 {more} -out leaf.pem"
        ),
    );
}

/// Whether openssl accepts it, and what we say.
fn verdicts(dir: &TempDir, ca: &str) -> (bool, String) {
    let (taken, _) = try_sh(dir.path(), &format!("openssl verify -purpose sslclient -CAfile {ca}.pem leaf.pem"));
    let check = run(dir.path(), &["check", "--ca", &format!("{ca}.pem"), "leaf.pem"]);
    (taken, String::from_utf8(check.stdout).unwrap())
}

/// RFC 4055: what the crypto library checks is a salt as long as the hash. openssl's default is as long as fits.
#[test]
fn rsa_pss_is_taken_with_a_salt_as_long_as_its_hash_and_otherwise_refused_by_name() {
    let dir = prepared();
    root(&dir, "ca", "rsa:2048", "/CN=ca", "ca", "");
    for hash in ["sha256", "sha384", "sha512"] {
        leaf(&dir, "ca", &format!("-{hash} -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"));
        let (openssl, ours) = verdicts(&dir, "ca");
        assert!(openssl && ours.starts_with("authorised"), "{hash}: {ours}");
    }
    leaf(&dir, "ca", "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max");
    let (openssl, ours) = verdicts(&dir, "ca");
    assert!(openssl && ours.starts_with("refused: unsupported_signature"), "{ours}");
    assert!(ours.contains("RSA-PSS with SHA-256, a mask by SHA-256 and a salt of 222 octets"), "{ours}");
    assert!(ours.contains("-sigopt rsa_pss_saltlen:digest"), "{ours}");
}

#[test]
fn t16_an_address_in_the_subject_is_held_against_the_limits_of_its_ca_as_openssl_does() {
    let dir = prepared();
    root(&dir, "mail", "ec -pkeyopt ec_paramgen_curve:P-256", "/CN=mail", "mail", "");
    for (address, taken) in [("ceo@example.com", true), ("ceo@evil.org", false)] {
        sh(
            dir.path(),
            &format!("openssl req -new -key leaf.key -subj /CN=a/emailAddress={address} -config x.cnf -out leaf.csr"),
        );
        leaf(&dir, "mail", "");
        let (openssl, ours) = verdicts(&dir, "mail");
        assert_eq!((openssl, ours.starts_with("authorised")), (taken, taken), "{address}: {ours}");
    }
}

#[test]
fn a_ca_that_was_remade_with_another_kind_of_key_is_told_as_that() {
    let dir = prepared();
    root(&dir, "old", "rsa:2048", "/CN=remade", "ca", "");
    root(&dir, "new", "ec -pkeyopt ec_paramgen_curve:P-256", "/CN=remade", "ca", "");
    leaf(&dir, "new", "");
    let (openssl, ours) = verdicts(&dir, "old");
    assert!(!openssl && ours.starts_with("refused: same_name_other_key"), "{ours}");
}

/// A CA with a short key: its clients are refused, and the start says so.
#[test]
fn a_ca_with_a_short_key_is_told_by_its_key() {
    let dir = prepared();
    root(&dir, "ca", "rsa:1024", "/CN=short", "ca", "");
    leaf(&dir, "ca", "");
    let (_, ours) = verdicts(&dir, "ca");
    assert!(ours.starts_with("refused: weak_key") && ours.contains("RSA 1024"), "{ours}");
    let check = run(dir.path(), &["check", "--ca", "ca.pem", "ca.pem"]);
    assert!(!check.stdout.is_empty());
}
