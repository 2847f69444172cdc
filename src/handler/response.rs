//! The usual responses in one line: text, HTML, JSON, a status, a redirect, a file.
//!
//! ```
//! use mtls_min::http::StatusCode;
//! use mtls_min::{Request, Response, response};
//!
//! fn answer(request: &mut Request<'_>) -> Response {
//!     match (request.method().as_str(), request.uri().path()) {
//!         ("GET", "/") => response::text(StatusCode::OK, "hello\n"),
//!         ("GET", "/old") => response::redirect(StatusCode::PERMANENT_REDIRECT, "/"),
//!         ("GET", "/status") => response::json_bytes(StatusCode::OK, r#"{"up":true}"#),
//!         _ => response::status(StatusCode::NOT_FOUND),
//!     }
//! }
//! # let _ = answer;
//! ```
//! Each is an `http::Response`, so that more fields can be set: `response.headers_mut().insert(…)`.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{self, HeaderValue};
use http::{Method, StatusCode};

use super::Response;
use super::body::{Body, Content};
use super::conditional::{Precondition, Validators};
use super::range::{Selection, select};
use super::request::Request;
use super::socket::Socket;
use super::upstream::Tunnel;

/// Plain text in UTF-8 (`text/plain; charset=utf-8`).
pub fn text(status: StatusCode, body: impl Into<Body>) -> Response {
    content(status, HeaderValue::from_static("text/plain; charset=utf-8"), body.into())
}

/// HTML in UTF-8 (`text/html; charset=utf-8`). What comes from a client must be escaped first.
pub fn html(status: StatusCode, body: impl Into<Body>) -> Response {
    content(status, HeaderValue::from_static("text/html; charset=utf-8"), body.into())
}

/// JSON that is already serialised (`application/json`), by `serde_json::to_vec` for example.
pub fn json_bytes(status: StatusCode, body: impl Into<Body>) -> Response {
    content(status, HeaderValue::from_static("application/json"), body.into())
}

/// A status, with its standard phrase as the text: `404` and `Not Found`. `204`, `205` and `304` have no body (RFC 9110,
/// sections 15.3.5, 15.3.6 and 15.4.5).
pub fn status(status: StatusCode) -> Response {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED) {
        let mut response = Response::default();
        *response.status_mut() = status;
        return response;
    }
    text(status, format!("{}\n", status.canonical_reason().unwrap_or("Error")))
}

/// A redirect to `location`, a URI or a path (RFC 9110, sections 10.2.2 and 15.4).
///
/// | status | the client then |
/// | --- | --- |
/// | `303 See Other` | makes a GET; after a form was posted |
/// | `307 Temporary Redirect` | repeats the request there, this time |
/// | `308 Permanent Redirect` | repeats the request there, from now on |
///
/// The status is sent as it is given; `201 Created` also has a location. Characters that a URI cannot have (spaces, control
/// characters, backslashes, anything beyond ASCII) are percent-encoded, so a location cannot break out of its field. It can lead
/// to another site, as `//example.org` does: check what a client supplied.
pub fn redirect(status: StatusCode, location: &str) -> Response {
    let mut response = self::status(status);
    let encoded = percent_encoding::utf8_percent_encode(location, NOT_IN_URIS).to_string();
    // Only visible ASCII is left, so it is always a valid value.
    if let Ok(location) = HeaderValue::try_from(encoded) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Switches to another protocol (`101 Switching Protocols`, RFC 9110, section 7.8), such as `websocket`: from then on, all bytes go
/// both ways between the client and `socket`, a `TcpStream` or a `UnixStream` to whoever speaks that protocol.
///
/// ```no_run
/// use std::net::TcpStream;
///
/// use mtls_min::http::StatusCode;
/// use mtls_min::{Request, Response, response};
///
/// fn to_echo(_: &mut Request<'_>) -> Response {
///     let tunnel = TcpStream::connect("127.0.0.1:7").and_then(|echo| response::tunnel("echo", echo));
///     tunnel.unwrap_or_else(|_| response::status(StatusCode::BAD_GATEWAY))
/// }
/// # let _ = to_echo;
/// ```
/// The client has to ask for it: `Connection: upgrade` and `Upgrade` with this protocol. Otherwise it gets a 500, so look first. More
/// fields, like `Sec-WebSocket-Accept`, can be set.
///
/// A tunnel holds no thread. It ends when both sides have ended, when nothing moves for
/// [`Builder::tunnel_timeout`](crate::Builder::tunnel_timeout), when the server stops, and within a second after the client is no longer let in: its
/// certificate was revoked or expires, or no rule lets it make this request any more.
///
/// # Errors
/// [`InvalidInput`](io::ErrorKind::InvalidInput): `protocol` cannot be a field value. Or it is no socket.
pub fn tunnel(protocol: &str, socket: impl Into<OwnedFd>) -> io::Result<Response> {
    let protocol = HeaderValue::from_str(protocol)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not a valid protocol"))?;
    let tunnel = Tunnel { socket: Box::new(Socket::new(socket)?), received: Vec::new() };
    let mut response = Response::new(Body(Content::Tunnel(Box::new(tunnel))));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::UPGRADE, protocol);
    Ok(response)
}

