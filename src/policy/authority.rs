//! Which loaded CA a rule refers to.
//!
//! Certificates with the same name (RFC 5280, section 7.1) and the same key are one CA, renewed: whoever has the key can
//! sign for each of them, and a signature does not show for which. With another key it is another CA, even if it is the
//! successor of the old one: only the operator can know that.

use crate::clock::timestamp;
use crate::x509::identity::Identity;

/// Whether a name, in normal form, is that of exactly one loaded CA. If there were several, a rule by this name would let in
/// more than was meant.
pub(super) fn check_name(name: &[u8], authorities: &[&Identity]) -> Result<(), String> {
    let mut named: Vec<&Identity> = Vec::new();
    for ca in authorities.iter().filter(|ca| ca.normal_subject() == Some(name)) {
        if !named.iter().any(|known| is_same(known, ca)) {
            named.push(ca);
        }
    }
    match named.len() {
        0 => Err(format!(
            "can never match: no loaded CA has this name; it has to be one of these: {}",
            list(authorities, |ca| ca.subject().to_owned())
        )),
        1 => Ok(()),
        _ => Err(format!(
            "means several loaded CAs: they have this name, and different keys; write the one that is meant, \
             or each of them: {}",
            list(&named, |ca| format!("issuer-sha256:{} (valid until {})", ca.sha256(), timestamp(ca.not_after())))
        )),
    }
}

/// The fingerprints of the loaded certificates of the CA that has one with this fingerprint.
pub(super) fn certificates(sha256: &[u8; 32], authorities: &[&Identity]) -> Result<Vec<[u8; 32]>, String> {
    let ca = authorities.iter().find(|ca| ca.digest() == sha256).ok_or_else(|| {
        format!(
            "can never match: no loaded CA has this fingerprint; it has to be one of these: {}",
            list(authorities, |ca| format!("{}, sha256 {}", ca.subject(), ca.sha256()))
        )
    })?;
    Ok(authorities.iter().filter(|other| is_same(ca, other)).map(|other| *other.digest()).collect())
}

/// Whether two certificates belong to the same CA. A name that cannot be read matches no other.
fn is_same(one: &Identity, other: &Identity) -> bool {
    let same_name = one.normal_subject().is_some() && one.normal_subject() == other.normal_subject();
    same_name && one.spki_digest() == other.spki_digest()
}

/// The first of them, for messages.
fn list(authorities: &[&Identity], show: impl Fn(&Identity) -> String) -> String {
    const MOST: usize = 10;
    let mut shown: Vec<_> = authorities.iter().take(MOST).map(|ca| show(ca)).collect();
    if authorities.len() > MOST {
        shown.push(format!("{} others", authorities.len() - MOST));
    }
    shown.join(" and ")
}
