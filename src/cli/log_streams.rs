//! Where the log goes: requests to stdout and all else to stderr, or everything to one file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

use super::CommandLine;
use super::values::LogForm;
use super::words::of_command;
use crate::error::Error;
use crate::file::identity;
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

/// A log that is written into a file of trust would destroy it, and each of its lines would be a change to be read.
pub(super) fn check<'f>(line: &CommandLine, mut others: impl Iterator<Item = &'f Path>) -> Result<(), Error> {
    let id = |path: &Path| fs::metadata(path).ok().map(|file| identity(&file));
    let Some((path, own)) = line.log_file.as_deref().and_then(|path| Some((path, id(Path::new(path))?))) else {
        return Ok(());
    };
    match others.find(|other| id(other) == Some(own)) {
        Some(other) => Err(Error::new(format!("--log-file {path} is the file {}, which is read", other.display()))
            .hint("choose another file for the log")),
        None => Ok(()),
    }
}

/// The stdout of std keeps what it could not write, and tries again later: nobody could tell how much of it was lost.
fn stdout() -> Result<File, Error> {
    let stdout = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    stdout.map_err(|error| Error::new("cannot start the log").caused_by(error))
}
