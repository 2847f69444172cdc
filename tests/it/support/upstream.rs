//! An application behind the gate: plain HTTP/1.1 on a port of its own, which records what it is asked.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use mtls_min::{Builder, Forward, Request, Response};

use super::client::PATIENCE;
use super::pki::Ca;
use super::server::{Running, start_with, trust};

/// A request as the application got it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) line: String,
    /// Names as they came, in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// The number of the connection, from 0 on.
    pub(crate) connection: usize,
}

impl Asked {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a field that stands at most once.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name}: {all:?}");
        all.first().copied()
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.fields.iter().map(|(name, _)| name.as_str()).collect()
    }
}

pub(crate) struct Upstream {
    pub(crate) url: String,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Upstream {
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    #[track_caller]
    pub(crate) fn last(&self) -> Asked {
        self.asked().pop().expect("it was asked")
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// An application that answers each request with these bytes, and keeps the connection.
pub(crate) fn answering(answer: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Upstream {
    scripted(move |stream, asked| {
        let asked = asked?;
        stream.get_mut().write_all(answer(&asked).as_bytes()).ok()
    })
}

/// An application that does this with each request, whose head and body it has read (`None`: it could not be read), until it returns `None`.
pub(crate) fn scripted(
    serve: impl Fn(&mut BufReader<TcpStream>, Option<Asked>) -> Option<()> + Send + Sync + 'static,
) -> Upstream {
    let serve = Arc::new(serve);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&asked);
    let (url, connections) = listening(move |stream, number| {
        let mut stream = BufReader::new(stream);
        loop {
            let mut request = read_request(&mut stream).ok().flatten();
            if let Some(request) = &mut request {
                request.connection = number;
                record.lock().unwrap().push(request.clone());
            }
            let is_over = request.is_none();
            if serve(&mut stream, request).is_none() || is_over {
                return;
            }
        }
    });
    Upstream { url, asked, connections }
}

/// An application that does this with each connection; its address, and how many connections there were.
pub(crate) fn listening(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let (counter, serve) = (Arc::clone(&connections), Arc::new(serve));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_write_timeout(Some(PATIENCE)).unwrap();
            stream.set_nodelay(true).unwrap();
            let number = counter.fetch_add(1, Ordering::SeqCst);
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream, number));
        }
    });
    (url, connections)
}

/// `None`: the connection has ended.
pub(crate) fn read_request(stream: &mut impl BufRead) -> io::Result<Option<Asked>> {
    let Some(mut asked) = read_request_head(stream)? else { return Ok(None) };
    if let Some(length) = asked.field("content-length") {
        asked.body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut asked.body)?;
    } else if asked.field("transfer-encoding") == Some("chunked") {
        loop {
            let size = usize::from_str_radix(&read_line(stream)?, 16).unwrap();
            if size == 0 {
                asked.trailers = read_fields(stream)?;
                break;
            }
            let start = asked.body.len();
            asked.body.resize(start + size, 0);
            stream.read_exact(&mut asked.body[start..])?;
            assert_eq!(read_line(stream)?, "");
        }
    }
    Ok(Some(asked))
}

pub(crate) fn read_request_head(stream: &mut impl BufRead) -> io::Result<Option<Asked>> {
    if stream.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let line = read_line(stream)?;
    Ok(Some(Asked { line, fields: read_fields(stream)?, ..Asked::default() }))
}

fn read_fields(stream: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = read_line(stream)?;
        let Some((name, value)) = line.split_once(": ") else {
            assert_eq!(line, "");
            return Ok(fields);
        };
        fields.push((name.to_ascii_lowercase(), value.to_owned()));
    }
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    stream.take(200_000).read_until(b'\n', &mut line)?;
    let line = String::from_utf8_lossy(&line).into_owned();
    let eof = || io::Error::from(io::ErrorKind::UnexpectedEof);
    line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(eof)
}

/// A response with this body.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A server in front of an application.
pub(crate) fn in_front_of(url: &str) -> (Running, Ca) {
    in_front_with(url, |forward| forward, |builder| builder)
}

pub(crate) fn in_front_with(
    url: &str,
    set: impl FnOnce(Forward) -> Forward,
    change: impl FnOnce(Builder) -> Builder,
) -> (Running, Ca) {
    let ca = Ca::new("ca");
    let forward = set(Forward::to(url).unwrap());
    let answer = move |request: &mut Request<'_>| -> Response { forward.answer(request) };
    (start_with(trust(&ca), change, answer), ca)
}
