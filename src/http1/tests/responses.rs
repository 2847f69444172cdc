//! Heads of responses.

use http::{StatusCode, Version};

use crate::http1::*;

fn written(
    response: http::Response<()>,
    body: BodyLength,
    version: Version,
    head: bool,
    keep: bool,
) -> (String, Transfer, bool) {
    let (parts, ()) = response.into_parts();
    let context = ResponseContext { request_version: version, head_request: head, keep_alive: keep, date: "today" };
    let mut out = Vec::new();
    let (transfer, kept) = write_head(&parts, body, &context, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), transfer, kept)
}

fn response(status: u16, fields: &[(&'static str, &'static str)]) -> http::Response<()> {
    let builder = http::Response::builder().status(status);
    fields.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value)).body(()).unwrap()
}

#[test]
fn responses_are_framed_by_the_server() {
    use BodyLength::{Known, Unknown};
    const V11: Version = Version::HTTP_11;
    const V10: Version = Version::HTTP_10;
    let lies =
        [("content-length", "99"), ("transfer-encoding", "gzip"), ("date", "never"), ("keep-alive", "1"), ("x", "y")];
    let (text, transfer, kept) = written(response(200, &lies), Known(5), V11, false, true);
    assert_eq!(text, "HTTP/1.1 200 OK\r\nx: y\r\ndate: today\r\ncontent-length: 5\r\n\r\n");
    assert_eq!((transfer, kept), (Transfer::Length(5), true));

    let (text, transfer, kept) = written(response(200, &[]), Unknown, V11, false, true);
    assert!(text.contains("transfer-encoding: chunked\r\n") && !text.contains("content-length"));
    assert_eq!((transfer, kept), (Transfer::Chunked, true));

    let (text, transfer, kept) = written(response(200, &[]), Unknown, V10, false, true);
    assert!(text.contains("connection: close\r\n") && !text.contains("chunked"));
    assert_eq!((transfer, kept), (Transfer::UntilClose, false));

    let (text, transfer, _) = written(response(200, &[]), Known(5), V11, true, true);
    assert!(text.contains("content-length: 5\r\n"));
    assert_eq!(transfer, Transfer::None);
    let (text, ..) = written(response(200, &[("content-length", "77")]), Known(0), V11, true, true);
    assert!(text.contains("content-length: 77\r\n"));

    let (text, transfer, _) = written(response(204, &[("content-length", "7")]), Known(5), V11, false, true);
    assert!(!text.contains("content-length"));
    assert_eq!(transfer, Transfer::None);
    let (text, transfer, _) = written(response(304, &[]), Known(0), V11, false, true);
    assert!(!text.contains("content-length"));
    assert_eq!(transfer, Transfer::None);

    let (text, _, kept) = written(response(200, &[("connection", "x, close")]), Known(0), V11, false, true);
    assert!(text.contains("connection: close\r\n") && !kept);
    let (text, _, kept) = written(response(200, &[]), Known(0), V10, false, true);
    assert!(text.contains("connection: keep-alive\r\n") && kept);
    let (text, ..) = written(response(299, &[]), Known(0), V11, false, true);
    assert!(text.starts_with("HTTP/1.1 299 \r\n"));
}

#[test]
fn lengths_are_written_in_full_and_those_of_a_handler_only_if_they_say_one_thing() {
    for length in [0, 9, 10, 99, 100, 12_345, u64::MAX] {
        let (text, ..) = written(response(200, &[]), BodyLength::Known(length), Version::HTTP_11, false, true);
        assert!(text.contains(&format!("\r\ncontent-length: {length}\r\n")), "{text}");
    }
    for (said, length) in [(&["7"][..], 7), (&["7", "7"], 0), (&["+7"], 0), (&[""], 0), (&["007"], 7)] {
        let said: Vec<_> = said.iter().map(|length| ("content-length", *length)).collect();
        let (text, ..) = written(response(200, &said), BodyLength::Known(0), Version::HTTP_11, true, true);
        assert!(text.contains(&format!("\r\ncontent-length: {length}\r\n")), "{said:?}: {text}");
        assert_eq!(text.matches("content-length").count(), 1, "{text}");
    }
}

#[test]
fn an_interim_status_is_no_response() {
    let (parts, ()) = response(101, &[]).into_parts();
    let context =
        ResponseContext { request_version: Version::HTTP_11, head_request: false, keep_alive: true, date: "" };
    let error = write_head(&parts, BodyLength::Known(0), &context, &mut Vec::new()).unwrap_err();
    assert_eq!(error.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn a_field_value_cannot_hold_a_line_end() {
    for value in ["a\r\nX: b", "a\nb", "a\0b"] {
        assert!(http::HeaderValue::from_str(value).is_err());
    }
}
