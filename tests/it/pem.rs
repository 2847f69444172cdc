//! Row T18 of the immunity matrix: whatever file holds PEM, all of it counts or is an error that names the line. And what a
//! file of another format is told.

use std::error::Error as _;
use std::path::Path;

use rcgen::{ExtendedKeyUsagePurpose as Eku, SanType};

use mtls_min::{Error, Server, ServerCertificate, Trust};

use crate::support::client::{TLS13, config, connect, eventually};
use crate::support::command::{Serving, binary, run};
use crate::support::crl::Crl;
use crate::support::files::TempDir;
use crate::support::pki::{Ca, Holder, armour, key, params, pem, write};

/// A chain of two for a client and for a server, and the CA with its list.
struct Site {
    ca: Ca,
    client: Holder,
    server: Holder,
    dir: TempDir,
}

/// The kinds of file that PEM is read from.
const FILES: [&str; 7] = ["--ca", "--intermediates", "--cert", "--key", "--crl", "--authorized-clients", "check"];

fn site() -> Site {
    let ca = Ca::new("ca");
    let between = ca.intermediate("between");
    let (client, server, dir) = (between.client("alice"), between.server(), TempDir::new());
    dir.write("ca.pem", ca.pem());
    dir.write("server-crt.pem", server.pem());
    dir.write("server-key.pem", server.key_pem());
    std::fs::create_dir(dir.path().join("clients")).unwrap();
    Site { ca, client, server, dir }
}

impl Site {
    /// Two good blocks, the second of which is the one that such a file is read for.
    fn blocks(&self, file: &str) -> (String, String) {
        let list = |number| Crl::number(number).pem(&self.ca);
        let two = |chain: &Holder| (pem(&chain.chain[0]), pem(&chain.chain[1]));
        match file {
            "--ca" => (Ca::new("other").pem(), self.ca.pem()),
            "--intermediates" => (self.ca.intermediate("one").pem(), self.ca.intermediate("two").pem()),
            "--crl" => (list(1), list(2)),
            "--cert" => two(&self.server),
            "--key" => (pem(&self.server.chain[0]), self.server.key_pem()),
            "--authorized-clients" | "check" => two(&self.client),
            _ => unreachable!("{file}"),
        }
    }

    /// Has the file read that has this content: everything that is said of it, or how many of its blocks count.
    fn read(&self, file: &str, content: &[u8]) -> Result<usize, String> {
        let name = if file == "--authorized-clients" { "clients/f.pem" } else { "f.pem" };
        let path = self.dir.write(name, content);
        let path =
            |name: &str| if self.dir.path().join(name) == path { path.clone() } else { self.dir.path().join(name) };
        let trust = Trust::builder();
        match file {
            "--ca" => trust.pem_file(path("f.pem")).build().map(|trust| trust.entries().len()),
            "--intermediates" => {
                let trust = trust.pem_file(path("ca.pem")).intermediates_file(path("f.pem")).build();
                trust.map(|trust| trust.entries().len() - 1)
            }
            "--crl" => {
                let trust = trust.pem_file(path("ca.pem")).crl_file(path("f.pem")).build();
                // Of two lists the later one counts, if it was read.
                trust.map(|trust| trust.crls().next().unwrap().number().unwrap().parse().unwrap())
            }
            "--authorized-clients" => {
                trust.authorized_clients(path("clients")).build().map(|trust| trust.authorized_clients().unwrap())
            }
            "--cert" => {
                ServerCertificate::from_pem_files(path("f.pem"), path("server-key.pem")).map(|it| sent(it, &self.ca))
            }
            "--key" => {
                ServerCertificate::from_pem_files(path("server-crt.pem"), path("f.pem")).map(|it| sent(it, &self.ca))
            }
            _ => return self.check("f.pem"),
        }
        .map_err(|error| in_full(&error))
    }

    /// By `check`, which needs both certificates of the chain to authorise.
    fn check(&self, file: &str) -> Result<usize, String> {
        let output = run(self.dir.path(), &["check", "--ca", "ca.pem", file]);
        match output.status.code() {
            Some(0) => Ok(2),
            Some(1) => Ok(1),
            _ => Err(String::from_utf8(output.stderr).unwrap()),
        }
    }
}

fn in_full(error: &Error) -> String {
    let mut text = format!("{error}; {}", error.hint_text().unwrap_or_default());
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("; {error}"));
        cause = error.source();
    }
    text
}

