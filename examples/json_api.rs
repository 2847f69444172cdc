//! A JSON interface: routes, JSON in and out, rules for each user, and refusals in JSON too.
//!
//! Everybody who is let in reads and writes notes. A note is deleted by its author, or by `admin`, who also may see `/stats`.
//!
//! `cargo run --example json_api`, then `curl --cacert … --cert … --key … https://localhost:4433/notes -d '{"text":"hello"}'`.

use mtls_min::http::{HeaderValue, StatusCode, header};
use mtls_min::log::AccessLog;
use mtls_min::{Policy, RefusedRequest, Request, Response, Server, ServerCertificate, Trust, response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

/// Who may go where. The server applies it before a handler is called: a path that has no line here gets 403, not the 404 of
/// the handler.
const RULES: &str = "
/notes    any
/stats    cn:admin
/health   anyone     # without a certificate too
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4433".to_owned());
    let certificate = ServerCertificate::from_pem_files("certs/server-crt.pem", "certs/server-key.pem")?;
    let trust = Trust::builder().pem_file("certs/ca.pem").policy(Policy::parse(RULES, "RULES")?).build()?;
    let server = Server::builder(TcpListener::bind(address)?, certificate, trust)
        .refusal_page(refused)
        .observer(AccessLog::text(std::io::stderr())?)
        .build()?;
    eprintln!("listening on {}", server.local_addrs()[0]);
    let notes = Notes::default();
    server.serve(move |request| notes.answer(request).unwrap_or_else(|(status, why)| failed(status, why)))?;
    Ok(())
}

/// The answer to whom the server refuses: the reason is for the operator, the id finds it in the log.
fn refused(refused: &RefusedRequest<'_>) -> Response {
    let error = if refused.status() == StatusCode::FORBIDDEN { "not allowed" } else { "no valid client certificate" };
    json(refused.status(), &json!({ "error": error, "request_id": refused.request_id() }))
}

/// By their numbers.
#[derive(Default)]
struct Notes(Mutex<BTreeMap<u64, Note>>);

struct Note {
    /// The subject of the author's certificate.
    author: String,
    text: String,
}

/// A status, and what is wrong.
type Failure = (StatusCode, &'static str);

impl Notes {
    fn answer(&self, request: &mut Request<'_>) -> Result<Response, Failure> {
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (request.method().as_str(), segments.as_slice()) {
            ("GET" | "HEAD", ["health"]) => Ok(json(StatusCode::OK, &json!({ "up": true }))),
            ("GET" | "HEAD", ["stats"]) => Ok(json(StatusCode::OK, &json!({ "notes": self.lock().len() }))),
            ("GET" | "HEAD", ["notes"]) => Ok(self.list(request)),
            ("POST", ["notes"]) => self.add(request),
            ("DELETE", ["notes", number]) => self.delete(request, number),
            (_, ["health" | "stats" | "notes"] | ["notes", _]) => {
                Err((StatusCode::METHOD_NOT_ALLOWED, "this path has no such method"))
            }
            _ => Err((StatusCode::NOT_FOUND, "no such path")),
        }
    }

    /// All notes; with `?author=SUBJECT` those of one author.
    fn list(&self, request: &Request<'_>) -> Response {
        let author = request.query().find(|(name, _)| name == "author").map(|(_, author)| author);
        let notes = self.lock();
        let wanted = notes.iter().filter(|(_, note)| author.as_ref().is_none_or(|author| *author == note.author));
        let list: Vec<Value> = wanted
            .map(|(number, note)| json!({ "number": number, "author": note.author, "text": note.text }))
            .collect();
        json(StatusCode::OK, &list.into())
    }

    fn add(&self, request: &mut Request<'_>) -> Result<Response, Failure> {
        let author = request.peer().subject();
        let body = request.body_bytes(64 * 1024).map_err(|error| (error.status(), "the body cannot be read"))?;
        let note: Value = serde_json::from_slice(&body).map_err(|_| (StatusCode::BAD_REQUEST, "this is not JSON"))?;
        let text = note["text"].as_str().ok_or((StatusCode::UNPROCESSABLE_ENTITY, "a note needs a text"))?.to_owned();
        let mut notes = self.lock();
        let number = notes.last_key_value().map_or(1, |(last, _)| last + 1);
        notes.insert(number, Note { author: author.to_owned(), text });
        let mut response = json(StatusCode::CREATED, &json!({ "number": number }));
        let location = HeaderValue::try_from(format!("/notes/{number}")).expect("digits are valid in a field");
        response.headers_mut().insert(header::LOCATION, location);
        Ok(response)
    }

    fn delete(&self, request: &Request<'_>, number: &str) -> Result<Response, Failure> {
        let number: u64 = number.parse().map_err(|_| (StatusCode::NOT_FOUND, "no such note"))?;
        let mut notes = self.lock();
        let note = notes.get(&number).ok_or((StatusCode::NOT_FOUND, "no such note"))?;
        let client = request.peer();
        if client.common_name() != Some("admin") && client.subject() != note.author {
            return Err((StatusCode::FORBIDDEN, "only its author deletes a note"));
        }
        notes.remove(&number);
        Ok(json(StatusCode::OK, &json!({ "deleted": number })))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Note>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(status: StatusCode, why: &str) -> Response {
    json(status, &json!({ "error": why }))
}

fn json(status: StatusCode, value: &Value) -> Response {
    response::json_bytes(status, value.to_string())
}
