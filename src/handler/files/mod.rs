//! A folder of files, behind the gate.

mod beneath;
mod coding;
mod listing;
mod media;

use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::path::Path;

use http::header::{self, HeaderValue};
use http::{Method, StatusCode, Uri};

use self::beneath::{Failure, Found, Root};
use self::coding::Coding;
use super::request::Request;
use super::{Response, response};
use crate::error::Error;
use crate::http1::read_prefix;

/// A folder of files, as a handler.
///
/// ```no_run
/// use mtls_min::{Files, Request};
///
/// # fn main() -> Result<(), mtls_min::Error> {
/// let files = Files::new("/srv/docs")?.list();
/// let handler = move |request: &mut Request<'_>| files.answer(request);
/// # let _ = handler;
/// # Ok(())
/// # }
/// ```
/// GET and HEAD are answered as by [`response::file`]: with `ETag`, `Last-Modified`, conditional requests and
/// ranges. `/a/` is the file `index.html` in the folder `a`; `/a` leads there (308). The content type follows the end of the name.
///
/// A file `style.css.br` or `style.css.gz` beside `style.css` is sent in its place to clients that accept it (`Accept-Encoding`,
/// RFC 9110, section 12.5.3), unless it is older. Nothing is compressed on the fly.
///
/// **Nothing outside of the folder is sent**, whatever the path, and whatever is renamed or linked meanwhile. A symbolic link is
/// followed if it stays in the folder; a link with an absolute path counts as one that leads out. Without `openat2` (Linux before
/// 5.6, other systems, some sandboxes) no link is followed. Hard links and mounts in the folder are part of it. Devices, pipes and
/// sockets are not sent, and neither are names that begin with a dot, except `/.well-known/` (RFC 8615): all of these are 404, as
/// is what the server may not read. A link may lead to such a name: whoever makes links in the folder decides.
///
/// The folder is opened once: if another is renamed into its place, the old one is served until the server is started again.
/// Files are opened for each request.
///
/// Responses are `Cache-Control: private, no-cache`: a browser keeps a file but asks each time whether it still may use it, and
/// shared caches keep nothing, since they cannot know who may see it.
#[derive(Debug)]
pub struct Files {
    root: Root,
    /// Without its last slash.
    prefix: String,
    lists: bool,
    shows_dot_files: bool,
}

impl Files {
    /// Opens the folder.
    ///
    /// # Errors
    /// It is missing, not a folder, or cannot be read.
    pub fn new(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let root = Root::open(folder)
            .map_err(|error| Error::new(format!("cannot open the folder {}", folder.display())).caused_by(error))?;
        Ok(Self { root, prefix: String::new(), lists: false, shows_dot_files: false })
    }

    /// Takes this prefix off the path: with `/docs`, `/docs/a.txt` is the file `a.txt`. For a route
    /// ([`Routes::at`](crate::Routes::at)) with the same prefix; other paths are 404.
    ///
    /// # Errors
    /// The prefix can never match, since paths are never seen in this form.
    pub fn at_prefix(mut self, prefix: &str) -> Result<Self, Error> {
        self.prefix =
            read_prefix(prefix).map_err(|why| Error::new(format!("the prefix of the folder {why}")))?.to_owned();
        Ok(self)
    }

    /// Answers with a list of what is in a folder where that has no `index.html`; of at most 10,000 names. By default that is
    /// 404.
    pub fn list(mut self) -> Self {
        self.lists = true;
        self
    }

    /// Sends names that begin with a dot too.
    pub fn dot_files(mut self) -> Self {
        self.shows_dot_files = true;
        self
    }

