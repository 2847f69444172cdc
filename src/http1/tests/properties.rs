//! Properties of the parsers, on random input.

use proptest::prelude::*;

use super::*;

/// What a parser makes of a stream of requests without bodies, fed in pieces of these sizes; and whether what it refuses
/// was asked with HEAD.
fn feed(bytes: &[u8], pieces: &[usize]) -> (Vec<String>, Option<(HttpError, Option<bool>)>) {
    let limits = HeadLimits { max_head: 300, max_fields: 6, max_target: 60 };
    let (mut parser, mut spare) = (HeadParser::default(), None);
    let (mut buffer, mut heads) = (Vec::new(), Vec::new());
    let mut rest = bytes;
    let mut sizes = pieces.iter().copied().cycle();
    loop {
        match parser.parse(&buffer, &limits, &mut spare) {
            Ok(Some((head, consumed))) => {
                heads.push(format!("{head:?}"));
                // What is used again shows nothing of what it was used for.
                spare = Some(head.parts);
                spare.iter_mut().for_each(|parts| parts.headers.clear());
                buffer.drain(..consumed);
                continue;
            }
            Ok(None) if rest.is_empty() => return (heads, None),
            Ok(None) => {}
            Err(rejection) => return (heads, Some((rejection, parser.is_head_request(&buffer)))),
        }
        let size = sizes.next().unwrap_or(1).clamp(1, rest.len());
        buffer.extend_from_slice(&rest[..size]);
        rest = &rest[size..];
    }
}

/// Bytes that are likely to be a request, nearly.
fn nearly_requests() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "GET ",
        "POST ",
        "HEAD ",
        "HEAD",
        "/",
        "/a%41?b",
        "/../",
        " HTTP/1.1",
        " HTTP/1.0",
        " HTTP/2.0",
        "\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "Host: a",
        "X: y",
        "Content-Length: 0",
        "Transfer-Encoding: chunked",
        " ",
        ":",
        "\0",
        "é",
        "x",
        "Expect: 100-continue",
        "Connection: close",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_bytes_split_otherwise_are_the_same_requests(
        bytes in nearly_requests(),
        pieces in prop::collection::vec(1_usize..20, 1..8),
    ) {
        let whole = feed(&bytes, &[bytes.len().max(1)]);
        prop_assert_eq!(&feed(&bytes, &pieces), &whole);
        prop_assert_eq!(&feed(&bytes, &[1]), &whole);
    }

    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        feed(&bytes, &[7]);
        let _ = decode_all(&bytes, 3);
    }

    #[test]
    fn what_is_accepted_round_trips(
        method in "[A-Z]{1,10}",
        path in "(/[a-zA-Z0-9._~-]{1,8}){1,4}/?",
        query in prop::option::of("[a-z=&?/]{0,12}"),
        fields in prop::collection::vec(("x-[a-z]{1,8}", "[!-~]([ -~]{0,20}[!-~])?"), 0..8),
        length in prop::option::of(0_u64..1_000_000),
    ) {
        prop_assume!(!matches!(method.as_str(), "CONNECT" | "TRACE") && !path.contains("/./") && !path.contains("/../"));
        prop_assume!(!path.ends_with("/.") && !path.ends_with("/.."));
        let target = query.map_or(path.clone(), |query| format!("{path}?{query}"));
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n");
        for (name, value) in &fields {
            text += &format!("{name}: {value}\r\n");
        }
        if let Some(length) = length {
            text += &format!("Content-Length: {length}\r\n");
        }
        text += "\r\n";
        let head = accepted(&text);
        let mut again = format!("{} {} HTTP/1.1\r\n", head.parts.method, head.parts.uri);
        for (name, value) in &head.parts.headers {
            again += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        let second = accepted(&(again + "\r\n"));
        prop_assert_eq!(head.parts.uri, target.as_str());
        prop_assert_eq!(format!("{:?}", second.parts), format!("{:?}", accepted(&text).parts));
        prop_assert_eq!(head.framing, length.map_or(Framing::None, Framing::Length));
    }

    /// Row H5: what a rule is compared with is what a handler sees, and there is one spelling of it.
    #[test]
    fn h5_a_normal_target_is_its_own_normal_form(target in "/[ -~]{0,12}(%[0-9a-f]{2}){0,3}[ -~]{0,12}") {
        if let Ok(Some((head, _))) = parse(&asking(&target)) {
            let normal = head.parts.uri.to_string();
            prop_assert_eq!(accepted(&asking(&normal)).parts.uri.to_string(), normal.clone());
            let path = normal.split('?').next().unwrap();
            prop_assert_eq!(normal_path(path).unwrap(), path);
            prop_assert_eq!(normal_path(target.split('?').next().unwrap()).unwrap(), path);
        }
    }

    #[test]
    fn chunks_round_trip_however_they_are_cut(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..10),
        step in 1_usize..50,
    ) {
        let mut coded = Vec::new();
        for chunk in &chunks {
            encode_chunk(chunk, &mut coded);
        }
        coded.extend_from_slice(LAST_CHUNK);
        let length = coded.len();
        coded.extend_from_slice(b"GET / HTTP/1.1");
        let (body, consumed, done) = decode_all(&coded, step).unwrap();
        prop_assert_eq!((body, consumed, done), (chunks.concat(), length, true));
    }
}
