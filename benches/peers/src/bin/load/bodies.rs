//! Large bodies, one after another over one connection, and how fast their encryption alone is.

use std::hint::black_box;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use peers::Failed;
use rustls::ClientConfig;

use super::{connect, print, read_response};

pub(super) fn run(
    up: bool,
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    bytes: usize,
    count: usize,
) -> Result<(), Failed> {
    let mut stream = connect(address, config, true)?;
    let body = vec![0; if up { bytes } else { 0 }];
    let begun = Instant::now();
    for _ in 0..count {
        match up {
            true => {
                write!(stream, "POST /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n")?;
                stream.write_all(&body)?;
            }
            false => write!(stream, "GET /{bytes} HTTP/1.1\r\nHost: localhost\r\n\r\n")?,
        }
        match read_response(&mut stream)? {
            200 => {}
            status => return Err(format!("answered {status}").into()),
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    print(&format!("{{\"bytes\":{},\"seconds\":{seconds}}}", bytes * count));
    Ok(())
}

/// Megabytes for a second of CPU time, in records as large as those of TLS.
pub(super) fn aead(megabytes: usize) -> Result<(), Failed> {
    const RECORD: usize = 16 * 1024;
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16]).map_err(|_| "no such key")?);
    let mut record = vec![0; RECORD];
    let records = megabytes * 1_000_000 / RECORD;
    let begun = cpu();
    for number in 0..records {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let sealed = key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record);
        let _tag = black_box(sealed.map_err(|_| "cannot encrypt")?);
    }
    print(&format!("{{\"bytes\":{},\"seconds\":{}}}", records * RECORD, cpu() - begun));
    Ok(())
}

/// Seconds of CPU time of this thread.
pub(super) fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