    /// Answers a request.
    pub fn answer(&self, request: &Request<'_>) -> Response {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return response::get_and_head_only();
        }
        let mut response = self.find(request).unwrap_or_else(|failure| {
            response::status(match failure {
                Failure::Nothing => StatusCode::NOT_FOUND,
                Failure::Busy => StatusCode::SERVICE_UNAVAILABLE,
                Failure::Broken => StatusCode::INTERNAL_SERVER_ERROR,
            })
        });
        response.headers_mut().insert(header::CACHE_CONTROL, PRIVATE);
        response
    }

    fn find(&self, request: &Request<'_>) -> Result<Response, Failure> {
        let uri = request.uri();
        let path = self.below(uri.path()).ok_or(Failure::Nothing)?;
        // `/docs` itself, the prefix.
        let Some(path) = path.strip_prefix('/') else { return Ok(with_slash(uri)) };
        let path: Cow<'_, [u8]> = percent_encoding::percent_decode_str(path).into();
        self.check(&path)?;
        let Some(folder) = path.strip_suffix(b"/").or(path.is_empty().then_some(&*path)) else {
            return match self.root.find(&path)? {
                Found::File(file) => self.send(request, file, &path),
                Found::Folder(_) => Ok(with_slash(uri)),
            };
        };
        let index = [&path, &b"index.html"[..]].concat();
        match self.root.find(&index) {
            Ok(Found::File(file)) => self.send(request, file, &index),
            Ok(Found::Folder(_)) | Err(Failure::Nothing) if self.lists => match self.root.find(folder)? {
                Found::Folder(found) => {
                    let may_show = |name: &[u8]| self.may_show(name, path.is_empty());
                    listing::listing(&self.root, &found, &path, uri.path(), may_show)
                }
                Found::File(_) => Err(Failure::Nothing),
            },
            Ok(Found::Folder(_)) => Err(Failure::Nothing),
            Err(failure) => Err(failure),
        }
    }

    /// The path without the prefix: empty, or it begins with a slash.
    fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(&self.prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The server has refused empty segments, `.`, `..`, encoded slashes and NUL already (RFC 3986); here is what is left.
    fn check(&self, path: &[u8]) -> Result<(), Failure> {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let mut segments = path.split(|byte| *byte == b'/').enumerate();
        let is_good = |(at, name): (usize, &[u8])| {
            !matches!(name, b"." | b"..") && !name.contains(&0) && self.may_show(name, at == 0)
        };
        if path.is_empty() || segments.all(is_good) { Ok(()) } else { Err(Failure::Nothing) }
    }

    /// Well-known locations are at the top of a site only (RFC 8615, section 3).
    fn may_show(&self, name: &[u8], is_at_top: bool) -> bool {
        let is_well_known = name == b".well-known" && is_at_top && self.prefix.is_empty();
        self.shows_dot_files || !name.starts_with(b".") || is_well_known
    }

    /// Sends the file in the coding that the client likes best, of those in which it is there.
    fn send(&self, request: &Request<'_>, file: File, path: &[u8]) -> Result<Response, Failure> {
        let plain = Version::of(file)?;
        let content_type = media::content_type(path);
        let variant = |coding: Coding| match self.root.find(&[path, coding.ending()].concat()) {
            Ok(Found::File(file)) => Version::of(file).ok().filter(|variant| variant.is_as_new_as(&plain)),
            _ => None,
        };
        let mut best = None;
        for coding in coding::accepted(request.headers()) {
            best = match coding {
                Coding::Identity => Some((None, None)),
                coding => variant(coding).map(|variant| (Some(variant), Some(coding.name()))),
            };
            if best.is_some() {
                break;
            }
        }
        let mut response = match best {
            Some((variant, coding)) => {
                let Version { file, metadata } = variant.unwrap_or(plain);
                response::representation(request, file, &metadata, content_type, coding).map_err(|_| Failure::Broken)?
            }
            // It refuses the file as it is, and there is no other (RFC 9110, section 12.5.3).
            None => response::status(StatusCode::NOT_ACCEPTABLE),
        };
        // A variant may come any time.
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        Ok(response)
    }
}

/// A file that is open.
struct Version {
    file: File,
    metadata: Metadata,
}

impl Version {
    fn of(file: File) -> Result<Self, Failure> {
        let metadata = file.metadata().map_err(|_| Failure::Broken)?;
        Ok(Self { file, metadata })
    }

    /// Whoever changed a file may have forgotten its variant.
    fn is_as_new_as(&self, other: &Self) -> bool {
        let modified = |version: &Self| version.metadata.modified().ok();
        modified(self) >= modified(other)
    }
}

const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// The same with a slash at the end: relative links of what is there begin below it. A path has no empty segments, so it does not
/// begin with two slashes, which would lead to another site.
fn with_slash(uri: &Uri) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    response::redirect(StatusCode::PERMANENT_REDIRECT, &format!("{}/{query}", uri.path()))
}
