//! Chunked bodies.

use super::*;

#[test]
fn chunks_are_decoded_up_to_their_end() {
    let coded = b"3\r\nabc\r\n00A;x=y;z=\"q\\\"\";w\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\nGET";
    let (body, consumed, done) = decode_all(coded, 1).unwrap();
    assert_eq!((&body[..], consumed, done), (&b"abc0123456789"[..], coded.len() - 3, true));
}

/// RFC 9112, section 7.1.1, and RFC 9110, section 5.6.3.
#[test]
fn white_space_may_stand_around_the_signs_of_a_chunk_extension() {
    for extension in
        ["; x", " ;x", " \t ;\t x", ";x =y", ";x= y", ";x = \"y \\\" z\"", " ; x = y ; z ; w = \"\"", "; ieof"]
    {
        let coded = format!("3{extension}\r\nabc\r\n0{extension}\r\n\r\n");
        let (body, consumed, done) = decode_all(coded.as_bytes(), 1).unwrap();
        assert_eq!((&body[..], consumed, done), (&b"abc"[..], coded.len(), true), "{extension:?}");
    }
}

/// RFC 9112, section 7.1: `chunk-size` is `1*HEXDIG`, `last-chunk` begins with `1*"0"`.
#[test]
fn a_chunk_size_may_begin_with_zeros() {
    for zeros in [1, 13, 14, 15, 16, 17, 100, 500] {
        let zeros = "0".repeat(zeros);
        let coded = format!("{zeros}A\r\n0123456789\r\n{zeros}\r\n\r\n");
        let (body, consumed, done) = decode_all(coded.as_bytes(), 1).unwrap();
        assert_eq!((&body[..], consumed, done), (&b"0123456789"[..], coded.len(), true));
    }
    let line = |length: usize| format!("{:0>length$}\r\na\r\n0\r\n\r\n", 1);
    assert!(decode_all(line(511).as_bytes(), 64).is_ok());
    assert!(decode_all(line(512).as_bytes(), 64).is_err());
    let many = |digits: usize, number: usize| format!("{:0>digits$}\r\na\r\n", 1).repeat(number) + "0\r\n\r\n";
    assert!(decode_all(many(16, 5000).as_bytes(), 64).is_ok());
    assert!(decode_all(many(48, 128).as_bytes(), 64).is_ok());
    assert!(
        decode_all(many(48, 129).as_bytes(), 64).is_err(),
        "more than a number needs has a limit for the whole body"
    );
}

#[test]
fn h1_chunks_that_could_be_read_in_two_ways_are_refused() {
    for coded in [
        "0x3\r\nabc\r\n",
        "+3\r\nabc\r\n",
        "-3\r\nabc\r\n",
        " 3\r\nabc\r\n",
        "3 \r\nabc\r\n",
        "\r\nabc\r\n",
        "3\nabc\r\n",
        "3\r\nabcd\r\n",
        "3\r\nabc\n",
        "3\r\nabc\rx",
        "g\r\n",
        "11111111111111111\r\n",
        "00000000000000000011111111111111111\r\n",
        "0000000000000000000x3\r\n",
        "3 3\r\nabc\r\n",
        "3\t\r\nabc\r\n",
        "3 x\r\nabc\r\n",
        "3;\r\nabc\r\n",
        "3 ; \r\nabc\r\n",
        "3;;x\r\nabc\r\n",
        "3; ;x\r\nabc\r\n",
        "3;x \r\nabc\r\n",
        "3;x=y \r\nabc\r\n",
        "3;x=\"y\" \r\nabc\r\n",
        "3;x = \r\nabc\r\n",
        "3;x y\r\nabc\r\n",
        "3;x=y z\r\nabc\r\n",
        "3;x=\"y\"z\r\nabc\r\n",
        "3;x=\"y\\\r\nabc\r\n",
        "3\u{b};x\r\nabc\r\n",
        "3\u{a0};x\r\nabc\r\n",
        "3 \r;x\r\nabc\r\n",
        "3 \n;x\r\nabc\r\n",
        "3; \nx\r\nabc\r\n",
        "3;x= \n\"y\"\r\nabc\r\n",
        "3;x=\r\nabc\r\n",
        "3;x=\"\r\nabc\r\n",
        "3;x\n=1\r\nabc\r\n",
        "3;x\r=1\r\nabc\r\n",
        "3;x\0\r\nabc\r\n",
        "0\r\nX : 1\r\n\r\n",
        "0\r\n X: 1\r\n\r\n",
        "0\r\nX: 1\n\r\n",
        "0\r\nX\r\n\r\n",
        "0\n\r\n",
        "0\r\n\n",
    ] {
        assert!(matches!(decode_all(coded.as_bytes(), 1), Err(rejection) if rejection.status == 400), "{coded:?}");
    }
    let long = |extra: usize| format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(extra));
    assert!(decode_all(long(509).as_bytes(), 64).is_ok());
    assert!(decode_all(long(510).as_bytes(), 64).is_err());
    let many = |number: usize| "1;xxxxxxxxx\r\na\r\n".repeat(number) + "0\r\n\r\n";
    assert!(decode_all(many(400).as_bytes(), 64).is_ok());
    assert!(decode_all(many(420).as_bytes(), 64).is_err(), "extensions have a limit for the whole body");
    let trailers = |number: usize| "0\r\n".to_owned() + &"X: 345678\r\n".repeat(number) + "\r\n";
    assert!(decode_all(trailers(450).as_bytes(), 64).is_ok());
    assert!(decode_all(trailers(460).as_bytes(), 64).is_err());
}

#[test]
fn the_largest_chunk_size_is_no_overflow() {
    let mut decoder = ChunkedDecoder::new();
    let decoded = decoder.decode(b"ffffffffffffffff\r\nx", &mut [0; 4]).unwrap();
    assert_eq!((decoded.produced, decoded.done), (1, false));
}
