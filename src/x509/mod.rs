//! What is in certificates and revocation lists. It says what is written, not whether it is true.

pub(crate) mod certificate;
pub(crate) mod certificate_policies;
pub(crate) mod crl;
pub(crate) mod der;
pub(crate) mod distinguished_name;
pub(crate) mod extensions;
pub(crate) mod identity;
pub(crate) mod name_constraints;
pub(crate) mod pem;
pub(crate) mod rfc4514;
pub(crate) mod signature;
pub(crate) mod time;
