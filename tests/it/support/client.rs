//! A plain client: rustls over a blocking socket. It does not check the server, and sends what it is told to send.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned, SupportedProtocolVersion,
};

use super::pki::Holder;

pub(crate) use rustls::version::{TLS12, TLS13};

pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// No test waits longer than this for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Tls = StreamOwned<ClientConnection, TcpStream>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Lower-case names.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "aws-lc-rs")]
    return Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    #[cfg(not(feature = "aws-lc-rs"))]
    return Arc::new(rustls::crypto::ring::default_provider());
}

/// A configuration that shows `holder`'s chain, whatever is wrong with it, or no chain.
pub(crate) fn config(holder: Option<&Holder>, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let provider = provider();
    let shown = holder.map(|holder| {
        let key = provider.key_provider.load_private_key(holder.key.clone_key()).unwrap();
        Arc::new(CertifiedKey::new(holder.chain.clone(), key))
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous))
        .with_client_cert_resolver(Arc::new(Always(shown)));
    config.resumption = Resumption::in_memory_sessions(16);
    config
}

pub(crate) fn connect(addr: SocketAddr, config: ClientConfig) -> Tls {
    connect_as(addr, Arc::new(config), "localhost")
}

pub(crate) fn connect_as(addr: SocketAddr, config: Arc<ClientConfig>, name: &str) -> Tls {
    let socket = TcpStream::connect(addr).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), socket)
}

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// One `GET /` on a connection of its own.
pub(crate) fn get(
    addr: SocketAddr,
    holder: Option<&Holder>,
    version: &'static SupportedProtocolVersion,
) -> io::Result<Reply> {
    exchange(&mut connect(addr, config(holder, version)), GET)
}

/// Sends bytes, and reads nothing.
pub(crate) fn send(stream: &mut Tls, request: &str) {
    stream.write_all(request.as_bytes()).unwrap();
    stream.flush().unwrap();
}

/// Sends bytes and reads one response.
pub(crate) fn exchange(stream: &mut Tls, request: impl AsRef<[u8]>) -> io::Result<Reply> {
    stream.write_all(request.as_ref())?;
    stream.flush()?;
    read_reply(stream)
}

/// Reads one response: a head, and a body by Content-Length, by chunks, or until the end.
pub(crate) fn read_reply(stream: &mut impl Read) -> io::Result<Reply> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no whole head"));
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let fields: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let mut reply = Reply { status, fields, body: String::new() };
    let body = if let Some(length) = reply.field("content-length") {
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body)?;
        body
    } else if reply.field("transfer-encoding") == Some("chunked") {
        read_chunks(stream)?
    } else if status == 204 || status == 304 || status / 100 == 1 {
        Vec::new()
    } else {
        read_to_end(stream)?
    };
    reply.body = String::from_utf8_lossy(&body).into_owned();
    Ok(reply)
}

fn read_chunks(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// Everything until the connection ends, however it ends.
pub(crate) fn read_to_end(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(all),
            Ok(n) => all.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the connection is still open"));
            }
            Err(_) => return Ok(all),
        }
    }
}

/// Polls until the condition holds.
pub(crate) fn eventually(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "it never happened");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[derive(Debug)]
struct Always(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
