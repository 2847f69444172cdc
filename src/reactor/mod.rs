//! Waiting for many sockets at once, and how many threads run.

pub(crate) mod concurrency;
pub(crate) mod eviction;
pub(crate) mod listener;
pub(crate) mod sys;
pub(crate) mod table;
