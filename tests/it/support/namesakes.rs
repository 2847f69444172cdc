//! One CA under several forms of its name.

use mtls_min::{Trust, TrustBuilder};
use rcgen::{DistinguishedName, DnType, DnValue};

use crate::support::pki::Ca;

pub(crate) const NAME: &str = "my ca";

/// The same name in other octets.
pub(crate) fn forms() -> [DnValue; 5] {
    [
        DnValue::PrintableString(NAME.try_into().unwrap()),
        DnValue::Utf8String("My CA".to_owned()),
        DnValue::Utf8String("  my   ca ".to_owned()),
        DnValue::BmpString(NAME.try_into().unwrap()),
        DnValue::PrintableString("MY CA".try_into().unwrap()),
    ]
}

/// The same CA, its name in another form.
pub(crate) fn renamed(ca: &Ca, form: DnValue) -> Ca {
    ca.renewed_with(NAME, |params| {
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, form);
    })
}

/// Why this trust is not accepted after that one.
pub(crate) fn error(builder: &TrustBuilder, before: &Trust) -> String {
    builder.rebuild(before).unwrap_err().to_string()
}
