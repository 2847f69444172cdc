//! When TLS fails, the operator is told why and how to repair it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mtls_min::{Request, Response, Stopped};
use rcgen::CustomExtension;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use crate::support::client::{
    GET, PATIENCE, TLS13, VERSIONS, config, connect, connect_as, eventually, exchange, get, provider,
};
use crate::support::pki::{self, Ca, Holder};
use crate::support::server::{Running, start, start_as, start_with, trust};

/// Waits for an event that has these parts.
fn told(running: &Running, parts: &[&str]) {
    let is_told = || running.seen.events().iter().any(|event| parts.iter().all(|part| event.contains(part)));
    let end = Instant::now() + PATIENCE;
    while !is_told() {
        assert!(Instant::now() < end, "{parts:?} is not told: {:#?}", running.seen.events());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends these bytes, and reads until the server has nothing more to say.
fn send(running: &Running, bytes: &[u8]) {
    let mut socket = TcpStream::connect(running.addr).unwrap();
    socket.write_all(bytes).unwrap();
    let _ = socket.shutdown(std::net::Shutdown::Write);
    let _ = socket.read_to_end(&mut Vec::new());
}

/// A client that trusts `roots` and no other.
fn distrustful(roots: &[&Ca], version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut store = RootCertStore::empty();
    roots.iter().for_each(|root| store.add(root.der.clone()).unwrap());
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).unwrap();
    Arc::new(builder.with_root_certificates(store).with_no_client_auth())
}

fn failed(running: &Running, code: &str, words: &str) {
    let code = format!("code: \"{code}\"");
    told(running, &["HandshakeFailed", &code, words]);
}

#[test]
fn a_client_that_does_not_trust_the_server_is_called_that() {
    let (ca, server_ca) = (Ca::new("ca"), Ca::new("server CA"));
    for version in VERSIONS {
        let running =
            start_as(&server_ca, trust(&ca), |builder| builder, |_: &mut Request<'_>| Response::new("served".into()));
        // Another CA, then the right one and another name.
        for (config, name, alert) in [
            (distrustful(&[&ca], version), "localhost", "unknown_ca"),
            (distrustful(&[&server_ca], version), "example.org", "bad_certificate"),
        ] {
            assert!(exchange(&mut connect_as(running.addr, config, name), GET).is_err());
            let words = format!("the client does not trust the server's certificate (alert {alert})");
            failed(&running, "server_not_trusted", &words);
            told(&running, &[&words, "curl --cacert ca.pem", "import ca.pem as an authority"]);
        }
        let fine = distrustful(&[&server_ca], version);
        assert_eq!(exchange(&mut connect_as(running.addr, fine, "localhost"), GET).unwrap().status, 401);
        assert_eq!(running.seen.events().len(), 2);
    }
}

/// RFC 8446, section 6.2, and the older alerts of RFC 5246: whichever alert the client sends last.
#[test]
fn what_a_client_says_at_its_end_is_told() {
    let ca = Ca::new("ca");
    for (number, code, words) in [
        (0, "client_gave_up", "(alert close_notify)"),
        (40, "no_common_cipher", "(alert handshake_failure)"),
        (42, "server_not_trusted", "(alert bad_certificate)"),
        (43, "server_unsuitable", "(alert unsupported_certificate)"),
        (44, "server_revoked", "(alert certificate_revoked)"),
        (45, "server_expired", "(alert certificate_expired)"),
        (46, "server_not_trusted", "(alert certificate_unknown)"),
        (48, "server_not_trusted", "(alert unknown_ca)"),
        (70, "no_common_version", "(alert protocol_version)"),
        (80, "alert", "(alert internal_error)"),
        (90, "client_gave_up", "(alert user_canceled)"),
        (200, "alert", "(alert 200)"),
    ] {
        let running = start(trust(&ca));
        send(&running, &[21, 3, 3, 0, 2, 2, number]);
        failed(&running, code, words);
    }
}

/// Some clients do this with a server that they do not trust.
#[test]
fn a_client_that_leaves_when_it_has_seen_the_certificate_is_told_and_one_that_tries_the_port_is_not() {
    let ca = Ca::new("ca");
    for version in VERSIONS {
        let running = start(trust(&ca));
        drop(TcpStream::connect(running.addr).unwrap());
        let mut stream = connect(running.addr, config(None, version));
        stream.conn.write_tls(&mut stream.sock).unwrap();
        stream.sock.read_exact(&mut [0; 64]).unwrap();
        drop(stream);
        failed(&running, "client_left", "after it was sent the server's certificate");
        assert_eq!(running.seen.events().len(), 1);
    }
}

/// A ClientHello (RFC 8446, section 4.1.2) in a record.
fn hello(version: [u8; 2], cipher_suites: &[u8], extensions: &[u8]) -> Vec<u8> {
    let prefixed = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let extensions = if extensions.is_empty() { Vec::new() } else { prefixed(extensions) };
    let body = [&version[..], &[7; 32], &[0], &prefixed(cipher_suites), &[1, 0], &extensions].concat();
    let handshake = [&[1, 0][..], &prefixed(&body)].concat();
    [&[22, 3, 1][..], &prefixed(&handshake)].concat()
}

#[test]
fn clients_with_which_nothing_is_in_common_are_told_apart() {
    let ca = Ca::new("ca");
    const RSA_AES128_CBC: &[u8] = &[0x00, 0x2f];
    const ECDHE_ECDSA_AES128_GCM: &[u8] = &[0xc0, 0x2b];
    // supported_groups: secp256r1, or secp521r1; signature_algorithms: ecdsa_secp256r1_sha256, or ecdsa_sha1.
    let extensions = |group: u8, signature: [u8; 2]| {
        [&[0, 10, 0, 4, 0, 2, 0, group][..], &[0, 13, 0, 4, 0, 2], &signature, &[0, 11, 0, 2, 1, 0], &[0, 23, 0, 0]]
            .concat()
    };
    let cases = [
        (hello([3, 1], RSA_AES128_CBC, &[]), "no_common_version", "no version of TLS that this server speaks"),
        (hello([3, 2], RSA_AES128_CBC, &[]), "no_common_version", "no version of TLS that this server speaks"),
        (hello([3, 3], RSA_AES128_CBC, &extensions(23, [4, 3])), "no_common_cipher", "no cipher suite"),
        (hello([3, 3], ECDHE_ECDSA_AES128_GCM, &extensions(25, [4, 3])), "no_common_cipher", "no key exchange"),
        (hello([3, 3], ECDHE_ECDSA_AES128_GCM, &extensions(23, [2, 3])), "no_common_cipher", ""),
        (hello([3, 3], ECDHE_ECDSA_AES128_GCM, &[]), "no_common_cipher", "cannot check signatures"),
    ];
    for (bytes, code, words) in cases {
        let running = start(trust(&ca));
        send(&running, &bytes);
        failed(&running, code, words);
    }
    // RFC 7301, section 3.2.
    let running = start(trust(&ca));
    let mut h2 = config(None, &TLS13);
    h2.alpn_protocols = vec![b"h2".to_vec()];
    assert!(exchange(&mut connect(running.addr, h2), GET).is_err());
    failed(&running, "no_common_protocol", "http/1.1 is not among them");
}

#[test]
fn what_is_not_tls_is_called_that() {
    let ca = Ca::new("ca");
    for bytes in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], &[0; 300], b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10"] {
        let running = start(trust(&ca));
        send(&running, bytes);
        failed(&running, "not_tls", "the client does not speak TLS");
    }
    let running = start(trust(&ca));
    send(&running, b"GET / HTTP/1.1\r\n\r\n");
    told(&running, &["PlainHttp"]);
    // TLS records with nonsense in them.
    let mut nonsense = hello([3, 3], &[0xc0, 0x2b], &[]);
    nonsense[5] = 99;
    send(&running, &nonsense);
    failed(&running, "protocol_error", "the client breaks the TLS protocol: ");
}

