//! Interim responses, upgrades and trailers.

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};

use crate::http1::*;

fn request(fields: &[(&'static str, &'static str)]) -> http::request::Parts {
    let builder = fields.iter().fold(Request::builder(), |builder, (name, value)| builder.header(*name, *value));
    builder.body(()).unwrap().into_parts().0
}

fn response(status: u16, fields: &[(&'static str, &'static str)]) -> http::response::Parts {
    let builder = Response::builder().status(status);
    fields.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value)).body(()).unwrap().into_parts().0
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn interim_responses_are_written_for_http_1_1_without_framing_and_never_a_101() {
    let hints =
        response(103, &[("link", "</a>"), ("content-length", "5"), ("connection", "close"), ("upgrade", "h2c")]);
    let written = |parts: &http::response::Parts, version| text(|out| write_interim(parts, version, out));
    assert_eq!(written(&hints, Version::HTTP_11), "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    assert_eq!(written(&hints, Version::HTTP_10), "");
    for status in [101, 200, 500] {
        assert_eq!(written(&response(status, &[]), Version::HTTP_11), "", "{status}");
    }
}

#[test]
fn a_101_is_written_if_the_client_asked_for_what_it_switches_to() {
    let asked = request(&[("connection", "keep-alive, Upgrade"), ("upgrade", "foo/2, WebSocket")]);
    let lies =
        [("upgrade", "websocket"), ("connection", "close"), ("content-length", "7"), ("sec-websocket-accept", "x")];
    let written = text(|out| write_switching(&asked, &response(101, &lies), "today", out).unwrap());
    let expected = "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\ndate: today\r\n\
                    connection: upgrade\r\nupgrade: websocket\r\n\r\n";
    assert_eq!(written, expected);
    let mut old = request(&[("connection", "upgrade"), ("upgrade", "websocket")]);
    old.version = Version::HTTP_10;
    let switch = response(101, &[("upgrade", "websocket")]);
    for (request, response) in [
        (&request(&[]), &switch),
        (&old, &switch),
        (&request(&[("upgrade", "websocket")]), &switch),
        (&request(&[("connection", "upgrade")]), &switch),
        (&request(&[("connection", "upgrade"), ("upgrade", "websocket/13")]), &switch),
        (&asked, &response(101, &[])),
        (&asked, &response(101, &[("upgrade", "")])),
        (&asked, &response(101, &[("upgrade", "websocket, h2c")])),
        (&asked, &response(200, &[("upgrade", "websocket")])),
    ] {
        let mut out = Vec::new();
        let error = write_switching(request, response, "", &mut out).unwrap_err();
        assert_eq!((error.status, out.len()), (StatusCode::INTERNAL_SERVER_ERROR, 0), "{request:?} {response:?}");
    }
}

#[test]
fn trailers_are_for_who_asks_for_them() {
    for (fields, takes) in [
        (&[][..], false),
        (&[("te", "trailers")], true),
        (&[("te", "gzip;q=0.5, Trailers")], true),
        (&[("te", "gzip")], false),
        (&[("te", "xtrailers")], false),
        (&[("trailer", "trailers")], false),
    ] {
        assert_eq!(takes_trailers(&request(fields)), takes, "{fields:?}");
    }
    let mut old = request(&[("te", "trailers")]);
    old.version = Version::HTTP_10;
    assert!(!takes_trailers(&old));
}

#[test]
fn trailers_cannot_say_what_only_a_head_may() {
    let mut trailers = HeaderMap::new();
    for name in [
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "age",
        "authorization",
        "cache-control",
        "content-encoding",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "expires",
        "host",
        "if-match",
        "if-none-match",
        "if-range",
        "location",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "range",
        "retry-after",
        "set-cookie",
        "vary",
        "warning",
        "www-authenticate",
    ] {
        trailers.append(name, HeaderValue::from_static("1"));
    }
    assert_eq!(text(|out| write_last_chunk(&trailers, out)), "0\r\n\r\n");
    trailers.append("x-checksum", HeaderValue::from_static("1"));
    trailers.append("x-checksum", HeaderValue::from_static("2"));
    assert_eq!(text(|out| write_last_chunk(&trailers, out)), "0\r\nx-checksum: 1\r\nx-checksum: 2\r\n\r\n");
}
