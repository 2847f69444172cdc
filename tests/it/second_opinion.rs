//! Our verdict compared with webpki's on random chains: they must agree. What webpki does not
//! look at (key usages, and everything but the name constraints of an anchor) is checked here, on each path that it finds. The chains are
//! the same in each run.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mtls_min::{RefusalCode, Trust, Verdict, judge};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, ExtendedKeyUsagePurpose as Eku, GeneralSubtree,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::support::client::provider;
use crate::support::pki::{HOUR, key, params, pem};

const CHAINS: u64 = 500;

/// SplitMix64: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as usize % bound
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A CA: its name, its key and its certificate.
struct Ca {
    params: CertificateParams,
    key: KeyPair,
    der: CertificateDer<'static>,
}

/// What one client shows to one server.
struct World {
    root: CertificateDer<'static>,
    /// Whether it vouches for clients, and how many intermediates may be below it.
    root_limits: (bool, usize),
    /// Of the operator's --intermediates.
    loaded: Vec<CertificateDer<'static>>,
    chain: Vec<CertificateDer<'static>>,
    /// Those whose key usage does not allow what they do.
    unfit: Vec<CertificateDer<'static>>,
}

/// Up to three levels of CAs below the root, with up to three certificates each, of two names and two keys, so that there are
/// several ways up, some of which hold.
fn world(random: &mut Random) -> World {
    let root = root(random);
    let usages = &root.params.extended_key_usages;
    let length = match root.params.is_ca {
        IsCa::Ca(BasicConstraints::Constrained(length)) => length.into(),
        _ => usize::MAX,
    };
    let root_limits = (usages.is_empty() || usages.contains(&Eku::ClientAuth), length);
    let mut levels = vec![vec![root]];
    for level in 0..random.below(4) {
        let keys = [key(), key()];
        let mut cas = Vec::new();
        for _ in 0..1 + random.below(3) {
            let name = format!("{level}{}", random.of(&["a", "b"]));
            let mut params = authority(random, &name);
            let key = KeyPair::try_from(random.of(&keys).serialize_der()).unwrap();
            let der = signed(random, &mut params, &key, &levels[level]);
            cas.push(Ca { params, key, der });
        }
        levels.push(cas);
    }
    let mut params = client(random);
    let own = signed(random, &mut params, &key(), levels.last().unwrap());
    let signs = |params: &CertificateParams, usage| params.key_usages.is_empty() || params.key_usages.contains(usage);
    let mute = levels.iter().flatten().filter(|ca| !signs(&ca.params, &KeyUsagePurpose::KeyCertSign));
    let mut unfit: Vec<_> = mute.map(|ca| ca.der.clone()).collect();
    if !signs(&params, &KeyUsagePurpose::DigitalSignature) {
        unfit.push(own.clone());
    }
    let root = levels[0][0].der.clone();
    let (mut loaded, mut sent) = (Vec::new(), Vec::new());
    for ca in levels.iter().skip(1).flatten() {
        match random.below(12) {
            0 => {}
            1..=3 => loaded.push(ca.der.clone()),
            _ => sent.insert(random.below(sent.len() + 1), ca.der.clone()),
        }
    }
    if random.one_in(8) {
        sent.insert(random.below(sent.len() + 1), root.clone());
    }
    sent.insert(0, own);
    World { root, root_limits, loaded, chain: sent, unfit }
}

fn root(random: &mut Random) -> Ca {
    let (mut params, key) = (authority(random, "root"), key());
    // Other changes would make it something else than a root.
    params.is_ca = IsCa::Ca(*random.of(&[
        BasicConstraints::Unconstrained,
        BasicConstraints::Unconstrained,
        BasicConstraints::Constrained(1),
    ]));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.custom_extensions = Vec::new();
    (params.not_before, params.not_after) = (at(-1).into(), at(100).into());
    let der = params.self_signed(&key).unwrap().der().clone();
    Ca { params, key, der }
}

/// Issued by one of those above, or by its name with another key.
fn signed(random: &mut Random, params: &mut CertificateParams, own: &KeyPair, above: &[Ca]) -> CertificateDer<'static> {
    let issuer = random.of(above);
    params.use_authority_key_identifier_extension = !random.one_in(4);
    let key = if random.one_in(25) { &key() } else { &issuer.key };
    params.signed_by(own, &Issuer::from_params(&issuer.params, key)).unwrap().der().clone()
}

fn authority(random: &mut Random, name: &str) -> CertificateParams {
    let mut params = dated(random, name);
    params.is_ca = match random.below(15) {
        0 => IsCa::ExplicitNoCa,
        1 => IsCa::NoCa,
        2 | 3 => IsCa::Ca(BasicConstraints::Constrained(random.below(3) as u8)),
        _ => IsCa::Ca(BasicConstraints::Unconstrained),
    };
    params.key_usages = match random.below(15) {
        0 => vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign],
        1..=4 => Vec::new(),
        _ => vec![KeyUsagePurpose::KeyCertSign],
    };
    params.extended_key_usages = purposes(random, 4);
    if random.one_in(4) {
        let mut subtrees = || {
            let count = random.below(3);
            (0..count).map(|_| subtree(random)).collect::<Vec<_>>()
        };
        let (permitted_subtrees, excluded_subtrees) = (subtrees(), subtrees());
        let any = !permitted_subtrees.is_empty() || !excluded_subtrees.is_empty();
        params.name_constraints = any.then_some(NameConstraints { permitted_subtrees, excluded_subtrees });
    }
    params
}