/// How many certificates a client is sent.
fn sent(certificate: ServerCertificate, ca: &Ca) -> usize {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let trust = Trust::builder().pem(ca.pem(), "ca").build().unwrap();
    let server = Server::builder(listener, certificate, trust).build().unwrap();
    let (addr, shutdown) = (server.local_addrs()[0], server.shutdown_handle());
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve(|_: &mut mtls_min::Request<'_>| mtls_min::Response::new("".into())));
        let mut stream = connect(addr, config(None, &TLS13));
        stream.conn.complete_io(&mut stream.sock).unwrap();
        let sent = stream.conn.peer_certificates().unwrap().len();
        drop(stream);
        shutdown.shutdown();
        serving.join().unwrap().unwrap();
        sent
    })
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn lines(text: &str) -> usize {
    text.lines().count()
}

/// The first block whole, then the second one damaged: the text, the line at fault, and what has to be said.
fn damages(one: &str, two: &str) -> Vec<(&'static str, Vec<u8>, usize, &'static str)> {
    let label = two.lines().next().unwrap().trim_start_matches("-----BEGIN ").trim_end_matches('-');
    let (begin, end) = (lines(one) + 1, lines(one) + lines(two));
    let base64: String = two.lines().filter(|line| !line.contains('-')).collect();
    let after = |text: String| (one.to_owned() + &text).into_bytes();
    let relabelled = |new: &str| after(two.replace(label, new));
    let border = |from: &str, to: &str| after(two.replacen(from, to, 1));
    let each_line = |before: &str| after(two.lines().map(|line| format!("{before}{line}\n")).collect());
    vec![
        ("no line break between", format!("{}{two}", one.trim_end()).into_bytes(), lines(one), "line break between"),
        ("four hyphens first", border("-----BEGIN", "----BEGIN"), begin, "five hyphens"),
        ("four hyphens after", border("-----\n", "----\n"), begin, "five hyphens"),
        ("six hyphens first", border("-----BEGIN", "------BEGIN"), begin, "-----BEGIN"),
        ("one hyphen", border(&format!("-----BEGIN {label}-----"), &format!("-BEGIN {label}-")), begin, "five hyphens"),
        ("no hyphens", border(&format!("-----BEGIN {label}-----"), &format!("BEGIN {label}")), begin, "five hyphens"),
        ("one dash", border(&format!("-----BEGIN {label}-----"), &format!("—BEGIN {label}—")), begin, "five hyphens"),
        (
            "dashes of Windows-1252",
            [one.as_bytes(), b"\x96\x96-BEGIN CERTIFICATE-\x97\x97\n", base64.as_bytes()].concat(),
            begin,
            "five hyphens",
        ),
        ("a second border behind", after(format!("see -----BEGIN {label}-----\n")), begin, "before -----BEGIN"),
        ("dashes", border("-----BEGIN", "–––––BEGIN"), begin, "five hyphens"),
        ("long dashes", border("-----BEGIN", "—–BEGIN"), begin, "five hyphens"),
        (
            "small letters",
            border(&format!("BEGIN {label}"), &format!("begin {label}").to_lowercase()),
            begin,
            "-----BEGIN",
        ),
        ("spaces within", border(&format!("BEGIN {label}"), &format!(" BEGIN {label} ")), begin, "five hyphens"),
        ("no label", border(&format!("BEGIN {label}"), "BEGIN "), begin, "-----BEGIN"),
        ("text after BEGIN", border("-----\n", "----- \\n\n"), begin, "a line of its own"),
        ("indented", each_line("  "), begin, "before -----BEGIN"),
        ("a comment", each_line("# "), begin, "before -----BEGIN"),
        ("quoted", each_line("> "), begin, "before -----BEGIN"),
        ("no BEGIN line", border(&format!("-----BEGIN {label}-----\n"), ""), begin, "no -----BEGIN line"),
        ("no borders", after(base64.clone() + "\n"), begin, "no -----BEGIN line"),
        (
            "encoded once more",
            after("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJBRENCdnFBREFnRUNBZ0VC\n".into()),
            begin,
            "base64 -d",
        ),
        ("UTF-16", [one.as_bytes(), &utf16(two)].concat(), begin, "UTF-16"),
        ("no END line", border(&format!("-----END {label}-----\n"), ""), begin, "-----END line is missing"),
        (
            "no END line, and another",
            [two.replace(&format!("-----END {label}-----\n"), "").as_bytes(), one.as_bytes()].concat(),
            1,
            "-----END line is missing",
        ),
        ("four hyphens at the end", border("-----END", "----END"), end, "five hyphens"),
        ("no hyphens at the end", border(&format!("-----END {label}-----"), &format!("END {label}")), begin, "broken"),
        ("another END", border(&format!("END {label}"), "END OTHER"), end, "five hyphens"),
        (
            "text after END",
            border(&format!("END {label}-----"), &format!("END {label}-----.")),
            end,
            "a line of its own",
        ),
        ("END in the last line of base64", after(two.replace("\n-----END", "-----END")), end - 1, "a line of its own"),
        ("not base64", after(two.replacen("\nMI", "\nM*", 1)), begin, "not base64"),
        ("TRUSTED", relabelled("TRUSTED CERTIFICATE"), begin, "openssl x509 -in "),
        ("X509", relabelled("X509 CERTIFICATE"), begin, "write CERTIFICATE"),
        ("a request", relabelled("NEW CERTIFICATE REQUEST"), begin, "yet to sign"),
        ("PKCS#7", relabelled("PKCS7"), begin, "openssl pkcs7 -print_certs -in "),
        ("a public key", relabelled("PUBLIC KEY"), begin, "belong here"),
        ("something else", relabelled("OTHER"), begin, "belong here"),
    ]
}

