//! Where the log goes: requests to stdout and all else to stderr, or everything to one file.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use super::CommandLine;
use super::values::LogForm;
use super::words::of_command;
use crate::error::Error;
use crate::log::{AccessLog, Format, LogFile, Reopener, Style, notice_line};

/// Starts the log that the options ask for; and what has its file opened anew, if there is one.
///
/// A file holds requests and all else in one, in the order in which they happened: whoever looks for strangers in it (fail2ban)
/// needs refused requests and failed handshakes, and one file is rotated more easily than two. stderr then has only what is wrong
/// with the file.
pub(super) fn start(line: &CommandLine) -> Result<(AccessLog, Option<Reopener>), Error> {
    let (format, has_requests) = match line.log {
        Some(LogForm::Of(format)) => (format, true),
        Some(LogForm::Off) => (Format::Text, false),
        None => (Format::Text, true),
    };
    let style = Style { format, words: of_command };
    let Some(path) = &line.log_file else {
        let log = match has_requests {
            true => AccessLog::split_in(style, stdout()?, io::stderr()),
            false => AccessLog::of_events(style, io::stderr()),
        };
        return Ok((log?, None));
    };
    let file = LogFile::open(path)?.on_trouble(move |text| {
        // If stderr cannot be written either, there is nowhere to say so.
        let _ = io::stderr().write_all(notice_line(style, "log_file", text).as_bytes());
    });
    let reopener = file.reopener();
    let log = if has_requests { AccessLog::to_one(style, file) } else { AccessLog::of_events(style, file) };
    Ok((log?, Some(reopener)))
}

/// The stdout of std keeps what it could not write, and tries again later: nobody could tell how much of it was lost.
fn stdout() -> Result<File, Error> {
    let stdout = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    stdout.map_err(|error| Error::new("cannot start the log").caused_by(error))
}