fn client(random: &mut Random) -> CertificateParams {
    let mut params = dated(random, "client");
    params.is_ca = if random.one_in(25) { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
    params.extended_key_usages = purposes(random, 2);
    params.key_usages = match random.below(20) {
        0 => vec![KeyUsagePurpose::KeyEncipherment],
        1..=9 => Vec::new(),
        _ => vec![KeyUsagePurpose::DigitalSignature],
    };
    for _ in 0..random.below(3) {
        params.subject_alt_names.push(match random.below(6) {
            0 => SanType::DnsName("good.test".try_into().unwrap()),
            1 => SanType::DnsName("www.good.test".try_into().unwrap()),
            2 => SanType::DnsName("evil.test".try_into().unwrap()),
            3 => SanType::DnsName("nogood.test".try_into().unwrap()),
            4 => SanType::IpAddress([10, 0, 0, 7].into()),
            _ => SanType::IpAddress([192, 0, 2, 7].into()),
        });
    }
    params
}

fn subtree(random: &mut Random) -> GeneralSubtree {
    match random.below(6) {
        0 => GeneralSubtree::DnsName("www.good.test".to_owned()),
        1 => GeneralSubtree::DnsName("evil.test".to_owned()),
        2 => GeneralSubtree::IpAddress(CidrSubnet::V4([10, 0, 0, 0], [255, 0, 0, 0])),
        3 => GeneralSubtree::IpAddress(CidrSubnet::V4([192, 0, 2, 0], [255, 255, 255, 0])),
        _ => GeneralSubtree::DnsName("good.test".to_owned()),
    }
}

fn purposes(random: &mut Random, often: usize) -> Vec<Eku> {
    match random.below(15) {
        0 => vec![Eku::ServerAuth],
        1 => vec![Eku::EmailProtection, Eku::CodeSigning],
        place if place % often == 0 => vec![Eku::ServerAuth, Eku::ClientAuth],
        _ => Vec::new(),
    }
}

fn dated(random: &mut Random, name: &str) -> CertificateParams {
    let mut params = params(name);
    let (from, to) = match random.below(30) {
        0 => (-9, -1),
        1 => (1, 9),
        _ => (-1, 9),
    };
    (params.not_before, params.not_after) = (at(from).into(), at(to).into());
    if random.one_in(30) {
        let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 2], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions = vec![unknown];
    }
    params
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// This many hours from now.
fn at(hours: i64) -> SystemTime {
    let distance = HOUR * hours.unsigned_abs() as u32;
    if hours < 0 { now() - distance } else { now() + distance }
}

fn ours(world: &World) -> Result<(), (RefusalCode, String)> {
    let builder = Trust::builder().pem(pem(&world.root), "root").now(now());
    // Those that could not complete a path are not accepted; the client may send them as well.
    let taken = |der: &&CertificateDer<'_>| builder.clone().intermediates(pem(der), "between").build().is_ok();
    let loaded: String = world.loaded.iter().filter(taken).map(|der| pem(der)).collect();
    let trust = if loaded.is_empty() { builder } else { builder.intermediates(loaded, "between") };
    match judge(&world.chain, &trust.build().unwrap(), now()).verdict {
        Verdict::Authorised(_) => Ok(()),
        Verdict::Refused(refusal) => Err((refusal.code(), refusal.detail().to_owned())),
    }
}

fn theirs(world: &World) -> Result<(), webpki::Error> {
    let anchor = webpki::anchor_from_trusted_cert(&world.root).unwrap();
    let others: Vec<_> = world.chain[1..].iter().chain(&world.loaded).cloned().collect();
    let time = UnixTime::since_unix_epoch(now().duration_since(UNIX_EPOCH).unwrap());
    let algorithms = provider().signature_verification_algorithms.all;
    let usage = webpki::KeyUsage::client_auth();
    let client = webpki::EndEntityCert::try_from(&world.chain[0])?;
    let (for_clients, most) = world.root_limits;
    let passes = |path: &webpki::VerifiedPath<'_>| {
        let above: Vec<_> = path.intermediate_certificates().map(|ca| ca.der()).collect();
        let is_fit = |der: &CertificateDer<'_>| !world.unfit.contains(der);
        match for_clients && above.len() <= most && is_fit(&world.chain[0]) && above.iter().all(is_fit) {
            true => Ok(()),
            false => Err(webpki::Error::UnknownIssuer),
        }
    };
    client.verify_for_usage(algorithms, &[anchor], &others, time, usage, None, Some(&passes)).map(|_| ())
}

#[test]
fn webpki_agrees_on_random_chains() {
    let (mut both_in, mut both_out) = (0, 0);
    for seed in 0..CHAINS {
        let world = world(&mut Random(seed));
        let (ours, theirs) = (ours(&world), theirs(&world));
        match (&ours, &theirs) {
            (Ok(()), Ok(())) => both_in += 1,
            (Err(_), Err(_)) => both_out += 1,
            _ => panic!("chain {seed}: ours {ours:?}, webpki's {theirs:?}"),
        }
    }
    // Otherwise the test would show little.
    assert!(both_in > 100 && both_out > 100, "{both_in} {both_out}");
}