/// All but the unreserved and reserved characters of RFC 3986, section 2, and the percent sign of what is already encoded.
const NOT_IN_URIS: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A regular file, as the request asks for it: the whole, or a range, or the news that the client has it already.
///
/// ```no_run
/// use mtls_min::http::StatusCode;
/// use mtls_min::{Request, Response, response};
///
/// fn manual(request: &mut Request<'_>) -> Response {
///     let file = std::fs::File::open("manual.pdf");
///     file.and_then(|file| response::file(request, file, "application/pdf"))
///         .unwrap_or_else(|_| response::status(StatusCode::NOT_FOUND))
/// }
/// # let _ = manual;
/// ```
///
/// | status | when |
/// | --- | --- |
/// | `200` | the whole file, also if several ranges are asked for |
/// | `206` | one range (RFC 9110, section 14), unless `If-Range` names another version |
/// | `304` | `If-None-Match` or `If-Modified-Since` says that the client has this version (section 13); of at most 64 tags |
/// | `405` | the method is neither GET nor HEAD |
/// | `412` | `If-Match` or `If-Unmodified-Since` asks for another version |
/// | `416` | the file has no such bytes |
///
/// `ETag` is made of the length and times of the file. It is strong, unless the file changed within the last two seconds: then
/// it may change again under the same time, so no range is sent for the tag, and a later request gets another. A date in `If-Range` is never exact enough.
///
/// Browsers are told to take the content type as it is given (`X-Content-Type-Options: nosniff`): HTML in an upload that is
/// sent as something else is not run.
///
/// The length is announced: if the file shrinks while it is sent, the connection is cut. Replace files by renaming a new one
/// over them; a file that is overwritten in place reaches some clients as a mixture.
///
/// Which file to open is the handler's decision: see [`Request::path_decoded`].
///
/// # Errors
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is not a regular file (a directory, a pipe), or if `content_type` is
/// not a valid field value; or the file cannot be examined or read.
pub fn file(request: &Request<'_>, file: File, content_type: &str) -> io::Result<Response> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(get_and_head_only());
    }
    let content_type = HeaderValue::from_str(content_type)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not a valid content type"))?;
    let metadata = file.metadata()?;
    representation(request, file, &metadata, content_type, None)
}

