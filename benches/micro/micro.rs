//! Heads, framing and the judge.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use micro::{chunked, decode_chunked, parse_head};
use mtls_min::{Trust, Verdict, judge};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

const SHORT: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

const BROWSERS: &[u8] = b"GET /area/page?tab=2 HTTP/1.1\r\nHost: example.org:4433\r\nConnection: keep-alive\r\n\
    Cache-Control: max-age=0\r\nsec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\nsec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) \
    AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,\
    application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\r\n";

fn heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    for (name, head) in [("short", SHORT), ("a browser's", BROWSERS)] {
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| parse_head(black_box(head))));
    }
}

fn framing(criterion: &mut Criterion) {
    let body = vec![b'x'; 64 * 1024];
    let mut group = criterion.benchmark_group("chunked, 64 KiB");
    group.throughput(Throughput::Bytes(body.len() as u64));
    for size in [100, 4096] {
        let encoded = chunked(&body, size);
        group.bench_function(format!("chunks of {size}"), |bencher| {
            bencher.iter(|| decode_chunked(black_box(&encoded)))
        });
    }
}

fn judging(criterion: &mut Criterion) {
    let ca_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = params.self_signed(&ca_key).expect("a CA");
    let issuer = Issuer::new(params, ca_key);
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "alice");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().expect("a key");
    let chain = [params.signed_by(&key, &issuer).expect("a client").der().clone()];
    let strangers = [params.self_signed(&key).expect("a stranger").der().clone()];
    let trust = Trust::builder().pem(ca.pem(), "CA").build().expect("trust");

    let mut group = criterion.benchmark_group("judge");
    let now = SystemTime::now();
    assert!(matches!(judge(&chain, &trust, now).verdict, Verdict::Authorised(_)));
    group.bench_function("a known client", |bencher| bencher.iter(|| judge(black_box(&chain), &trust, now)));
    let mut earlier = now;
    group.bench_function("a new client", |bencher| {
        bencher.iter(|| {
            // What was found out at a later time does not count.
            earlier -= Duration::from_micros(1);
            judge(black_box(&chain), &trust, earlier)
        });
    });
    group.bench_function("a self-signed certificate", |bencher| {
        bencher.iter(|| judge(black_box(&strangers), &trust, now));
    });
    group.bench_function("no certificate", |bencher| bencher.iter(|| judge(black_box(&[]), &trust, now)));
}

criterion_group!(all, heads, framing, judging);
criterion_main!(all);
