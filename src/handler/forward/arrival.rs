//! The body of an answer as it comes from the application.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::fields::passable_trailers;
use super::kept::Upstream;
use super::socket::{Socket, read_more};
use crate::handler::upstream::Arriving;
use crate::http1::BodyDecoder;

pub(super) struct Arrival {
    pub(super) upstream: Arc<Upstream>,
    pub(super) socket: Socket,
    /// What is decoded already, from `offset` on.
    pub(super) ready: Vec<u8>,
    pub(super) offset: usize,
    /// What has come and is not decoded.
    pub(super) received: Vec<u8>,
    pub(super) decoder: BodyDecoder,
    /// The connection can be kept after the body's end: for how long, if the application said so.
    pub(super) keep: Option<Option<Duration>>,
}

impl Arriving for Arrival {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if self.offset < self.ready.len() {
            let n = (&self.ready[self.offset..]).read(output)?;
            self.offset += n;
            return Ok(n);
        }
        self.ready = Vec::new();
        self.offset = 0;
        loop {
            if !self.received.is_empty() {
                let broken = |error: crate::http1::HttpError| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the application's answer is not acceptable: {}", error.reason),
                    )
                };
                let n = self.decoder.decode(&mut self.received, output).map_err(broken)?;
                if n > 0 {
                    return Ok(n);
                }
            }
            if self.decoder.is_done() || output.is_empty() {
                return Ok(0);
            }
            let came = match self.decoder.is_chunked() {
                true => read_more(&self.socket, &mut self.received)?,
                false => {
                    let mut read = Ok(0);
                    let n = self.decoder.read_directly(output, |room| {
                        read = (&*self.socket).read(room);
                        *read.as_ref().unwrap_or(&0)
                    });
                    read?;
                    if n > 0 {
                        return Ok(n);
                    }
                    0
                }
            };
            if came == 0 && !self.decoder.close() {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the application ended the connection before the end of its answer",
                ));
            }
        }
    }

    fn trailers(&mut self) -> Option<HeaderMap> {
        let trailers = passable_trailers(&self.decoder.trailers());
        (!trailers.is_empty()).then_some(trailers)
    }
}

impl AsFd for Arrival {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Arrival {
    /// Not before: until then the socket may be in the poller.
    fn drop(&mut self) {
        if let Some(hint) = self.keep
            && self.decoder.is_done()
            && self.offset == self.ready.len()
            && self.received.is_empty()
        {
            self.upstream.keep(Arc::clone(&self.socket), hint);
        }
    }
}
