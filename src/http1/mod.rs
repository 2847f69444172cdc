//! HTTP/1.1 as bytes: heads, framing, chunks, responses (RFC 9110, RFC 9112). No I/O and no clock.
//!
//! Strict: whatever is doubtful is refused with 400 and the connection is closed, because requests are smuggled by bytes that
//! two programs read differently.

mod answer;
mod body;
pub(crate) mod chunked;
mod error;
mod fields;
mod framing;
mod head;
mod prefixes;
mod request;
mod response;
mod scanner;
mod target;
#[cfg(test)]
mod tests;
mod upgrade;

pub(crate) use answer::{AnswerHead, AnswerParser};
pub(crate) use body::BodyDecoder;
pub(crate) use chunked::{LAST_CHUNK, encode_chunk};
pub(crate) use error::HttpError;
pub(crate) use fields::{list, number};
pub(crate) use framing::Framing;
#[cfg(feature = "cli")]
pub(crate) use head::seen_path;
pub(crate) use head::{Head, HeadLimits, HeadParser, empty_parts, is_head_request};
pub(crate) use prefixes::{Prefixes, read_prefix};
pub(crate) use request::RequestHead;
pub(crate) use response::{BodyLength, CONTINUE, ResponseContext, Transfer, write_head};
pub(crate) use target::normal_path;
pub(crate) use upgrade::{takes_trailers, write_interim, write_last_chunk, write_switching};
