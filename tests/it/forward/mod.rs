//! An application behind the gate.

mod bad_answers;
mod bodies;
#[cfg(feature = "cli")]
mod command;
mod failures;
mod fields;
mod identity;
mod kept;
mod mixed_up;
mod upgrade;
