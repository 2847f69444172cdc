//! A request on its way to the application: its head, and its body as the client sends it.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;

use super::exchange::{Exchange, Question};
use super::failure::Failure;
use super::fields;
use super::kept::Upstream;
use super::socket::PIECE;
use crate::handler::request::Request;
use crate::http1::{Framing, encode_chunk, write_last_chunk};

/// A body of at most this many bytes is read before anything is sent, and goes with the head, in one write.
const SMALL: u64 = PIECE as u64;

/// How requests are forwarded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// With what the client sent beside its certificate.
    pub(super) chain: bool,
    pub(super) timeout: Duration,
}

/// Sends a request: one whose body is there by and by, without waiting; any other until all of it is sent or the answer begins.
pub(super) fn send(
    upstream: &Arc<Upstream>,
    manner: Manner,
    target: &PathAndQuery,
    request: &mut Request<'_>,
) -> Result<Exchange, Failure> {
    let upgrade = fields::upgrade(request);
    let mut message = fields::head(target, request, &upgrade, &upstream.authority, manner.chain)?;
    let framing = fields::framing(request.headers());
    let has_body = fields::has_body(framing);
    let awaits_continue = has_body && request.body.awaits_continue();
    let mut is_there = !has_body;
    if let Framing::Length(length @ 1..=SMALL) = framing
        && !awaits_continue
    {
        read_whole(request, length, &mut message)?;
        is_there = true;
    }
    let again = request.method().is_idempotent() && !has_body;
    let question = Question { method: request.method().clone(), version: request.version(), upgrade, message, again };
    if is_there {
        return Exchange::begin(upstream, question, manner.timeout);
    }
    let mut exchange = Exchange::open(upstream, question, manner.timeout)?;
    if awaits_continue {
        exchange.wait_for_continue();
    }
    if send_body(&mut exchange, request, framing == Framing::Chunked)? {
        exchange.sent_all();
    }
    exchange.await_answer(Instant::now());
    Ok(exchange)
}

fn read_whole(request: &mut Request<'_>, length: u64, body: &mut Vec<u8>) -> Result<(), Failure> {
    match request.body().take(length).read_to_end(body) {
        Ok(read) if read as u64 == length => Ok(()),
        Ok(_) | Err(_) => Err(Failure::of_client()),
    }
}

/// `false`: the application answers before it has all of it.
fn send_body(exchange: &mut Exchange, request: &mut Request<'_>, chunked: bool) -> Result<bool, Failure> {
    let (mut piece, mut coded) = (vec![0; PIECE], Vec::new());
    while !exchange.is_over() {
        let n = match request.body.read_beside(&mut piece, exchange.as_fd()) {
            Ok(Some(n)) => n,
            Ok(None) => {
                exchange.look();
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(Failure::of_client()),
        };
        match (n, chunked) {
            (0, true) => {
                coded.clear();
                write_last_chunk(&fields::passable_trailers(&request.trailers()), &mut coded);
                exchange.send(&coded)?;
                return Ok(!exchange.is_over());
            }
            (0, false) => return Ok(true),
            (n, true) => {
                coded.clear();
                encode_chunk(&piece[..n], &mut coded);
                exchange.send(&coded)?;
            }
            (n, false) => exchange.send(&piece[..n])?,
        }
    }
    Ok(false)
}
