//! Clients that differ: certificates of the CA of a directory, all for the key of the first client, in `clients.pem`.

use std::fs;
use std::path::Path;

use peers::Failed;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose};

use super::print;

pub(super) fn make(directory: &Path, count: usize) -> Result<(), Failed> {
    let read = |name| fs::read_to_string(directory.join(name));
    let issuer = Issuer::from_ca_cert_pem(&read("ca.pem")?, KeyPair::from_pem(&read("ca-key.pem")?)?)?;
    let key = KeyPair::from_pem(&read("client1-key.pem")?)?;
    let mut pem = String::new();
    for number in 0..count {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationalUnitName, "clients");
        params.distinguished_name.push(DnType::CommonName, format!("client {number}"));
        params.serial_number = Some((number as u64 + 1).into());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        pem += &params.signed_by(&key, &issuer)?.pem();
    }
    fs::write(directory.join("clients.pem"), pem)?;
    print(&format!("{{\"count\":{count}}}"));
    Ok(())
}
