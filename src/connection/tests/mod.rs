//! Connections as clients see them, with responses that only this crate can make.

mod awaited;
mod floods;