#[test]
fn t18_whatever_looks_like_a_block_and_is_not_read_is_an_error_with_its_line_for_every_file_and_check() {
    let site = site();
    for file in FILES {
        let (one, two) = site.blocks(file);
        for (title, content, line, words) in damages(&one, &two) {
            let said = site.read(file, &content);
            let said = said.expect_err(&format!("{file}: {title}: {}", String::from_utf8_lossy(&content)));
            assert!(said.contains(&format!("f.pem, line {line}:")), "{file}: {title}: not line {line}: {said}");
            assert!(said.contains(words), "{file}: {title}: {said}");
        }
    }
}

#[test]
fn t18_text_between_blocks_byte_order_marks_and_every_line_ending_are_fine_in_every_file_and_check() {
    const BAG: &str =
        "Bag Attributes\n    friendlyName: alice\n    localKeyID: 01 02 \nsubject=CN = alice\n\nissuer=CN = ca\n\n";
    const TEXT: &str = "Certificate:\n    Data:\n        Version: 3 (0x2)\n            pub:\n                04:30:82:\n\
                        ------------\n===== the END =====\n# the end of the beginning\nMozilla's bundle\n\
                        -- LEGEND --\n-- the end of the key list --\nBegin Certificate Chain\nENDÜBERTRAGUNG ÄÖ\n# é à KEY: BEGINN ü\n================\n";
    let site = site();
    for file in FILES {
        let (one, two) = match file {
            // It holds one certificate.
            "--authorized-clients" => (String::new(), site.blocks(file).0),
            _ => site.blocks(file),
        };
        let both = one.clone() + &two;
        let expected = if file == "--authorized-clients" { 1 } else { 2 };
        for (title, content) in [
            ("as openssl writes it", both.clone()),
            ("text", format!("{TEXT}{one}{TEXT}{two}{TEXT}")),
            ("bag attributes", format!("{BAG}{one}{BAG}{two}")),
            ("a byte order mark", format!("\u{feff}{both}")),
            ("two byte order marks", format!("\u{feff}{one}\n\u{feff}{two}")),
            ("CR LF", both.replace('\n', "\r\n")),
            ("CR", both.replace('\n', "\r")),
            ("CR LF and a byte order mark", format!("\u{feff}{both}").replace('\n', "\r\n")),
            ("white space after lines", both.replace('\n', " \n")),
            ("no line break at the end", both.trim_end().to_owned()),
            ("empty lines", format!("\n\n{one}\n\n{two}\n\n")),
            ("one line of base64", in_one_line(&both)),
            ("Latin-1", both.clone()),
        ] {
            let mut content = content.into_bytes();
            if title == "Latin-1" {
                content.splice(0..0, *b"# Zo\xeb\n");
            }
            assert_eq!(site.read(file, &content), Ok(expected), "{file}: {title}");
        }
    }
}

fn in_one_line(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        match line.starts_with("-----") {
            true => out.push_str(&format!("{}{line}\n", if line.contains("END") { "\n" } else { "" })),
            false => out.push_str(line),
        }
    }
    out
}

