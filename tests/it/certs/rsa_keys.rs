//! RSA keys, which only one of the crypto libraries makes.

use mtls_min::Trust;

use crate::support::certs::{done, holder, initialised};
use crate::support::client::{VERSIONS, get};
use crate::support::server::start;

#[test]
fn an_rsa_key_stays_one_when_it_is_renewed() {
    let dir = initialised();
    for (bits, octets) in [("2048", 256), ("4096", 512)] {
        done(&dir, &format!("client old{bits} --rsa {bits}"));
        for renewed in [false, bits == "2048"] {
            if renewed {
                done(&dir, &format!("renew old{bits}"));
            }
            let (_, certificate) = x509_parser::parse_x509_certificate(&holder(&dir, &format!("old{bits}")).chain[0])
                .map(|(rest, certificate)| (rest.len(), certificate.public_key().parsed().unwrap().key_size()))
                .unwrap();
            assert_eq!(certificate, octets * 8);
        }
    }
    let running = start(Trust::from_pem_files([dir.path().join("certs/ca.pem")]).unwrap());
    for version in VERSIONS {
        assert_eq!(get(running.addr, Some(&holder(&dir, "old2048")), version).unwrap().status, 200);
    }
}
