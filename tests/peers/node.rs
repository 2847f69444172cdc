//! What node's https server distinguishes (`authorizationError`), we distinguish too.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

use crate::support::client::{GET, TLS13, config, connect, eventually, exchange};
use crate::support::command::Serving;
use crate::support::files::TempDir;
use crate::support::pki::{self, Ca, HOUR, Holder, self_signed};
use crate::support::server::{start, trust};

/// The application of the usual article.
const SERVER: &str = r#"
const https = require('https'), fs = require('fs');
const options = {
  key: fs.readFileSync('server-key.pem'), cert: fs.readFileSync('server-crt.pem'), ca: fs.readFileSync('ca.pem'),
  requestCert: true, rejectUnauthorized: false,
};
const server = https.createServer(options, (request, response) => {
  const socket = request.socket, none = Object.keys(socket.getPeerCertificate()).length === 0;
  response.end(socket.authorized ? 'authorized' : none ? 'none' : String(socket.authorizationError));
});
server.listen(0, '127.0.0.1', () => console.error('listening on 127.0.0.1:' + server.address().port));
"#;

#[test]
fn every_case_that_node_tells_apart_has_a_code_of_its_own() {
    let ca = Ca::new("ca");
    let dir = TempDir::new();
    dir.write("server.js", SERVER);
    dir.write("ca.pem", ca.pem());
    let server = ca.server();
    dir.write("server-crt.pem", server.pem());
    dir.write("server-key.pem", server.key_pem());
    let node = Serving::start(Path::new("node"), dir.path(), &["server.js"]);

    let now = SystemTime::now();
    let other = Ca::new("other");
    let mut complete = other.client("x");
    complete.chain.push(other.der.clone());
    let mut damaged = ca.client("x");
    let mut der = damaged.chain[0].to_vec();
    *der.last_mut().unwrap() ^= 1;
    damaged.chain[0] = der.into();
    let short = ca.intermediate_with("short", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let mute = ca.intermediate_with("mute", |params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    let for_servers =
        |params: &mut rcgen::CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let cases: Vec<(&str, Option<Holder>)> = vec![
        ("no certificate", None),
        ("expired", Some(ca.client_with("x", |params| params.not_after = (now - HOUR / 2).into()))),
        ("not yet valid", Some(ca.client_with("x", |params| params.not_before = (now + HOUR / 2).into()))),
        ("self-signed", Some(self_signed("x"))),
        ("issuer unknown", Some(other.client("x"))),
        ("complete chain to another root", Some(complete)),
        ("damaged", Some(damaged)),
        ("for servers", Some(ca.client_with("x", for_servers))),
        ("signed by a leaf", Some(Ca::out_of(&ca.client("leaf"), pki::params("leaf")).client("x"))),
        ("too many intermediates", Some(short.intermediate("below").client("x"))),
        ("intermediate may not sign", Some(mute.client("x"))),
        (
            "expired intermediate",
            Some(ca.intermediate_with("i", |p| p.not_after = (now - HOUR / 2).into()).client("x")),
        ),
    ];
    let mut told: BTreeMap<String, BTreeMap<String, &str>> = BTreeMap::new();
    for (case, holder) in &cases {
        let ours = start(trust(&ca));
        assert_eq!(
            exchange(&mut connect(ours.addr, config(holder.as_ref(), &TLS13)), GET).unwrap().status,
            401,
            "{case}"
        );
        let code = ours.seen.codes(1)[0].clone();
        // node resets a connection now and then; what it says when it does answer is what counts.
        let mut nodes = String::new();
        eventually(|| {
            let answer = exchange(&mut connect(node.addr, config(holder.as_ref(), &TLS13)), GET);
            answer.map(|reply| nodes = reply.body).is_ok()
        });
        println!("{case}: node {nodes}, mtls-min {code}");
        assert_ne!(nodes, "authorized", "{case}");
        told.entry(code).or_default().insert(nodes, case);
    }
    for (code, nodes) in &told {
        assert_eq!(nodes.len(), 1, "node tells apart what is all {code} here: {nodes:?}");
    }
    assert!(told.len() >= 10, "{told:?}");
}