/// The answer to another method, where only a GET or a HEAD is answered.
pub(crate) fn get_and_head_only() -> Response {
    let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// The answer to a GET or HEAD: the file, whose content type is that of what it is a coding of (RFC 9110, section 8.4).
pub(super) fn representation(
    request: &Request<'_>,
    file: File,
    metadata: &Metadata,
    content_type: HeaderValue,
    coding: Option<&'static str>,
) -> io::Result<Response> {
    let (length, validators) = (metadata.len(), validators(metadata, coding)?);
    let mut response = match validators.evaluate(request.headers()) {
        Precondition::Failed => return Ok(status(StatusCode::PRECONDITION_FAILED)),
        Precondition::NotModified => status(StatusCode::NOT_MODIFIED),
        Precondition::Holds => {
            let mut response = match selection(request, &validators, length) {
                Selection::Whole => content(StatusCode::OK, content_type, Body::part_of(file, 0, length)?),
                Selection::Part { first, last } => {
                    let body = Body::part_of(file, first, last - first + 1)?;
                    let mut response = content(StatusCode::PARTIAL_CONTENT, content_type, body);
                    set_content_range(&mut response, &format!("bytes {first}-{last}/{length}"));
                    response
                }
                Selection::Unsatisfiable => {
                    let mut response = status(StatusCode::RANGE_NOT_SATISFIABLE);
                    set_content_range(&mut response, &format!("bytes */{length}"));
                    return Ok(response);
                }
            };
            if let Some(coding) = coding {
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
            }
            response
        }
    };
    let fields = response.headers_mut();
    fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // A browser is not to find HTML in an upload that is sent as something else.
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    validators.write_to(fields);
    Ok(response)
}

/// A response of the crate `tiny_http`, as one of this server: what makes the responses of a program can stay as it is. The example
/// `from_tiny_http` moves one over. (With the feature `tiny_http`.)
///
/// ```
/// use mtls_min::{Request, Response, response};
///
/// fn answer(_: &mut Request<'_>) -> Response {
///     response::from_tiny_http(tiny_http::Response::from_string("hello").with_status_code(201))
/// }
/// # let _ = answer;
/// ```
/// Status, fields and data are taken over. This server decides on the framing: a length that is known is announced, whatever the
/// threshold for chunks. It has to be true: a reader is cut there, and if it ends early, so is the connection.
///
/// tiny_http sends what it is given. Here a field that is not valid, such as a value with a line break in it, makes the whole
/// response a `500`, and so does a status that is none: a response without one of its fields could say something else.
#[cfg(feature = "tiny_http")]
pub fn from_tiny_http<R: io::Read + Send + 'static>(response: tiny_http::Response<R>) -> Response {
    let mut ours = http::Response::builder().status(response.status_code().0);
    for header in response.headers() {
        ours = ours.header(header.field.as_str().as_bytes(), header.value.as_bytes());
    }
    let length = response.data_length().map(|length| length as u64);
    let body = Body::from_reader(response.into_reader(), length);
    ours.body(body).unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
}

/// Ranges are for GET only (RFC 9110, section 14.2).
fn selection(request: &Request<'_>, validators: &Validators, length: u64) -> Selection {
    match *request.method() == Method::GET && validators.allow_range(request.headers()) {
        true => select(request.headers(), length),
        false => Selection::Whole,
    }
}

fn validators(metadata: &Metadata, coding: Option<&str>) -> io::Result<Validators> {
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let now = SystemTime::now();
    let since_1970 = u64::try_from(metadata.ctime()).ok().zip(u32::try_from(metadata.ctime_nsec()).ok());
    let changed = since_1970.and_then(|(seconds, nanos)| UNIX_EPOCH.checked_add(Duration::new(seconds, nanos)));
    // A time that cannot be is no time to rely on: as if it had just changed.
    Ok(Validators::new(metadata.len(), metadata.modified()?, changed.unwrap_or(now), now).of_coding(coding))
}

fn set_content_range(response: &mut Response, range: &str) {
    // Digits and ASCII letters, so it is always a valid value.
    if let Ok(range) = HeaderValue::from_str(range) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
}

