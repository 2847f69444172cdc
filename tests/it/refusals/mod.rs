//! One table: every refusal code, every way to get it, and its repair. `judge`, `check` and a server are asked; the reason and the
//! repair must be true, so where a program can follow the repair, it is followed, and the client is let in.

mod issuers;
mod keys;
mod lists;
mod usage;

use std::collections::BTreeSet;
use std::time::SystemTime;

use mtls_min::{Policy, RefusalCode, Trust, TrustBuilder, Verdict, judge};
use rcgen::{CertificateParams, GeneralSubtree, KeyPair, NameConstraints, SanType};

use crate::support::client::{TLS13, get};
use crate::support::command::run;
use crate::support::files::TempDir;
use crate::support::pki::{Ca, HOUR, Holder, private};
use crate::support::server::start;
use crate::support::words::in_words_of_the_command;

/// What the operator has loaded, and with which options.
#[derive(Clone, Default)]
struct Setup {
    ca: String,
    intermediates: String,
    crl: String,
    accept_v1: bool,
    crl_required: bool,
    allow: Option<&'static str>,
}

impl Setup {
    fn of(ca: &Ca) -> Self {
        Self { ca: ca.pem(), ..Self::default() }
    }

    fn ca(&self, ca: &Ca) -> Self {
        Self { ca: self.ca.clone() + &ca.pem(), ..self.clone() }
    }

    fn intermediate(&self, ca: &Ca) -> Self {
        Self { intermediates: self.intermediates.clone() + &ca.pem(), ..self.clone() }
    }

    fn crl(&self, crl: String) -> Self {
        Self { crl, ..self.clone() }
    }

    /// Writes the files; returns the options of `check`, and the builder of the same trust.
    fn write(&self, dir: &TempDir) -> (Vec<&'static str>, TrustBuilder) {
        let mut options = vec!["--ca", "ca.pem"];
        let mut builder = Trust::builder().pem_file(dir.write("ca.pem", &self.ca));
        if !self.intermediates.is_empty() {
            options.extend(["--intermediates", "between.pem"]);
            builder = builder.intermediates_file(dir.write("between.pem", &self.intermediates));
        }
        if !self.crl.is_empty() {
            options.extend(["--crl", "crl.pem"]);
            builder = builder.crl_file(dir.write("crl.pem", &self.crl));
        }
        if self.accept_v1 {
            options.push("--accept-v1");
            builder = builder.accept_v1();
        }
        if self.crl_required {
            options.push("--crl-required");
            builder = builder.require_crls();
        }
        if let Some(rule) = self.allow {
            options.extend(["--allow", rule]);
            builder = builder.policy(Policy::allowing([rule]).unwrap());
        }
        (options, builder)
    }
}

/// One way to be refused.
struct Way {
    code: &'static str,
    /// What the reason and the repair must say.
    because: &'static str,
    repair: &'static str,
    setup: Setup,
    holder: Holder,
    /// The setup after the repair: then the client is let in.
    mended: Option<(Setup, Holder)>,
}

fn way(code: &'static str, because: &'static str, repair: &'static str, setup: &Setup, holder: Holder) -> Way {
    Way { code, because, repair, setup: setup.clone(), holder, mended: None }
}

impl Way {
    fn mended(self, setup: &Setup, holder: Holder) -> Self {
        Self { mended: Some((setup.clone(), holder)), ..self }
    }
}

#[test]
fn every_way_to_be_refused_has_its_true_code_reason_and_repair() {
    let mut covered = BTreeSet::new();
    for Way { code, because, repair, setup, holder, mended } in ways() {
        let (found, reason, advice) = asked(&setup, &holder);
        assert_eq!(found, code, "{because}: {reason}");
        assert!(reason.contains(because), "{code}: {reason:?} does not say {because:?}");
        assert!(advice.contains(repair), "{code}: {advice:?} does not say {repair:?}");
        if let Some((setup, holder)) = mended {
            let (found, reason, _) = asked(&setup, &holder);
            assert_eq!(found, "", "{code}, repaired: {reason}");
        }
        covered.insert(code);
    }
    for code in RefusalCode::ALL {
        assert!(covered.contains(code.as_str()), "{code} is not in the table");
    }
}

