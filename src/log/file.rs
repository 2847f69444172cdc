//! The file of a log. It is opened anew when it was moved or removed, as programs that rotate logs do.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::file::{identity, open_to_append};

/// How often it is looked whether the file is still at its path, at most.
const PACE: Duration = Duration::from_millis(100);

/// A file to write a log to, such as an [`AccessLog`](super::AccessLog). Lines are added to its end. When it was moved or removed,
/// it is made anew at its path for the next line: so it can be rotated by renaming, and no signal is needed. It may be truncated
/// too.
///
/// The directory has to let the server make files. A file that is made has the mode 0640, less the umask.
///
/// ```no_run
/// use mtls_min::log::{AccessLog, LogFile};
///
/// # fn log() -> Result<AccessLog, Box<dyn std::error::Error>> {
/// let file = LogFile::open("/var/log/example/requests.log")?.on_trouble(|text| eprintln!("{text}"));
/// let log = AccessLog::text(file)?;
/// # Ok(log) }
/// ```
pub struct LogFile {
    path: PathBuf,
    file: File,
    /// Which file that is.
    opened: (u64, u64),
    next_look: Instant,
    reopener: Reopener,
    on_trouble: Box<dyn Fn(&str) + Send>,
    /// Which trouble was told already.
    cannot_open: bool,
    cannot_write: bool,
    /// The last byte was not the end of a line: the rest belongs into the same file.
    is_in_line: bool,
}

