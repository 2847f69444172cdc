//! A program that was written for tiny_http, unchanged.

use std::io::Read;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tiny_http::{Header, Method, Response, Server};

use super::Gate;
use crate::tools::sh;

/// In this process, on a port of its own, until it is dropped.
struct App {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

impl App {
    fn start() -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let of_thread = Arc::clone(&server);
        let thread = thread::spawn(move || {
            for request in of_thread.incoming_requests() {
                respond(request);
            }
        });
        Self { server, thread: Some(thread) }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.server.unblock();
        let _ = self.thread.take().unwrap().join();
    }
}

fn respond(mut request: tiny_http::Request) {
    let name = request.headers().iter().find(|header| header.field.equiv("X-Client-Name"));
    let name = name.map_or("nobody", |header| header.value.as_str()).to_owned();
    let _ = match (request.method(), request.url()) {
        (Method::Get | Method::Head, "/") => request.respond(Response::from_string(format!("hello {name}\n"))),
        // Of no length that it knows: in chunks.
        (Method::Get, "/unknown") => {
            let reader = std::io::repeat(b'x').take(1_000_000);
            request.respond(Response::new(200.into(), Vec::new(), reader, None, None))
        }
        (Method::Post | Method::Put, _) => {
            let mut body = Vec::new();
            request.as_reader().read_to_end(&mut body).unwrap();
            let header = Header::from_bytes("X-Length", body.len().to_string()).unwrap();
            request.respond(Response::from_data(body).with_status_code(201).with_header(header))
        }
        _ => request.respond(Response::empty(404)),
    };
}

#[test]
fn a_tiny_http_program_learns_who_the_client_is() {
    let app = App::start();
    let gate = Gate::before(app.server.server_addr().to_ip().unwrap());
    assert_eq!(gate.curl("-H 'X-Client-Name: root' $O/"), "hello alice\n");
    assert_eq!(gate.curl_of_a_stranger("$O/"), "User is not authorized\n");
    let head = gate.curl("-I $O/").to_lowercase();
    assert!(head.starts_with("http/1.1 200 ok\r\n") && head.contains("\r\ncontent-length: 12\r\n"), "{head}");
    assert_eq!(gate.curl("-w '%{http_code}' $O/other"), "404");
    let twice = gate.curl("-w '%{num_connects}\\n' $O/ $O/");
    assert_eq!(twice, "hello alice\n1\nhello alice\n0\n");
}

#[test]
fn a_tiny_http_program_takes_and_gives_bodies() {
    let app = App::start();
    let gate = Gate::before(app.server.server_addr().to_ip().unwrap());
    gate.dir.write("file", (0..3_000_000_u32).map(|at| (at % 251) as u8).collect::<Vec<_>>());
    for options in ["", "-H 'Transfer-Encoding: chunked'", "-H 'Expect: 100-continue'", "-0 --no-alpn"] {
        let status = gate.curl(&format!("{options} -T file -o back -w '%{{http_code}}' $O/"));
        assert_eq!(status, "201", "{options}");
        sh(gate.dir.path(), "cmp file back");
    }
    assert_eq!(gate.curl("-w '%{http_code} %{size_download}' -o /dev/null $O/unknown"), "200 1000000");
}
