//! The admin port: health, readiness, figures, and the clients that were last seen.

mod clients;
#[cfg(feature = "cli")]
mod command;
mod documents;
mod endpoints;
mod figures;
mod limits;
mod readiness;