/// haproxy and others have chain, key and parameters in one file.
#[test]
fn certificate_key_and_parameters_may_stand_in_one_file_and_what_does_nothing_is_told() {
    let site = site();
    let curve = armour("EC PARAMETERS", &write(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]));
    let dh = armour("DH PARAMETERS", &write(0x30, &[]));
    let (chain, key) = (site.server.pem(), site.server.key_pem());
    let combined = format!("{key}{curve}{chain}{dh}");
    let made = ServerCertificate::from_pem(combined.as_bytes(), combined.as_bytes()).unwrap();
    let line = lines(&combined) - lines(&dh) + 1;
    assert_eq!(made.warnings().len(), 1, "{:?}", made.warnings());
    assert!(made.warnings()[0].contains(&format!("line {line}: DH parameters are not used")), "{:?}", made.warnings());
    assert_eq!(sent(made, &site.ca), 2);
    let curve_and_key = curve + &key;
    assert!(ServerCertificate::from_pem(chain.as_bytes(), curve_and_key.as_bytes()).unwrap().warnings().is_empty());
    // Of two files, in either of which there is more than is read from it.
    let made =
        ServerCertificate::from_pem((chain.clone() + &key).as_bytes(), (key.clone() + &chain).as_bytes()).unwrap();
    let said = made.warnings().join("\n");
    assert!(said.contains(&format!("line {}: this private key is not used", lines(&chain) + 1)), "{said}");
    assert!(said.contains(&format!("line {}: this certificate is not sent", lines(&key) + 1)), "{said}");
    // A client's file with its key, encrypted or not.
    let key = site.client.key_pem();
    for key in [key.clone(), key.replace("PRIVATE", "ENCRYPTED PRIVATE")] {
        site.dir.write("combined.pem", key + &site.client.pem());
        assert_eq!(site.check("combined.pem"), Ok(2));
    }
}

#[test]
fn of_two_private_keys_none_is_guessed() {
    let site = site();
    let keys = site.server.key_pem() + &site.client.key_pem();
    let error = ServerCertificate::from_pem(site.server.pem().as_bytes(), keys.as_bytes()).unwrap_err();
    let line = lines(&site.server.key_pem()) + 1;
    assert!(in_full(&error).contains(&format!("the key, line {line}: a second private key")), "{}", in_full(&error));
}

/// DER that looks like each of the formats that people have, and what is said of it where PEM is wanted.
#[test]
fn a_file_of_another_format_is_named_with_the_command_that_makes_pem_of_it() {
    let site = site();
    let oid = |last: u8| write(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, last]);
    let pkcs7 = write(0x30, &[oid(2), write(0xa0, &[])].concat());
    let pkcs7_ber = [&[0x30, 0x80][..], &oid(2), &[0xa0, 0x80, 0, 0, 0, 0]].concat();
    let pkcs12 = write(0x30, &[write(2, &[3]), write(0x30, &oid(1))].concat());
    let pkcs12_ber = [&[0x30, 0x80, 2, 1, 3, 0x30, 0x80][..], &oid(1), &[0, 0, 0, 0]].concat();
    let name = write(0x30, &[]);
    let info = write(0x30, &[write(2, &[0]), name.clone(), write(0x30, &[]), write(0xa0, &[])].concat());
    let request = write(0x30, &[info, write(0x30, &[]), write(3, &[0])].concat());
    let locked = write(0x30, &[write(0x30, &oid(1)), write(4, &[1])].concat());
    let key = site.server.key.secret_der().to_vec();
    let certificate = site.client.chain[0].to_vec();
    let old = site.ca.client_v1("old").chain[0].to_vec();
    let list = Crl::number(1).der(&site.ca);
    let pkcs12_words = [
        "pkcs12 -cacerts -nokeys",
        "pkcs12 -nokeys",
        "pkcs12 -nocerts -nodes",
        "PKCS#12 file",
        "pkcs12 -clcerts -nokeys",
        "PKCS#12 file",
    ];
    let pkcs7_words = [
        "pkcs7 -inform der -print_certs -in ",
        "pkcs7 -inform der -print_certs",
        "a PKCS#7 file",
        "pkcs7 -inform der -print_certs",
        "pkcs7 -inform der -print_certs",
        "a PKCS#7 file",
    ];
    let key_words = |words: &'static str| [words, words, "openssl pkey -inform der -in ", words, words, words];
    let certificate_words =
        ["openssl x509 -inform der -in ", "x509 -inform der", "a certificate in DER", "", "", "a certificate in DER"];
    // The format; then for --ca, --cert, --key, check, --authorized-clients and --crl: what is said, if it is not read.
    let table: [(&str, &[u8], [&str; 6]); 11] = [
        ("certificate", &certificate, certificate_words),
        ("v1 certificate", &old, certificate_words),
        ("PKCS#7", &pkcs7, pkcs7_words),
        ("PKCS#7 in BER", &pkcs7_ber, pkcs7_words),
        ("PKCS#12", &pkcs12, pkcs12_words),
        ("PKCS#12 in BER", &pkcs12_ber, pkcs12_words),
        ("request", &request, ["yet to sign"; 6]),
        ("key", &key, key_words("a private key in DER")),
        ("encrypted key", &locked, key_words("an encrypted private key in DER")),
        (
            "list",
            &list,
            ["goes with --crl", "goes with --crl", "a revocation list", "goes with --crl", "goes with --crl", ""],
        ),
        (
            "something else",
            &[0x30, 2, 5, 0],
            ["x509 -inform der", "x509 -inform der", "DER", "", "cannot be read", "cannot be used"],
        ),
    ];
    for (format, bytes, said) in table {
        let files = ["--ca", "--cert", "--key", "check", "--authorized-clients", "--crl"];
        for (file, words) in files.into_iter().zip(said) {
            match site.read(file, bytes) {
                Err(error) => assert!(!words.is_empty() && error.contains(words), "{format} as {file}: {error}"),
                Ok(_) => assert!(words.is_empty(), "{format} as {file}"),
            }
        }
    }
    // And the same as text.
    let text = armour("PKCS7", &pkcs7);
    for file in FILES {
        let error = site.read(file, text.as_bytes()).unwrap_err();
        assert!(error.contains("line 1: ") && error.contains("openssl pkcs7 -print_certs -in "), "{file}: {error}");
    }
}

