//! Making certificates: a CA, what it signs and revokes, and the PKCS#12 files that browsers import.
//!
//! ```no_run
//! # fn main() -> Result<(), mtls_min::Error> {
//! let made = mtls_min::pki::throwaway("certs", std::time::SystemTime::now())?;
//! println!("made {} files", made.files.len());
//! # Ok(())
//! # }
//! ```

mod armour;
mod atomic;
mod authority;
mod ber;
mod directory;
mod index;
mod key;
mod names;
mod pkcs12;
mod pkcs12_read;
mod reading;
mod reconcile;
mod request;
mod store;
mod throwaway;
mod transaction;

pub use crate::pki::authority::Authority;
pub use crate::pki::directory::{Directory, Overview, Renewal};
pub use crate::pki::index::Entry;
pub use crate::pki::pkcs12::{pkcs12, pkcs12_legacy, random_password};
#[cfg(feature = "cli")]
pub(crate) use crate::pki::pkcs12_read::WRONG_PASSWORD;
pub use crate::pki::pkcs12_read::pkcs12_certificates;
pub use crate::pki::request::{ClientRequest, Issued, KeyKind, Reason, Revoked, Usage};
pub use crate::pki::throwaway::{Made, throwaway};
