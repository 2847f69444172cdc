//! The command `mtls-min`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mtls_min::cli::main(std::env::args_os())
}
