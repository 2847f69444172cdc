//! The verdict of `judge` on a client, now or at another time.

use std::sync::Arc;
use std::time::SystemTime;

use mtls_min::{Refusal, RefusalCode, Trust, TrustBuilder, Verdict, judge};
use rustls::pki_types::CertificateDer;

use super::pki::{Ca, Holder};

pub(crate) const REVOKED: Option<RefusalCode> = Some(RefusalCode::Revoked);

/// Trust in these CAs, with these revocation lists in DER.
pub(crate) fn trusting(cas: &[&Ca], lists: &[Vec<u8>]) -> TrustBuilder {
    let cas: String = cas.iter().map(|ca| ca.pem()).collect();
    let builder = Trust::builder().pem(cas, "ca.pem");
    lists.iter().zip(1..).fold(builder, |builder, (list, number)| builder.crl(list.clone(), format!("crl{number}")))
}

/// Trust in these CAs in PEM, with these intermediates, if any.
pub(crate) fn trust_of(ca: &str, intermediates: &str) -> Trust {
    let builder = Trust::builder().pem(ca, "ca.pem");
    let builder = if intermediates.is_empty() { builder } else { builder.intermediates(intermediates, "between.pem") };
    builder.build().unwrap()
}

/// The code of the refusal; `None`: authorised.
pub(crate) fn code(trust: &Trust, holder: &Holder) -> Option<RefusalCode> {
    code_at(trust, holder, SystemTime::now())
}

pub(crate) fn code_at(trust: &Trust, holder: &Holder, now: SystemTime) -> Option<RefusalCode> {
    refusal(&holder.chain, trust, now).map(|refusal| refusal.code())
}

/// The same for certificates without a key.
pub(crate) fn chain_code(chain: &[CertificateDer<'_>], trust: &Trust) -> Option<RefusalCode> {
    refusal(chain, trust, SystemTime::now()).map(|refusal| refusal.code())
}

/// The code of the refusal in words, and its detail; empty: authorised.
pub(crate) fn detail(chain: &[CertificateDer<'_>], trust: &Trust) -> String {
    refusal(chain, trust, SystemTime::now()).map_or(String::new(), |refusal| refusal.to_string())
}

pub(crate) fn refusal(chain: &[CertificateDer<'_>], trust: &Trust, now: SystemTime) -> Option<Arc<Refusal>> {
    match judge(chain, trust, now).verdict {
        Verdict::Authorised(_) => None,
        Verdict::Refused(refusal) => Some(refusal),
    }
}
