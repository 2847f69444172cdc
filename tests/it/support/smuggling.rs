//! Fields and bodies by which requests are smuggled (row H1 of the immunity matrix).

/// What may come after `POST / HTTP/1.1` and `Host`, and is answered 400. Behind each, another request could be hidden.
pub(crate) const SMUGGLING: &[&str] = &[
    "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "Content-Length: +0\r\n\r\n",
    "Content-Length: 0x0\r\n\r\n",
    "Content-Length: 0,0\r\n\r\n",
    "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "X: a\r\n folded\r\n\r\n",
    "X : a\r\n\r\n",
    "X: a\nY: b\r\n\r\n",
    "X: a\rb\r\n\r\n",
    "X: a\0b\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n1 \n;a\r\na\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n1; a \r\na\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n00000000000000000fffffffffffffffff\r\na\r\n0\r\n\r\n",
];
