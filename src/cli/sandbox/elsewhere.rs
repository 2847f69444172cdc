//! Systems without Landlock.

use super::{Outcome, Rules};
use crate::error::Error;

/// Nothing is kept.
pub(super) struct Kept;

pub(super) fn restrict(_rules: &Rules) -> Result<Outcome, Error> {
    Ok(Outcome::Absent("only Linux has Landlock"))
}
