//! Making certificates: a CA, what it signs and revokes, and the PKCS#12 files that browsers import.
//!
//! ```no_run
//! # fn main() -> Result<(), mtls_min::Error> {
//! let made = mtls_min::pki::throwaway("certs", std::time::SystemTime::now())?;
//! println!("made {} files", made.files.len());
//! # Ok(())
//! # }
//! ```

mod atomic;
mod authority;
mod ber;
mod demo;
mod directory;
mod index;
mod key;
mod layout;
mod names;
mod pkcs12;
mod pkcs12_read;
mod reading;
mod reconcile;
mod request;
mod store;
mod transaction;

pub use authority::Authority;
pub use demo::{Made, throwaway};
pub use directory::{Directory, Overview};
pub use index::Entry;
pub use pkcs12::{pkcs12, pkcs12_legacy, random_password};
#[cfg(feature = "cli")]
pub(crate) use pkcs12_read::WRONG_PASSWORD;
pub use pkcs12_read::pkcs12_certificates;
pub use request::{ClientRequest, Issued, KeyKind, Reason, Renewal, Revoked, Usage};
