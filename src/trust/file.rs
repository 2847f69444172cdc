//! Reading the files that say whom to trust, none larger than it may be.

use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::error::Error;
use crate::reactor::sys;

/// Reads a file; `what` names its kind in errors.
pub(super) fn read(path: &Path, what: &str, max: u64) -> Result<Vec<u8>, Error> {
    let name = path.display();
    let file = sys::open_regular(path).map_err(|error| {
        let kind = error.kind();
        let error = Error::new(format!("cannot read {what} {name}")).caused_by(error);
        match (kind, what) {
            (ErrorKind::NotFound, "the CA file") => {
                let maker = if cfg!(feature = "pki") { "`mtls-min demo`" } else { "certs/make-certs.sh" };
                error.hint(format!("{maker} makes a set of certificates to try; --ca names another file"))
            }
            (ErrorKind::NotFound, "the file of intermediates") => error.hint("--intermediates names it"),
            (ErrorKind::NotFound, "the file of revocation lists") => {
                error.hint("--crl names another file; where `mtls-min certs` keeps the CA, `mtls-min certs crl` signs its list anew")
            }
            (ErrorKind::NotFound, "the policy") => {
                error.hint("--policy names the file; a line of it is a path and who may go there, for example: / any")
            }
            (ErrorKind::NotFound, _) => error,
            (ErrorKind::InvalidInput, _) => error.hint("name a file, not a directory, pipe or device"),
            _ => error.hint("the user that runs this has to be able to read it"),
        }
    })?;
    let mut bytes = Vec::new();
    file.take(max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::new(format!("cannot read {what} {name}")).caused_by(error))?;
    if bytes.len() as u64 > max {
        return Err(Error::new(format!("{what} {name} is larger than {} MiB", max / 1024 / 1024))
            .hint("is this the right file?"));
    }
    Ok(bytes)
}