#[test]
fn a_client_without_the_key_of_its_certificate_is_told_and_so_is_one_that_shows_no_certificate_at_all() {
    let ca = Ca::new("ca");
    for version in VERSIONS {
        let running = start(trust(&ca));
        let stolen = Holder { key: pki::private(&pki::key()), ..ca.client("alice") };
        assert!(get(running.addr, Some(&stolen), version).is_err());
        failed(&running, "possession_not_proven", "does not fit the key of its certificate");
        for garbage in [&b"nonsense"[..], b"\x30\x03\x02\x01\x01"] {
            let running = start(trust(&ca));
            let unreadable = Holder { chain: vec![CertificateDer::from(garbage.to_vec())], ..ca.client("alice") };
            assert!(get(running.addr, Some(&unreadable), version).is_err());
            failed(&running, "malformed", "code: Malformed");
        }
    }
}

/// rustls holds 64 KiB of a message: a little less than that fits, with the records around it, and what does not fit is reported.
#[test]
fn d3_a_chain_that_is_too_long_for_the_handshake_is_told() {
    let ca = Ca::new("ca");
    let heavy = |weight: usize| {
        let weight = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![0; weight]);
        ca.client_with("heavy", |params| params.custom_extensions = vec![weight])
    };
    for version in VERSIONS {
        let running = start(trust(&ca));
        assert_eq!(get(running.addr, Some(&heavy(60_000)), version).unwrap().status, 200);
        for weight in [65_000, 65_100, 65_200, 65_300, 66_000, 70_000, 200_000] {
            let running = start(trust(&ca));
            match get(running.addr, Some(&heavy(weight)), version) {
                Ok(reply) => assert!(reply.status == 200 && weight < 65_300, "{weight}"),
                Err(_) => failed(&running, "chain_too_long", "code: ChainTooLong"),
            }
        }
    }
}