impl LogFile {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// It cannot be opened, or is not a regular file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let (opened, file) = open(&path).map_err(|error| cannot_open(&path, error))?;
        Ok(Self {
            path,
            file,
            opened,
            next_look: Instant::now(),
            reopener: Reopener(Arc::default()),
            on_trouble: Box::new(|_| {}),
            cannot_open: false,
            cannot_write: false,
            is_in_line: false,
        })
    }

    /// Calls `tell` with a sentence when the file cannot be written or opened anew, once until it can; and when it can be written
    /// again. It is called on the thread that writes. By default nothing is told.
    pub fn on_trouble(mut self, tell: impl Fn(&str) + Send + 'static) -> Self {
        self.on_trouble = Box::new(tell);
        self
    }

    /// A handle by which the file is opened anew, from anywhere.
    pub fn reopener(&self) -> Reopener {
        self.reopener.clone()
    }

    /// Opens the file anew if it was moved or removed, or if that was asked for.
    fn look(&mut self) {
        let is_asked = self.reopener.0.swap(false, Ordering::SeqCst);
        let now = Instant::now();
        if !is_asked && now < self.next_look {
            return;
        }
        self.next_look = now + PACE;
        if !is_asked && fs::metadata(&self.path).is_ok_and(|metadata| identity(&metadata) == self.opened) {
            return;
        }
        match open(&self.path) {
            Ok((opened, file)) => {
                (self.opened, self.file) = (opened, file);
                self.cannot_open = false;
            }
            Err(error) => {
                if is_asked || !self.cannot_open {
                    let path = self.path.display();
                    self.tell(&format!(
                        "cannot open the log file {path} anew, so what was open before is still written: {error}"
                    ));
                }
                self.cannot_open = true;
            }
        }
    }

    fn tell(&self, text: &str) {
        (self.on_trouble)(text);
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_in_line {
            self.look();
        }
        let written = self.file.write(bytes);
        match &written {
            Ok(taken) => {
                self.is_in_line = bytes[..*taken].last().is_some_and(|last| *last != b'\n');
                if std::mem::take(&mut self.cannot_write) {
                    self.tell(&format!("the log file {} can be written again", self.path.display()));
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                // What is left of the line is lost, and may not keep the rest from a file where there is room.
                self.is_in_line = false;
                if !std::mem::replace(&mut self.cannot_write, true) {
                    let path = self.path.display();
                    self.tell(&format!(
                        "the log file {path} cannot be written, so its lines are lost and counted: {error}"
                    ));
                }
            }
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl fmt::Debug for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Has a [`LogFile`] opened anew. Clones mean the same file.
#[derive(Debug, Clone)]
pub struct Reopener(Arc<AtomicBool>);

impl Reopener {
    /// Has the file opened anew before the next line is written, whether it was moved or not.
    pub fn reopen(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The file, and which it is.
fn open(path: &Path) -> io::Result<((u64, u64), File)> {
    let file = open_to_append(path)?;
    Ok((identity(&file.metadata()?), file))
}

fn cannot_open(path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Some("its directory has to exist"),
        ErrorKind::PermissionDenied => {
            Some("the user that runs this has to be able to write it, and to make it in its directory")
        }
        ErrorKind::IsADirectory | ErrorKind::InvalidInput => Some("name a file, not a directory, pipe or device"),
        _ => None,
    };
    let told = Error::new(format!("cannot open the log file {}", path.display())).caused_by(error);
    match hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Mutex;

    /// A directory, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("mtls-min-log-{}-{name}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        fn text(&self, name: &str) -> String {
            fs::read_to_string(self.path(name)).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// The file, and what it told of its troubles. It looks for the file at every write.
    fn opened(path: &Path) -> (LogFile, Arc<Mutex<Vec<String>>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        (LogFile::open(path).unwrap().on_trouble(move |text| telling.lock().unwrap().push(text.to_owned())), told)
    }

    fn write(file: &mut LogFile, text: &str) {
        file.next_look = Instant::now();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_file_that_was_moved_or_removed_is_made_anew_and_others_may_read_it_only_if_they_are_of_its_group() {
        let scratch = Scratch::new("moved");
        fs::write(scratch.path("log"), "before\n").unwrap();
        let (mut file, told) = opened(&scratch.path("log"));
        write(&mut file, "one\n");
        fs::rename(scratch.path("log"), scratch.path("log.1")).unwrap();
        write(&mut file, "two\n");
        fs::remove_file(scratch.path("log")).unwrap();
        write(&mut file, "three\n");
        write(&mut file, "four\n");
        assert_eq!((scratch.text("log.1"), scratch.text("log")), ("before\none\n".into(), "three\nfour\n".into()));
        assert_eq!(fs::metadata(scratch.path("log")).unwrap().permissions().mode() & 0o137, 0);
        fs::write(scratch.path("log"), "").unwrap();
        write(&mut file, "five\n");
        assert_eq!(scratch.text("log"), "five\n", "truncated");
        assert!(told.lock().unwrap().is_empty(), "{told:?}");
    }

    #[test]
    fn a_line_is_never_in_two_files() {
        let scratch = Scratch::new("line");
        let (mut file, _) = opened(&scratch.path("log"));
        write(&mut file, "one\nhalf of ");
        fs::rename(scratch.path("log"), scratch.path("log.1")).unwrap();
        write(&mut file, "two\n");
        write(&mut file, "three\n");
        assert_eq!((scratch.text("log.1"), scratch.text("log")), ("one\nhalf of two\n".into(), "three\n".into()));
    }

    #[test]
    fn it_is_looked_for_at_most_ten_times_a_second_unless_somebody_asks() {
        let scratch = Scratch::new("pace");
        let (mut file, _) = opened(&scratch.path("log"));
        file.next_look = Instant::now() + Duration::from_secs(3600);
        fs::rename(scratch.path("log"), scratch.path("log.1")).unwrap();
        file.write_all(b"one\n").unwrap();
        file.reopener().reopen();
        file.write_all(b"two\n").unwrap();
        assert_eq!((scratch.text("log.1"), scratch.text("log")), ("one\n".into(), "two\n".into()));
        let pause = file.next_look.saturating_duration_since(Instant::now());
        assert!(pause <= PACE, "{pause:?}");
    }

    #[test]
    fn if_it_cannot_be_opened_anew_the_old_file_is_written_and_that_is_told_once() {
        let scratch = Scratch::new("gone");
        fs::create_dir(scratch.path("logs")).unwrap();
        let (mut file, told) = opened(&scratch.path("logs/log"));
        fs::rename(scratch.path("logs"), scratch.path("old")).unwrap();
        write(&mut file, "one\n");
        write(&mut file, "two\n");
        assert_eq!(scratch.text("old/log"), "one\ntwo\n");
        assert_eq!(told.lock().unwrap().len(), 1);
        assert!(
            told.lock().unwrap()[0].contains("anew, so what was open before is still written: No such"),
            "{told:?}"
        );
        // Whoever asks is told.
        file.reopener().reopen();
        write(&mut file, "three\n");
        assert_eq!(told.lock().unwrap().len(), 2);
        fs::create_dir(scratch.path("logs")).unwrap();
        write(&mut file, "four\n");
        assert_eq!((scratch.text("old/log"), scratch.text("logs/log")), ("one\ntwo\nthree\n".into(), "four\n".into()));
        // It fails for another time.
        fs::remove_file(scratch.path("logs/log")).unwrap();
        fs::create_dir(scratch.path("logs/log")).unwrap();
        write(&mut file, "five\n");
        assert_eq!(told.lock().unwrap().len(), 3, "{told:?}");
    }

    #[test]
    fn what_is_not_a_file_is_refused_and_told_how_to_mend_it() {
        let scratch = Scratch::new("not");
        let hint = |path: &Path| LogFile::open(path).unwrap_err().hint_text().map(str::to_owned).unwrap();
        for path in [&scratch.0, Path::new("/dev/null")] {
            assert!(hint(path).contains("not a directory"), "{path:?}");
        }
        assert!(hint(&scratch.path("missing/log")).contains("has to exist"));
        let status = std::process::Command::new("mkfifo").arg(scratch.path("pipe")).status().unwrap();
        assert!(status.success());
        let error = format!("{:?}", LogFile::open(scratch.path("pipe")).unwrap_err());
        assert!(error.contains("cannot open the log file"), "{error}");
    }
}
