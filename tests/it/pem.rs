//! Row T18 of the immunity matrix: in every PEM file, each block counts or is an error that names the line.

use mtls_min::ServerCertificate;

use crate::support::pem_site::{FILES, in_full, lines, sent, site};
use crate::support::pki::{armour, write};

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The first block whole, then the second one damaged: the text, the line at fault, and what the error must say.
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
        ("no BEGIN line", border(&format!("-----BEGIN {label}-----\n"), ""), begin, "without a -----BEGIN line"),
        ("no borders", after(base64.clone() + "\n"), begin, "without a -----BEGIN line"),
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
    // Two files, each with more in it than is read from it.
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