#[test]
fn tls_that_fails_long_after_the_handshake_is_not_called_a_handshake() {
    let ca = Ca::new("ca");
    // A record of application data that is not encrypted.
    let forged = [&[23, 3, 3, 0, 32][..], &[9; 32]].concat();
    for version in VERSIONS {
        let begun = Arc::new(AtomicBool::new(false));
        let reading = Arc::clone(&begun);
        let running = start_with(
            trust(&ca),
            |builder| builder,
            move |request: &mut Request<'_>| {
                reading.store(request.method() == "POST", Ordering::SeqCst);
                let mut body = Vec::new();
                let _ = request.body().read_to_end(&mut body);
                Response::new("read".into())
            },
        );
        let mut stream = connect(running.addr, config(Some(&ca.client("alice")), version));
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
        stream.sock.write_all(&forged).unwrap();
        told(&running, &["SessionFailed", "phase: Idle", "code: \"protocol_error\"", "damaged or forged"]);
        drop(stream);

        let mut stream = connect(running.addr, config(Some(&ca.client("alice")), version));
        stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf").unwrap();
        stream.flush().unwrap();
        eventually(|| begun.load(Ordering::SeqCst));
        stream.sock.write_all(&forged).unwrap();
        told(&running, &["SessionFailed", "phase: Body", "code: \"protocol_error\""]);
        assert!(!running.seen.events().iter().any(|event| event.contains("HandshakeFailed")));
        // TLS takes no answer after its alert; no worker tries for ever.
        eventually(|| running.seen.requests.lock().unwrap().len() == 2);
        assert_eq!(running.seen.requests.lock().unwrap()[1], (400, "CN=alice".to_owned()));
        drop(stream);
        assert_eq!(running.stop(), Stopped::Drained);
    }
}

/// rustls takes no answer after its alert. A worker that offered it again and again would serve nobody else.
#[test]
fn d11_forged_records_in_bodies_hold_no_worker() {
    let ca = Ca::new("ca");
    let workers = 2;
    for version in VERSIONS {
        let begun = Arc::new(AtomicUsize::new(0));
        let reading = Arc::clone(&begun);
        let running = start_with(
            trust(&ca),
            |builder| builder.workers(workers),
            move |request: &mut Request<'_>| {
                reading.fetch_add(1, Ordering::SeqCst);
                let _ = request.body().read_to_end(&mut Vec::new());
                Response::new("read".into())
            },
        );
        let forged = [&[23, 3, 3, 0, 32][..], &[9; 32]].concat();
        let held: Vec<_> = (1..=workers * 2)
            .map(|nth| {
                let mut stream = connect(running.addr, config(Some(&ca.client("mallory")), version));
                stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf").unwrap();
                stream.flush().unwrap();
                eventually(|| begun.load(Ordering::SeqCst) == nth);
                stream.sock.write_all(&forged).unwrap();
                stream
            })
            .collect();
        eventually(|| running.seen.requests.lock().unwrap().len() == held.len());
        assert_eq!(get(running.addr, Some(&ca.client("alice")), version).unwrap().status, 200);
        drop(held);
        assert_eq!(running.stop(), Stopped::Drained);
    }
}
