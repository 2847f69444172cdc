//! The password of PKCS#12 files: made, asked for, or read from a file.

use std::fs::OpenOptions;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

use super::password_in;
use crate::error::Error;
use crate::pki::random_password;

/// The password of PKCS#12 files. It is never an argument, which other users of the machine could see.
pub(super) struct Password {
    pub(super) text: String,
    made: bool,
}

impl Password {
    pub(super) fn get(file: Option<&Path>, ask: bool) -> Result<Self, Error> {
        let text = match (file, ask) {
            (Some(_), true) => return Err(Error::new("--password-file and --ask do not go together")),
            (Some(file), false) => password_in(file)?,
            (None, true) => asked()?,
            (None, false) => return Ok(Self { text: random_password()?, made: true }),
        };
        Ok(Self { text, made: false })
    }

    /// Shows a password that was made here. This is the only time it can be seen.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub(super) fn show(&self, name: &str) -> Result<(), Error> {
        if !self.made {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let shown = writeln!(stdout, "the password of the .p12 files, shown this once: {}", self.text);
        shown.and_then(|()| stdout.flush()).map_err(|error| {
            Error::new("the files are made, but their password could not be shown")
                .caused_by(error)
                .hint(format!("`mtls-min certs renew {name}` makes others, with another password"))
        })
    }
}

fn asked() -> Result<String, Error> {
    let ask = |prompt| {
        read_hidden_line(prompt).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => Error::new("nothing was made: no password was given"),
            _ => Error::new("cannot ask for a password: there is no terminal")
                .caused_by(error)
                .hint("--password-file reads it from a file; without both one is made"),
        })
    };
    let password = ask("password for the .p12 files: ")?;
    if ask("once more: ")? != password {
        return Err(Error::new("the two passwords differ"));
    }
    Ok(password)
}

/// Reads a line from the terminal after `prompt`, without showing it. Meanwhile the keys that would end or stop the process are
/// read as bytes, so that the terminal is always set back.
///
/// # Errors
/// There is no terminal. `Interrupted`: the user pressed Ctrl-C or another of those keys.
fn read_hidden_line(prompt: &str) -> io::Result<String> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let shown = tcgetattr(&terminal)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
    hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(&terminal, OptionalActions::Flush, &hidden)?;
    let read = terminal.write_all(prompt.as_bytes()).and_then(|()| read_keys(&terminal));
    tcsetattr(&terminal, OptionalActions::Flush, &shown)?;
    terminal.write_all(b"\n")?;
    String::from_utf8(read?).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "this is not UTF-8"))
}

/// Reads keys up to the end of the line, and edits the line as a terminal would.
fn read_keys(terminal: impl Read) -> io::Result<Vec<u8>> {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    const CTRL_U: u8 = 21;
    const CTRL_Z: u8 = 26;
    const CTRL_BACKSLASH: u8 = 28;
    let mut line = Vec::new();
    for key in BufReader::new(terminal).bytes() {
        match key? {
            b'\n' | b'\r' => return Ok(line),
            CTRL_D if !line.is_empty() => return Ok(line),
            CTRL_C | CTRL_D | CTRL_Z | CTRL_BACKSLASH => return Err(io::ErrorKind::Interrupted.into()),
            CTRL_U => line.clear(),
            8 | 127 => {
                // A whole character: its bytes after the first begin with the bits 10.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            byte if line.len() < MAX_LINE => line.push(byte),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long")),
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// The limit of a terminal itself.
const MAX_LINE: usize = 4096;