/// The code, the reason and the repair by `judge`, by `check` and by a server, which must be the same.
fn asked(setup: &Setup, holder: &Holder) -> (String, String, String) {
    let dir = TempDir::new();
    let (options, builder) = setup.write(&dir);
    let trust = builder.build().unwrap();
    let (code, reason, repair) = match judge(&holder.chain, &trust, SystemTime::now()).verdict {
        Verdict::Refused(refusal) => {
            (refusal.code().to_string(), refusal.detail().to_owned(), in_words_of_the_command(refusal.repair()))
        }
        Verdict::Authorised(_) if setup.allow.is_some_and(|rule| rule != "cn:alice") => (
            RefusalCode::NotAllowed.to_string(),
            "cn:bob".to_owned(),
            in_words_of_the_command(RefusalCode::NotAllowed.repair()),
        ),
        Verdict::Authorised(_) => Default::default(),
    };
    // A client without a certificate has nothing to check offline.
    if !holder.chain.is_empty() {
        dir.write("client.pem", holder.pem());
        let check = run(dir.path(), &[&options[..], &["check", "--json", "client.pem"]].concat());
        let said = String::from_utf8(check.stdout).unwrap();
        assert_eq!(check.status.code(), Some(i32::from(!code.is_empty())), "{code} {reason}: {said}");
        if !code.is_empty() {
            assert!(said.starts_with(&format!("{{\"decision\":\"refused\",\"code\":\"{code}\",")), "{code}: {said}");
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            assert!(said.contains(&quoted(&repair)), "{code}: {said} lacks {repair}");
            // The times in the texts differ by a second.
            let reason = reason.split(", and it is ").next().unwrap();
            assert!(said.contains(&quoted(reason)), "{code}: {said} lacks {reason}");
        }
    }
    let sends_nothing = holder.chain.is_empty();
    let running = start(trust);
    let status = get(running.addr, (!sends_nothing).then_some(holder), &TLS13).map(|reply| reply.status);
    match code.as_str() {
        "" => assert_eq!(status.unwrap(), 200),
        "not_allowed" => assert_eq!(status.unwrap(), 403),
        // A key that cannot be checked, and a chain that is not read, prove nothing: the handshake fails.
        "weak_key" | "unsupported_key" | "chain_too_long" if status.is_err() => {}
        code => {
            assert_eq!(status.unwrap(), 401, "{code}");
            assert_eq!(running.seen.codes(1), [code]);
        }
    }
    (code, reason, repair)
}

fn ways() -> Vec<Way> {
    let ca = Ca::new("ca");
    let plain = Setup::of(&ca);
    [
        by_dates(&ca, &plain),
        issuers::by_issuer(&ca, &plain),
        usage::by_marks(&ca, &plain),
        keys::by_key(&ca, &plain),
        by_names(),
        lists::by_lists(&ca, &plain),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn by_dates(ca: &Ca, plain: &Setup) -> Vec<Way> {
    let past = |params: &mut CertificateParams| params.not_after = (SystemTime::now() - HOUR / 2).into();
    let future = |params: &mut CertificateParams| params.not_before = (SystemTime::now() + HOUR).into();
    let nobody = Holder { chain: Vec::new(), key: private(&KeyPair::generate().unwrap()) };
    let (old, new) = (ca.intermediate_with("between", past), ca.intermediate("between"));
    let early = ca.intermediate_with("between", future);
    vec![
        way("no_certificate", "sent no certificate", "have the client send its certificate", plain, nobody)
            .mended(plain, ca.client("alice")),
        way(
            "expired",
            "the client's certificate: valid until",
            "issue a new certificate",
            plain,
            ca.client_with("alice", past),
        )
        .mended(plain, ca.client("alice")),
        way(
            "expired",
            "the certificate of CN=between: valid until",
            "issue a new certificate",
            plain,
            old.client("alice"),
        )
        .mended(plain, new.client("alice")),
        way(
            "expired",
            "the certificate of CN=between: valid until",
            "issue a new certificate",
            &plain.intermediate(&old),
            old.client("alice").alone(),
        ),
        way("not_yet_valid", "the client's certificate: valid from", "clock", plain, ca.client_with("alice", future)),
        way("not_yet_valid", "the certificate of CN=between: valid from", "clock", plain, early.client("alice")),
    ]
}

fn by_names() -> Vec<Way> {
    let limits = |permitted: GeneralSubtree| {
        move |params: &mut CertificateParams| {
            params.name_constraints =
                Some(NameConstraints { permitted_subtrees: vec![permitted.clone()], excluded_subtrees: Vec::new() });
        }
    };
    let hosts = Ca::with("ca", limits(GeneralSubtree::DnsName("good.test".to_owned())));
    let root = Ca::new("root");
    let between = root.intermediate_with("between", limits(GeneralSubtree::Rfc822Name("good.test".to_owned())));
    let dns = |name: &str| {
        let name = SanType::DnsName(name.try_into().unwrap());
        move |params: &mut CertificateParams| params.subject_alt_names = vec![name.clone()]
    };
    let email = |name: &str| {
        let name = SanType::Rfc822Name(name.try_into().unwrap());
        move |params: &mut CertificateParams| params.subject_alt_names = vec![name.clone()]
    };
    vec![
        way(
            "name_constraint",
            "does not meet the name constraints of the certificate of CN=ca: the DNS name evil.test",
            "names that its CA may vouch for",
            &Setup::of(&hosts),
            hosts.client_with("alice", dns("evil.test")),
        )
        .mended(&Setup::of(&hosts), hosts.client_with("alice", dns("a.good.test"))),
        way(
            "name_constraint",
            "the certificate of CN=between: the e-mail address a@evil.test",
            "names that its CA may vouch for",
            &Setup::of(&root),
            between.client_with("alice", email("a@evil.test")),
        )
        .mended(&Setup::of(&root), between.client_with("alice", email("a@good.test"))),
    ]
}