/// The paths in a command can be pasted, or stand for themselves.
#[test]
fn a_command_in_a_hint_names_the_file_only_where_the_shell_takes_it_as_one_word() {
    let site = site();
    for (name, words) in [("a.p7b", "a.p7b -out "), ("a b;c.p7b", "-in FILE -out FILE.pem")] {
        let path = site.dir.write(name, armour("PKCS7", &[]));
        let error = Trust::builder().pem_file(Path::new(&path)).build().unwrap_err();
        assert!(error.hint_text().unwrap().contains(words), "{}", in_full(&error));
    }
}

/// RFC 5280, section 4.2.1.12; RFC 9525, section 2. None of it is a reason not to serve.
#[test]
fn why_clients_may_refuse_the_servers_certificate_is_told() {
    let ca = Ca::new("ca");
    let host = || vec![SanType::DnsName("localhost".try_into().unwrap())];
    let usage = |purposes: &[Eku]| purposes.to_vec();
    let server = |purposes: Vec<Eku>, names: Vec<SanType>| {
        let mut params = params("localhost");
        params.extended_key_usages = purposes;
        params.subject_alt_names = names;
        ca.sign(&params, &key())
    };
    let mail = || vec![SanType::Rfc822Name("ops@a.test".try_into().unwrap())];
    let uri = || vec![SanType::URI("spiffe://a.test/server".try_into().unwrap())];
    let address = || vec![SanType::IpAddress([127, 0, 0, 1].into())];
    for (purposes, names, expected) in [
        (usage(&[Eku::ServerAuth]), host(), &[][..]),
        (usage(&[Eku::ServerAuth, Eku::ClientAuth]), address(), &[]),
        (usage(&[Eku::Any]), uri(), &[]),
        (usage(&[]), host(), &[]),
        (usage(&[Eku::ClientAuth]), host(), &["lacks serverAuth"]),
        (usage(&[Eku::ServerAuth]), Vec::new(), &["no DNS name"]),
        (usage(&[Eku::ServerAuth]), mail(), &["no DNS name"]),
        (usage(&[Eku::EmailProtection]), Vec::new(), &["lacks serverAuth", "no DNS name"]),
    ] {
        let holder = server(purposes, names);
        let made = ServerCertificate::from_pem(holder.pem().as_bytes(), holder.key_pem().as_bytes()).unwrap();
        let said = made.warnings();
        assert_eq!(said.len(), expected.len(), "{said:?}");
        assert!(said.iter().zip(expected).all(|(said, words)| said.contains(words)), "{said:?}");
        // It is served all the same.
        assert_eq!(sent(made, &ca), 1);
    }
}

