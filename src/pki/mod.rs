//! Making certificates: a CA, what it signs, and the PKCS#12 file that browsers import.
//!
//! ```no_run
//! # fn main() -> Result<(), mtls_min::Error> {
//! let made = mtls_min::pki::throwaway("certs", std::time::SystemTime::now())?;
//! println!("made {} files", made.files.len());
//! # Ok(())
//! # }
//! ```

mod authority;
mod files;
mod pkcs12;
mod throwaway;

pub use authority::{Authority, Issued};
pub use pkcs12::{pkcs12, pkcs12_certificates, random_password};
pub use throwaway::{Made, throwaway};