fn content(status: StatusCode, content_type: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::body::Content;

    #[test]
    fn a_location_cannot_break_out_of_its_field() {
        let location = |text| redirect(StatusCode::SEE_OTHER, text).headers()[header::LOCATION].clone();
        assert_eq!(location("/a?b=c&d=%20#e"), "/a?b=c&d=%20#e");
        assert_eq!(location("https://[::1]:1/~x;y@z!$'()*+,="), "https://[::1]:1/~x;y@z!$'()*+,=");
        assert_eq!(location("/a\r\nSet-Cookie: x"), "/a%0D%0ASet-Cookie:%20x");
        assert_eq!(location("/\\evil \"<>^`{|}\0\u{7f}"), "/%5Cevil%20%22%3C%3E%5E%60%7B%7C%7D%00%7F");
        assert_eq!(location("/é"), "/%C3%A9");
        assert_eq!(redirect(StatusCode::CREATED, "/1").status(), 201);
    }

    #[test]
    fn a_status_without_content_has_none() {
        for code in [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED] {
            let response = status(code);
            assert_eq!((response.status(), response.headers().len()), (code, 0));
            assert!(matches!(response.into_body(), Body(Content::Bytes(bytes)) if bytes.is_empty()), "{code}");
        }
    }

    #[test]
    fn each_has_its_type_and_status() {
        for (response, kind) in [
            (text(StatusCode::ACCEPTED, "a"), "text/plain; charset=utf-8"),
            (html(StatusCode::ACCEPTED, "a"), "text/html; charset=utf-8"),
            (json_bytes(StatusCode::ACCEPTED, "1"), "application/json"),
            (status(StatusCode::ACCEPTED), "text/plain; charset=utf-8"),
        ] {
            assert_eq!(
                (response.status(), &response.headers()[header::CONTENT_TYPE]),
                (StatusCode::ACCEPTED, &HeaderValue::from_static(kind))
            );
        }
    }
    #[cfg(feature = "tiny_http")]
    mod of_tiny_http {
        use super::*;
        use tiny_http::Header;

        fn field(name: &str, value: &str) -> Header {
            Header::from_bytes(name, value).unwrap()
        }

        /// The length that is announced, if any.
        fn length(response: Response) -> Option<u64> {
            match response.into_body() {
                Body(Content::Reader { length, .. }) => length,
                body => panic!("{body:?}"),
            }
        }

        #[test]
        fn status_fields_and_length_are_taken_over() {
            let theirs = tiny_http::Response::from_string("hello")
                .with_status_code(299)
                .with_header(field("X-A", "1"))
                .with_header(field("x-a", "2\t "));
            let ours = from_tiny_http(theirs);
            assert_eq!(ours.status(), 299);
            assert_eq!(ours.headers()["content-type"], "text/plain; charset=UTF-8");
            assert_eq!(ours.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2\t "]);
            assert_eq!((ours.headers().len(), length(ours)), (3, Some(5)));
        }

        #[test]
        fn the_length_is_what_the_program_said_last() {
            let said = |length| tiny_http::Response::new(200.into(), Vec::new(), io::repeat(b'x'), length, None);
            assert_eq!(length(from_tiny_http(said(None))), None);
            assert_eq!(length(from_tiny_http(said(Some(100_000)).with_chunked_threshold(0))), Some(100_000));
            let field = said(None).with_header(field("Content-Length", "7"));
            assert_eq!(length(from_tiny_http(field)), Some(7));
        }

        #[test]
        fn what_is_not_valid_is_a_500_as_a_whole() {
            let with = |name, value| {
                let theirs = tiny_http::Response::from_string("secret").with_header(field("X-A", "1"));
                from_tiny_http(theirs.with_header(field(name, value)))
            };
            for (name, value) in [
                ("X-B", "1\r\nSet-Cookie: x"),
                ("X-B", "1\n"),
                ("X-B", "\0"),
                ("X B", "1"),
                ("X-B: 1\r\nSet-Cookie", "x"),
                ("", "1"),
            ] {
                let ours = with(name, value);
                assert_eq!(ours.status(), 500, "{name:?}: {value:?}");
                assert!(!ours.headers().contains_key("x-a"));
                assert!(matches!(ours.body(), Body(Content::Bytes(text)) if **text == *b"Internal Server Error\n"));
            }
            for code in [0, 99, 1000, 65_535] {
                assert_eq!(from_tiny_http(tiny_http::Response::empty(code)).status(), 500, "{code}");
            }
        }
    }
}