#[test]
fn a_certificate_that_is_not_part_of_the_servers_chain_is_told_with_its_line_and_subject() {
    let ca = Ca::new("ca");
    let (upper, lower) = (ca.intermediate("upper"), ca.intermediate("upper").intermediate("lower"));
    let server = lower.server();
    let [leaf, lower, own_upper] = [0, 1, 2].map(|at| pem(&server.chain[at]));
    // It has the name of the one that is needed, and another key.
    let namesake = pem(&upper.der);
    let (root, client) = (ca.pem(), pem(&ca.client("alice").chain[0]));
    for (chain, unrelated) in [
        (vec![&leaf, &lower, &own_upper], vec![]),
        (vec![&leaf, &lower, &own_upper, &root], vec![]),
        // In another order, which TLS 1.3 allows (RFC 8446, section 4.4.2).
        (vec![&leaf, &root, &own_upper, &lower], vec![]),
        (vec![&leaf, &lower, &client], vec![(2, "CN=alice")]),
        (vec![&leaf, &lower, &namesake], vec![(2, "CN=upper")]),
        (vec![&leaf, &lower, &own_upper, &leaf], vec![(3, "CN=localhost")]),
        // The one between is missing.
        (vec![&leaf, &own_upper, &root], vec![(1, "CN=upper"), (2, "CN=ca")]),
    ] {
        let text: String = chain.iter().map(|pem| pem.as_str()).collect();
        let made = ServerCertificate::from_pem(text.as_bytes(), server.key_pem().as_bytes()).unwrap();
        let said = made.warnings();
        assert_eq!(said.len(), unrelated.len(), "{said:?}");
        for (said, (at, subject)) in said.iter().zip(unrelated) {
            let line = chain[..at].iter().map(|pem| lines(pem)).sum::<usize>() + 1;
            assert!(said.contains(&format!("line {line}: the certificate of {subject} is not part of")), "{said}");
        }
        assert_eq!(sent(made, &ca), chain.len());
    }
    let unreadable = leaf.clone() + &pem(b"nonsense");
    let made = ServerCertificate::from_pem(unreadable.as_bytes(), server.key_pem().as_bytes()).unwrap();
    assert!(
        made.warnings()[0].contains(&format!("line {}: not a readable", lines(&leaf) + 1)),
        "{:?}",
        made.warnings()
    );
    // One past the limit: whom each of so many has signed is not looked into.
    let long = leaf + &root.repeat(16);
    let made = ServerCertificate::from_pem(long.as_bytes(), server.key_pem().as_bytes()).unwrap();
    assert!(made.warnings()[0].contains("here begin 17 certificates"), "{:?}", made.warnings());
}

/// In the lines of the start and of each reload.
#[test]
fn the_servers_certificate_is_told_at_the_start_and_at_each_reload() {
    let Site { ca, dir, .. } = site();
    let line = |holder: &Holder, names: &'static str| {
        let sha256 = mtls_min::Identity::from_der(&holder.chain[0]).unwrap().sha256().to_owned();
        move |said: &str| {
            let line = said.lines().rfind(|line| line.contains(&sha256));
            line.is_some_and(|line| {
                line.contains("server CN=localhost, ") && line.contains(", valid until ") && line.ends_with(names)
            })
        }
    };
    let first = ca.server();
    dir.write("server-crt.pem", first.pem());
    dir.write("server-key.pem", first.key_pem());
    let args = ["--ca", "ca.pem", "--cert", "server-crt.pem", "--key", "server-key.pem", "--listen", "127.0.0.1:0"];
    let serving = Serving::start(&binary(), dir.path(), &args);
    assert!(line(&first, ", for localhost a.test b.test 127.0.0.1")(&serving.stderr()), "{}", serving.stderr());
    let mut params = params("localhost");
    params.extended_key_usages = vec![Eku::ClientAuth];
    params.subject_alt_names =
        (0..10).map(|number| SanType::DnsName(format!("h{number}").try_into().unwrap())).collect();
    let second = ca.sign(&params, &key());
    for name in ["server-crt.pem", "server-key.pem"] {
        dir.replace(name, second.pem() + &second.key_pem());
    }
    let told = line(&second, ", for h0 h1 h2 h3 h4 h5 h6 h7 and 2 more");
    eventually(|| told(&serving.stderr()));
    eventually(|| serving.stderr().contains("warning: server-crt.pem: its extended key usage lacks serverAuth"));
}
