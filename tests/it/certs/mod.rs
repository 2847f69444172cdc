//! `mtls-min certs`: every subcommand through the command itself, what it leaves alone, and what it says to bad input.

mod bad_input;
mod ca_of_another_program;
mod cut_short;
mod files_and_lock;
mod make;
mod over_time;
mod renew;
mod revoke;
#[cfg(feature = "aws-lc-rs")]
mod rsa_keys;
