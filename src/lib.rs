//! mtls-min
