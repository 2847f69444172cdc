//! Refused by a revocation list or a rule.

use std::time::SystemTime;

use super::{Setup, Way, way};
use crate::support::crl::{Crl, extension};
use crate::support::pki::{Ca, HOUR, Holder};

pub(super) fn by_lists(ca: &Ca, plain: &Setup) -> Vec<Way> {
    let alice = ca.client("alice");
    let revoking = plain.crl(Crl::number(1).revoking(&alice).pem(ca));
    let between = ca.intermediate("between");
    let fired = Holder { chain: vec![between.der.clone()], ..between.client("x") };
    let revoking_between = plain.crl(Crl::number(1).revoking(&fired).pem(ca));
    let stale = Crl { next_update: Some(SystemTime::now() - HOUR / 2), ..Crl::number(1) };
    let early = Crl { this_update: SystemTime::now() + HOUR, ..Crl::number(1) };
    // issuingDistributionPoint with onlyContainsCACerts
    let scope = extension(&[0x55, 0x1d, 0x1c], true, &[0x30, 3, 0x82, 1, 0xff]);
    let of_authorities = Crl { extensions: vec![scope], ..Crl::number(1) };
    let required = Setup { crl_required: true, ..plain.clone() };
    vec![
        way("revoked", "was revoked on", "issue the client a new certificate", &revoking, alice.clone())
            .mended(&revoking, ca.client("alice")),
        way("revoked", "CN=between", "issued by another CA", &revoking_between, between.client("alice"))
            .mended(&revoking_between, ca.client("alice")),
        way(
            "revoked",
            "the CA CN=between",
            "issued by another CA",
            &revoking_between.ca(&between),
            between.client("alice").alone(),
        )
        .mended(&revoking_between.ca(&between), ca.client("alice")),
        way(
            "crl_missing",
            "there is no revocation list of CN=ca, which issued",
            "load the CA's revocation list with --crl",
            &required,
            alice.clone(),
        )
        .mended(&required.crl(Crl::number(1).pem(ca)), alice.clone()),
        way(
            "crl_missing",
            "there is no revocation list of CN=between, which issued CN=alice",
            "--crl",
            &required.crl(Crl::number(1).pem(ca)),
            between.client("alice"),
        )
        .mended(
            &required.intermediate(&between).crl(Crl::number(1).pem(ca) + &Crl::number(1).pem(&between)),
            between.client("alice"),
        ),
        way(
            "crl_missing",
            "list number 1 of CN=ca (of CAs) is not",
            "load the list that is for it too",
            &required.crl(of_authorities.pem(ca)),
            alice.clone(),
        )
        .mended(&required.crl(of_authorities.pem(ca) + &Crl::number(1).pem(ca)), alice.clone()),
        way(
            "crl_not_yet_valid",
            "the revocation list of CN=ca, number 1, is from the future: it was issued on 20",
            "set the clock",
            &plain.crl(early.pem(ca)),
            alice.clone(),
        )
        .mended(&plain.crl(Crl::number(1).pem(ca)), alice.clone()),
        way(
            "crl_expired",
            "was due on",
            "have the CA sign a new revocation list",
            &plain.crl(stale.pem(ca)),
            alice.clone(),
        )
        .mended(&plain.crl(Crl::number(2).pem(ca)), alice.clone()),
        way(
            "not_allowed",
            "cn:bob",
            "add a rule that matches it",
            &Setup { allow: Some("cn:bob"), ..plain.clone() },
            alice.clone(),
        )
        .mended(&Setup { allow: Some("cn:alice"), ..plain.clone() }, alice),
    ]
}
