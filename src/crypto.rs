//! Which crypto library this build has.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use crate::error::Error;

/// aws-lc-rs when both are there.
///
/// # Errors
/// The build has none.
pub(crate) fn provider() -> Result<Arc<CryptoProvider>, Error> {
    #[cfg(feature = "aws-lc-rs")]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    return Err(
        Error::new("this build has no crypto library").hint("build with the feature aws-lc-rs (the default) or ring")
    );
}
