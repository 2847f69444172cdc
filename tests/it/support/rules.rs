//! A policy, and what a client may do under it.

use mtls_min::{Permission, Policy, Trust, Verdict, judge};

use crate::support::client::{TLS13, config, connect, exchange};
use crate::support::pki::{Ca, Holder};
use crate::support::server::Running;

/// Trust in `ca` with this policy, and in the pinned certificate `pinned`.
pub(crate) fn trusting(ca: &Ca, pinned: Option<&Holder>, policy: Policy) -> Trust {
    let builder = Trust::builder().pem(ca.pem(), "ca.pem").policy(policy);
    pinned.into_iter().fold(builder, |builder, pinned| builder.pem(pinned.pem(), "pinned")).build().unwrap()
}

/// The rule that grants it (`Ok`), or the reason for the refusal, in words.
pub(crate) fn permission(rule: &str, ca: &Ca, holder: &Holder) -> Result<String, String> {
    let trust = trusting(ca, None, Policy::allowing([rule]).unwrap());
    match judge(&holder.chain, &trust, std::time::SystemTime::now()).verdict {
        Verdict::Authorised(identity) => match trust.policy().permission(&http::Method::GET, "/", Some(&identity)) {
            Permission::Denied(why) => Err(why.to_string()),
            granted => Ok(granted.to_string()),
        },
        Verdict::Refused(refusal) => panic!("{refusal}"),
    }
}

#[track_caller]
pub(crate) fn matches(rule: &str, ca: &Ca, holder: &Holder) {
    assert!(permission(rule, ca, holder).is_ok(), "{rule}");
}

/// It does not match; the explanation contains `why`.
#[track_caller]
pub(crate) fn misses(rule: &str, ca: &Ca, holder: &Holder, why: &str) {
    match permission(rule, ca, holder) {
        Err(words) => assert!(words.contains(why), "{rule}: {words:?} lacks {why:?}"),
        Ok(how) => panic!("{rule}: {how}"),
    }
}

pub(crate) fn get(running: &Running, holder: Option<&Holder>, request: &str) -> (u16, String) {
    let mut stream = connect(running.addr, config(holder, &TLS13));
    let reply = exchange(&mut stream, format!("{request} HTTP/1.1\r\nHost: localhost\r\n\r\n")).unwrap();
    (reply.status, reply.body)
}
