//! The kinds of rules.

/// The words before the colon, and the kinds they stand for.
pub(super) const KINDS: [(&str, Kind); 14] = [
    ("cn", Kind::CommonName),
    ("dns", Kind::Dns),
    ("email", Kind::Email),
    ("upn", Kind::Upn),
    ("uri", Kind::Uri),
    ("ip", Kind::Ip),
    ("o", Kind::Organization),
    ("ou", Kind::OrganizationalUnit),
    ("dn", Kind::Subject),
    ("sha256", Kind::Sha256),
    ("spki", Kind::Spki),
    ("issuer", Kind::Issuer),
    ("issuer-sha256", Kind::IssuerSha256),
    ("client", Kind::Client),
];

/// What a rule compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    CommonName,
    Dns,
    Email,
    Upn,
    Uri,
    Ip,
    Organization,
    OrganizationalUnit,
    Subject,
    Sha256,
    Spki,
    Issuer,
    IssuerSha256,
    Client,
}
