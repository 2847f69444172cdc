//! The target of a request: a path has one normal form.

use http::Method;

use super::*;

/// Row H5: a path means one thing, or it is refused.
#[test]
fn h5_paths_are_normal_or_400() {
    for (target, normal) in [
        ("/admin", "/admin"),
        ("/%61dmin", "/admin"),
        ("/a%2dB", "/a-B"),
        ("/a%c3%a9", "/a%C3%A9"),
        ("/a%20b", "/a%20b"),
        ("/a/", "/a/"),
        ("/?x=//..%2f", "/?x=//..%2f"),
        ("https://a.test/admin", "/admin"),
        ("HTTPS://A.TEST:443/admin", "/admin"),
        ("https://a.test", "/"),
        ("/a%40b%2B%3b%2A", "/a@b+;*"),
        ("/a%25b", "/a%25b"),
        ("/posts/[id].js", "/posts/%5Bid%5D.js"),
        ("/a|b{c}^`", "/a%7Cb%7Bc%7D%5E%60"),
        ("/a%7cb%7bc%7d%5e%60", "/a%7Cb%7Bc%7D%5E%60"),
        ("/a%3Fb%23", "/a%3Fb%23"),
        ("/a%22%3c%3E", "/a%22%3C%3E"),
        ("https://a.test?x", "/?x"),
        ("https://a.test:?x=https://b.test", "/?x=https://b.test"),
        ("https://a.test:443", "/"),
        ("/...", "/..."),
        ("/a;b=c,d", "/a;b=c,d"),
        ("/...;x/..a;y/", "/...;x/..a;y/"),
    ] {
        assert_eq!(accepted(&asking(target)).parts.uri, normal, "{target}");
    }
    for target in [
        "//admin",
        "/a//b",
        "/x/../admin",
        "/./admin",
        "/..",
        "/.",
        "/x/..;/admin",
        "/x/.;y=z/admin",
        "/x/%2e%2e%3b/admin",
        "/..;",
        "/;/admin",
        "/x/%3By/admin",
        "/;",
        "/x/%2e%2e/admin",
        "/%2E",
        "/admin%2f",
        "/admin%2F..",
        "/a%5cb",
        "/a\\b",
        "/a%00",
        "/a%0a",
        "/a%7f",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a#b",
        "/a\"b",
        "/a<b",
        "/a>b",
        "/a|b\\c",
        "/[/../]",
        "/|//|",
        "/a|%2f",
        "/[%",
        "https://?x",
        "https://#x",
        "https://a.test#x",
        "https://a.test?x#y",
        "https://a.test\\x",
        "https://a.test/a//b",
        "https:?x",
        "https:/a",
        "/?a#b",
        "/?a b",
        "http://a.test",
        "https://",
        "admin",
        "*",
        "?a",
        "https://b.test/",
        "https://u@a.test/",
        "https:///",
        "https://a.test:444/",
        "ftp://a.test/",
        "a.test:443",
    ] {
        assert_eq!(status(&asking(target)), 400, "{target}");
    }
    assert_eq!(accepted("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").parts.uri, "*");
}

/// RFC 9112, section 3.2, and RFC 3986, section 3.4: what is in a query is for the application to read.
#[test]
fn a_query_passes_as_it_was_sent() {
    let uri = |query: &str| accepted(&asking(&format!("/a?{query}"))).parts.uri;
    for query in ["", "?", "q=100%", "%zz", "%", "%%%", "%2", "%00%0d%0a%2f%5C", "//../.", "[]={b|c}^`\\", "q=%7c|"] {
        assert_eq!(uri(query).query(), Some(query));
        assert_eq!(uri(query).path(), "/a");
    }
    for byte in (b'!'..=b'~').filter(|byte| !b"#\"<>".contains(byte)) {
        let query = char::from(byte).to_string();
        assert_eq!(uri(&query).query(), Some(query.as_str()));
    }
    assert_eq!(uri("\"<>"), "/a?%22%3C%3E", "the type that holds it has no room for them");
    for query in ["#", "x#y", "a b", "\u{e9}", "a\tb", "a\u{7f}"] {
        assert_eq!(status(&asking(&format!("/a?{query}"))), 400, "{query}");
    }
}

#[cfg(feature = "cli")]
#[test]
fn h5_check_and_the_policy_see_the_path_that_a_handler_sees() {
    for (target, path) in
        [("/posts/[id]?x", "/posts/%5Bid%5D"), ("/a%7cb", "/a%7Cb"), ("/%61", "/a"), ("https://a.test?x", "/")]
    {
        assert_eq!(seen_path(&Method::GET, target, &HeadLimits::default()).unwrap(), path);
        assert_eq!(normal_path(path).unwrap(), path);
    }
    assert_eq!(normal_path("/posts/[id]").unwrap(), "/posts/%5Bid%5D");
    for bad in ["/a\\b", "/a#b", "//", "?x", "\u{e9}"] {
        assert!(seen_path(&Method::GET, bad, &HeadLimits::default()).is_err() && normal_path(bad).is_err(), "{bad}");
    }
}
