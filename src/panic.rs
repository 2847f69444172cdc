//! Calls code that may panic: handlers, readers of bodies, observers, and our own code where a bug must not end a thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `work` returns, or the text of its panic for the operator. After a panic, what `work` was changing must not be used.
pub(crate) fn caught<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        text.unwrap_or("a panic without text").to_owned()
    })
}
