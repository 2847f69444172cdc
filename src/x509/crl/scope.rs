//! Which certificates of its issuer a list covers (RFC 5280, section 5.2.5).

use super::unusable::Unusable;
use crate::hex::hex;
use crate::x509::certificate::Certificate;
use crate::x509::der::{NotDer, Reader, tag};
use crate::x509::distinguished_name::normal_form;
use crate::x509::extensions::{GeneralName, NameKind, general_names};
use crate::x509::identity::name_text;

/// Which certificates of its issuer a list covers. Two lists have the same scope if these are equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    kind: Kind,
    /// The names of the distribution point, in order; empty: all certificates.
    names: Vec<Name>,
}

/// A `GeneralName`, owned.
type Name = (NameKind, Box<[u8]>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    All,
    EndEntities,
    Authorities,
}

/// Whether a list covers a certificate, so that it would name it if it were revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coverage {
    Yes,
    /// The list is for one distribution point, and the certificate does not say which distribution point it has.
    Unsure,
    No,
}

impl Scope {
    /// Reads the value of the extension issuingDistributionPoint.
    pub(super) fn read(value: &[u8]) -> Result<Self, Unusable> {
        const SOME_REASONS: u8 = tag::context(3);
        let broken = |_: NotDer| Unusable::Broken("issuingDistributionPoint");
        let mut parts = Reader::of(value, tag::SEQUENCE).map_err(broken)?;
        let mut scope = Self::default();
        if let Some(name) = parts.optional(tag::constructed(0)).map_err(broken)? {
            scope.names = names(name)?;
        }
        // False is the default, and conforming issuers leave it out.
        let flag = |parts: &mut Reader<'_>, number| match parts.optional(tag::context(number)).map_err(broken)? {
            None | Some([0]) => Ok(false),
            Some([0xff]) => Ok(true),
            Some(_) => Err(broken(NotDer)),
        };
        let (users, authorities) = (flag(&mut parts, 1)?, flag(&mut parts, 2)?);
        if parts.optional(SOME_REASONS).map_err(broken)?.is_some() {
            return Err(Unusable::SomeReasons);
        }
        if flag(&mut parts, 4)? {
            return Err(Unusable::Indirect);
        }
        if flag(&mut parts, 5)? {
            return Err(Unusable::AttributeCertificates);
        }
        parts.end().map_err(broken)?;
        scope.kind = match (users, authorities) {
            (false, false) => Kind::All,
            (true, false) => Kind::EndEntities,
            (false, true) => Kind::Authorities,
            (true, true) => return Err(broken(NotDer)),
        };
        Ok(scope)
    }

    /// Whether the list covers a certificate of its issuer (RFC 5280, section 6.3.3 (b) (2)).
    pub(crate) fn covers(&self, certificate: &Certificate<'_>) -> Coverage {
        // Section 5.2.5: the other two do not cover certificates of version 1 or 2.
        let fits = match self.kind {
            Kind::All => true,
            Kind::EndEntities => certificate.version == 3 && !certificate.is_ca(),
            Kind::Authorities => certificate.version == 3 && certificate.is_ca(),
        };
        let points = &certificate.distribution_points;
        match () {
            () if !fits => Coverage::No,
            () if self.names.is_empty() || self.is_of(certificate.issuer) => Coverage::Yes,
            () if points.is_empty() => Coverage::Unsure,
            () if points.iter().any(|point| self.has(point)) => Coverage::Yes,
            () => Coverage::No,
        }
    }

    fn has(&self, point: &GeneralName<'_>) -> bool {
        self.names.iter().any(|(kind, value)| *kind == point.kind && **value == *point.value)
    }

    /// Whether its distribution point has the name of the issuer. By the end of section 6.3.3, a list that is not named by a
    /// distribution point of the certificate is looked up as if one had that name.
    fn is_of(&self, issuer: &[u8]) -> bool {
        let directories = self.names.iter().filter(|(kind, _)| *kind == NameKind::Directory);
        let issuer = normal_form(issuer);
        issuer.is_some() && directories.map(|(_, name)| normal_form(name)).any(|name| name == issuer)
    }

    /// Whether it covers all certificates that the other one covers.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        let kind = self.kind == Kind::All || self.kind == other.kind;
        kind && (self.names.is_empty() || self.names == other.names)
    }

    /// The scope for messages, if the list does not cover all certificates of its issuer.
    pub(crate) fn text(&self) -> Option<String> {
        let kind = match self.kind {
            Kind::All => None,
            Kind::EndEntities => Some("of end entities".to_owned()),
            Kind::Authorities => Some("of CAs".to_owned()),
        };
        let point = self.names.first().map(|name| format!("of the distribution point {}", shown(name)));
        let parts: Vec<_> = kind.into_iter().chain(point).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// The names in a `DistributionPointName`.
fn names(choice: &[u8]) -> Result<Vec<Name>, Unusable> {
    const FULL: u8 = tag::constructed(0);
    const RELATIVE: u8 = tag::constructed(1);
    let broken = |_: NotDer| Unusable::Broken("issuingDistributionPoint");
    let mut reader = Reader::new(choice);
    let choice = reader.any().map_err(broken)?;
    reader.end().map_err(broken)?;
    match choice.tag {
        FULL => {
            let names = general_names(Reader::new(choice.content)).map_err(broken)?;
            let mut names: Vec<_> = names.iter().map(|name| (name.kind, name.value.into())).collect();
            names.sort_unstable();
            names.dedup();
            Ok(names)
        }
        RELATIVE => Err(Unusable::RelativeName),
        _ => Err(broken(NotDer)),
    }
}

/// A name for messages, shortened if it is long.
fn shown((kind, value): &Name) -> String {
    const MOST: usize = 200;
    let text = match kind {
        NameKind::Directory => name_text(value),
        NameKind::Uri | NameKind::Dns | NameKind::Email if value.iter().all(u8::is_ascii_graphic) => {
            String::from_utf8_lossy(value).into_owned()
        }
        _ => format!("0x{}", hex(value)),
    };
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
