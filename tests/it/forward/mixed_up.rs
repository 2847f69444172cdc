//! Many clients, few connections, and an application that fails in every way: no client gets the answer of another.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::client::exchange;
use crate::support::echo::authorised;
use crate::support::upstream::{Asked, in_front_of, ok, scripted};

#[test]
fn no_request_gets_the_answer_of_another_whatever_becomes_of_the_application() {
    const CLIENTS: usize = 64;
    const REQUESTS: usize = 40;
    let upstream = scripted(|stream, asked| {
        let asked = asked?;
        let id = asked.line.split(' ').nth(1)?;
        let (answer, goes_on) = answer(&asked, id);
        stream.get_mut().write_all(answer.as_bytes()).ok()?;
        goes_on.then_some(())
    });
    let (running, ca) = in_front_of(&upstream.url);
    let answered = AtomicUsize::new(0);
    let (running, ca, answered) = (&running, &ca, &answered);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let mut stream = authorised(running, ca);
                for number in 0..REQUESTS {
                    let id = format!("/{client}-{number}");
                    let request = match number % 3 {
                        0 => format!("POST {id} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{id}", id.len()),
                        _ => format!("GET {id} HTTP/1.1\r\nHost: a\r\n\r\n"),
                    };
                    match exchange(&mut stream, request) {
                        Ok(reply) if reply.status == 200 => {
                            assert_eq!((reply.body.as_str(), reply.field("x-id")), (id.as_str(), Some(id.as_str())));
                            answered.fetch_add(1, Ordering::SeqCst);
                            if reply.field("connection").is_none() {
                                continue;
                            }
                        }
                        Ok(reply) => {
                            assert_eq!((reply.status, reply.body.as_str()), (502, "Bad Gateway\n"));
                            if reply.field("connection").is_none() {
                                continue;
                            }
                        }
                        // Cut in the middle of its answer.
                        Err(_) => {}
                    }
                    stream = authorised(running, ca);
                }
            });
        }
    });
    let answered = answered.load(Ordering::SeqCst);
    assert!(answered > CLIENTS * REQUESTS / 2, "{answered}");
    let mut times = HashMap::new();
    for asked in upstream.asked() {
        let body = String::from_utf8(asked.body).unwrap();
        assert!(body.is_empty() || asked.line.contains(&format!(" {body} ")), "{} {body}", asked.line);
        *times.entry(asked.line).or_insert(0) += 1;
    }
    for (line, times) in times {
        assert!(times <= if line.starts_with("POST") { 1 } else { 2 }, "{line}: {times}");
    }
}

/// Mostly a good answer, and whether the connection goes on.
fn answer(asked: &Asked, id: &str) -> (String, bool) {
    let good = ok(id).replace("\r\n\r\n", &format!("\r\nX-Id: {id}\r\n\r\n"));
    let mixed = id.bytes().fold(7_u32, |mixed, byte| mixed.wrapping_mul(31).wrapping_add(byte.into()));
    match (mixed ^ asked.connection as u32) % 20 {
        0 => (String::new(), false),
        1 => (good[..good.len() - 1].to_owned(), false),
        2 => (good[..10].to_owned(), false),
        3 => (good, false),
        4 => (good + &ok("poison"), true),
        5 => (format!("HTTP/1.1 200 OK\r\nX-Id: {id}\r\n\r\n{id}"), false),
        6 => (good.replace("Content-Length", "Content-Length: 1\r\nContent-Length"), true),
        7 => (good.replace("HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n"), false),
        8 => (
            format!(
                "HTTP/1.1 200 OK\r\nX-Id: {id}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{id}\r\n0\r\n\r\n",
                id.len()
            ),
            true,
        ),
        _ => (good, true),
    }
}
