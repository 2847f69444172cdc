//! openssl: the usual article's certificates, our script's, odd keys, and the PKCS#12 file.

use crate::support::client::eventually;
use crate::support::command::{Serving, binary};
use crate::support::files::TempDir;
use crate::tools::{sh, try_sh};

/// The commands of the usual article, word for word except for the questions they ask.
const ARTICLE: &str = "
openssl req -new -x509 -days 365 -nodes -subj /CN=ca -keyout ca-key.pem -out ca.pem
openssl genrsa -out server-key.pem 4096
openssl req -new -sha256 -key server-key.pem -subj /CN=localhost -out server-csr.pem
openssl x509 -req -days 365 -in server-csr.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out server-crt.pem
openssl genrsa -out client1-key.pem 4096
openssl req -new -sha256 -key client1-key.pem -subj /CN=client1 -out client1-csr.pem
openssl x509 -req -days 365 -in client1-csr.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out client1-crt.pem
";

const FILES: [&str; 8] =
    ["--ca", "ca.pem", "--cert", "server-crt.pem", "--key", "server-key.pem", "--listen", "127.0.0.1:0"];

fn curl(serving: &Serving, options: &str) -> String {
    let client = "--cert client1-crt.pem --key client1-key.pem";
    format!("curl -sS --cacert ca.pem {client} {options} https://localhost:{}/", serving.addr.port())
}

#[test]
fn the_usual_articles_certificates_are_served_refused_and_let_in_on_request() {
    let dir = TempDir::new();
    for command in ARTICLE.trim().lines() {
        sh(dir.path(), command);
    }
    let refusing = Serving::start(&binary(), dir.path(), &FILES);
    let accepting = Serving::start(&binary(), dir.path(), &[&FILES[..], &["--accept-v1"]].concat());
    let version_1 = sh(dir.path(), "openssl x509 -in client1-crt.pem -noout -text").contains("Version: 1");
    for version in ["--tls-max 1.2", "--tlsv1.3"] {
        assert_eq!(sh(dir.path(), &curl(&accepting, version)), "hello world\n");
        let expected = if version_1 { "User is not authorized\n" } else { "hello world\n" };
        assert_eq!(sh(dir.path(), &curl(&refusing, version)), expected);
    }
    if version_1 {
        eventually(|| refusing.stdout().matches("refused=x509_v1 ").count() == 2);
        assert!(refusing.stdout().contains("-extfile FILE), or allow it with --accept-v1"));
        assert!(refusing.stderr().contains("server-crt.pem is an X.509 version 1 certificate"));
    }
}

#[test]
fn what_make_certs_sh_makes_works_and_is_not_overwritten() {
    let dir = TempDir::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/make-certs.sh");
    let said = sh(dir.path(), &format!("{script} ."));
    assert!(said.contains("the password of client1.p12 is "), "{said}");
    let before = sh(dir.path(), "ls; cat *");
    let (success, said) = try_sh(dir.path(), &format!("{script} ."));
    assert!(!success && said.contains("ca.pem is there already; nothing was made"), "{said}");
    assert_eq!(sh(dir.path(), "ls; cat *"), before);
    assert_eq!(sh(dir.path(), "stat -c %a ca-key.pem server-key.pem client1-key.pem client1*.p12 | sort -u"), "600\n");
    sh(dir.path(), "openssl verify -purpose sslclient -x509_strict -CAfile ca.pem client1-crt.pem");
    sh(dir.path(), "openssl verify -purpose sslserver -x509_strict -CAfile ca.pem server-crt.pem");

    let serving = Serving::start(&binary(), dir.path(), &FILES);
    assert!(!serving.stderr().contains("warning"), "{}", serving.stderr());
    assert_eq!(sh(dir.path(), &curl(&serving, "")), "hello world\n");
    // The demo takes them as they are.
    let demo = Serving::start(&binary(), dir.path(), &["demo", "--dir", ".", "--listen", "127.0.0.1:0"]);
    assert!(demo.stderr().contains("using the certificates in ."), "{}", demo.stderr());
    assert_eq!(
        sh(dir.path(), "ls"),
        before.lines().take_while(|line| !line.starts_with("---")).map(|l| l.to_owned() + "\n").collect::<String>()
    );
}

/// Both ways of making certificates make the same: what one leaves out, the other completes.
#[test]
fn the_demo_completes_what_make_certs_sh_made() {
    let dir = TempDir::new();
    sh(dir.path(), concat!(env!("CARGO_MANIFEST_DIR"), "/certs/make-certs.sh ."));
    for missing in ["client1*.p12", "client1*"] {
        sh(dir.path(), &format!("rm -f {missing}"));
        let demo = Serving::start(&binary(), dir.path(), &["demo", "--dir", ".", "--listen", "127.0.0.1:0"]);
        assert_eq!(sh(dir.path(), &curl(&demo, "")), "hello world\n", "without {missing}");
        for file in ["client1.p12", "client1.legacy.p12 -legacy"] {
            sh(dir.path(), &format!("openssl pkcs12 -in {file} -passin file:client1-p12-password.txt -noout"));
        }
    }
}

#[test]
fn both_ways_make_certificates_with_the_same_extensions() {
    let dir = TempDir::new();
    sh(dir.path(), &format!("mkdir script && {} script", concat!(env!("CARGO_MANIFEST_DIR"), "/certs/make-certs.sh")));
    drop(Serving::start(&binary(), dir.path(), &["demo", "--dir", "demo", "--listen", "127.0.0.1:0"]));
    let common = ["Version: 3", "prime256v1", "X509v3 Subject Key Identifier"];
    let leaf = ["Authority Key Identifier", "X509v3 Key Usage: critical", "Digital Signature", "CA:FALSE"];
    for made_by in ["script", "demo"] {
        for (name, parts) in [
            (
                "ca",
                &[
                    "X509v3 Basic Constraints: critical",
                    "CA:TRUE, pathlen:0",
                    "X509v3 Key Usage: critical",
                    "Certificate Sign, CRL Sign",
                ][..],
            ),
            (
                "server-crt",
                &["TLS Web Server Authentication", "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1"][..],
            ),
            ("client1-crt", &["TLS Web Client Authentication", "CN = client1"][..]),
        ] {
            let text = sh(dir.path(), &format!("openssl x509 -in {made_by}/{name}.pem -noout -text"));
            let wanted = common.iter().chain(parts).chain(if name == "ca" { &[][..] } else { &leaf[..] });
            for part in wanted {
                assert!(text.contains(part), "{made_by}/{name} has no {part}: {text}");
            }
            let serial = sh(dir.path(), &format!("openssl x509 -in {made_by}/{name}.pem -noout -serial"));
            assert!(serial.trim().trim_start_matches("serial=").len() <= 32 && !serial.contains('-'), "{serial}");
        }
    }
}

#[test]
fn the_demos_certificates_are_strictly_valid_and_its_p12_imports() {
    let dir = TempDir::new();
    let demo = Serving::start(&binary(), dir.path(), &["demo", "--listen", "127.0.0.1:0"]);
    drop(demo);
    for (purpose, name) in [("sslclient", "client1"), ("sslserver", "server")] {
        sh(
            dir.path(),
            &format!("openssl verify -purpose {purpose} -x509_strict -CAfile certs/ca.pem certs/{name}-crt.pem"),
        );
    }
    let p12 = sh(dir.path(), "openssl pkcs12 -in certs/client1.p12 -passin file:certs/client1-p12-password.txt -nodes");
    assert!(
        p12.contains("BEGIN PRIVATE KEY") && p12.contains("CN = client1") && p12.contains("throw-away CA"),
        "{p12}"
    );
    let info =
        sh(dir.path(), "openssl pkcs12 -in certs/client1.p12 -passin file:certs/client1-p12-password.txt -nodes -info");
    for part in ["friendlyName: client1", "AES-256-CBC", "hmacWithSHA256", "MAC: sha256"] {
        assert!(info.contains(part), "{part}: {info}");
    }
    assert!(!try_sh(dir.path(), "openssl pkcs12 -in certs/client1.p12 -passin pass: -noout").0);
    sh(dir.path(), "mkdir db && certutil -d sql:db -N --empty-password");
    let imported = sh(dir.path(), "pk12util -d sql:db -i certs/client1.p12 -w certs/client1-p12-password.txt");
    assert!(imported.contains("PKCS12 IMPORT SUCCESSFUL"), "{imported}");
}

/// Keys that rcgen cannot make. Where possession cannot be proven, the handshake fails with an alert and the log says why;
/// where openssl does not even offer the certificate, the client is one without.
#[test]
fn t13_keys_that_are_too_short_too_long_or_unknown_are_refused() {
    let dir = TempDir::new();
    sh(dir.path(), concat!(env!("CARGO_MANIFEST_DIR"), "/certs/make-certs.sh ."));
    let serving = Serving::start(&binary(), dir.path(), &FILES);
    let cases = [
        ("rsa2048", "genrsa -out k 2048", "200"),
        ("rsa8192", "genrsa -out k 8192", "200"),
        ("rsa1024", "genrsa -out k 1024", "refused=weak_key"),
        ("secp256k1", "ecparam -name secp256k1 -genkey -noout -out k", "401"),
        ("ed448", "genpkey -algorithm ed448 -out k", "401"),
    ];
    for (name, make, expected) in cases {
        sh(dir.path(), &format!("openssl {}", make.replace(" k", &format!(" {name}.key"))));
        let issue = format!(
            "printf 'basicConstraints=CA:FALSE\\n' > ext && openssl req -new -key {name}.key -subj /CN={name} -out {name}.csr && \
             openssl x509 -req -in {name}.csr -CA ca.pem -CAkey ca-key.pem -set_serial 77 -days 9 -extfile ext -out {name}.crt"
        );
        sh(dir.path(), &issue);
        for version in ["-tls1_2", "-tls1_3"] {
            let ask = format!(
                "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet -connect {} {version} \\
                 -cipher DEFAULT@SECLEVEL=0 -cert {name}.crt -key {name}.key",
                serving.addr
            );
            let (_, said) = try_sh(dir.path(), &ask);
            match expected {
                "200" => assert!(
                    said.contains("HTTP/1.1 200 OK") && said.contains("hello world"),
                    "{name} {version}: {said}"
                ),
                "401" => assert!(said.contains("HTTP/1.1 401 ") || said.contains("alert"), "{name} {version}: {said}"),
                _ => assert!(said.contains("alert certificate unknown"), "{name} {version}: {said}"),
            }
        }
        if expected.starts_with("refused") {
            eventually(|| serving.stderr().matches(expected).count() == 2);
        }
    }
    let log = serving.stdout();
    assert!(!log.contains("CN=secp256k1") && !log.contains("CN=ed448"), "{log}");
}

#[test]
fn r1_openssl_gets_no_ticket() {
    let dir = TempDir::new();
    let demo = Serving::start(&binary(), dir.path(), &["demo", "--listen", "127.0.0.1:0"]);
    for version in ["-tls1_2", "-tls1_3"] {
        for client in ["", "-cert certs/client1-crt.pem -key certs/client1-key.pem"] {
            let ask = format!(
                "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -connect {} {version} {client} -CAfile certs/ca.pem -ign_eof -sess_out session",
                demo.addr
            );
            let (_, said) = try_sh(dir.path(), &ask);
            assert!(said.contains(if client.is_empty() { "401" } else { "200" }), "{said}");
            assert!(!said.contains("TLS session ticket:") && !said.contains("New Session Ticket"), "{said}");
        }
    }
    let said = sh(dir.path(), &format!("openssl s_client -connect {} -CAfile certs/ca.pem < /dev/null", demo.addr));
    assert!(said.contains("CN = mtls-min throw-away CA"), "the CA is named to the client");
}

#[test]
fn encrypted_keys_are_named_with_the_command_that_decrypts_them() {
    let dir = TempDir::new();
    sh(dir.path(), concat!(env!("CARGO_MANIFEST_DIR"), "/certs/make-certs.sh ."));
    sh(dir.path(), "openssl pkey -in server-key.pem -aes256 -passout pass:x -out encrypted.pem");
    let (success, said) =
        try_sh(dir.path(), &format!("{} --ca ca.pem --cert server-crt.pem --key encrypted.pem", binary().display()));
    assert!(!success && said.contains("openssl pkey -in encrypted.pem -out decrypted-key.pem"), "{said}");
    // Every other form of a key is read.
    for (form, make) in [
        ("sec1", "openssl ec -in server-key.pem -out form.pem"),
        ("pkcs8", "openssl pkcs8 -topk8 -nocrypt -in server-key.pem -out form.pem"),
    ] {
        sh(dir.path(), make);
        let args = ["--ca", "ca.pem", "--cert", "server-crt.pem", "--key", "form.pem", "--listen", "127.0.0.1:0"];
        let serving = Serving::start(&binary(), dir.path(), &args);
        assert_eq!(sh(dir.path(), &curl(&serving, "")), "hello world\n", "{form}");
    }
}

/// A CA as openssl makes it: parameters before a SEC1 key, several attributes of a kind in its name, a list of its own.
#[test]
fn certs_goes_on_with_the_ca_and_the_list_of_openssl() {
    const CONFIGURATION: &str = "[ca]\ndefault_ca=d\n[d]\ndatabase=base/index.txt\ncrlnumber=base/number\ndefault_md=sha256\n\
        default_crl_days=30\ncrl_extensions=x\nnew_certs_dir=base\nserial=base/serial\npolicy=p\nx509_extensions=e\n[p]\n\
        commonName=supplied\n[x]\nauthorityKeyIdentifier=keyid\n[e]\nextendedKeyUsage=clientAuth\n";
    let dir = TempDir::new();
    dir.write("openssl.cnf", CONFIGURATION);
    let name = "/DC=org/DC=example/OU=one/OU=two/CN=The CA";
    let ca = "-config openssl.cnf -cert certs/ca.pem -keyfile certs/ca-key.pem";
    for command in [
        "mkdir certs base && : > base/index.txt && echo 05 > base/number && echo 4242 > base/serial",
        "openssl ecparam -name secp384r1 -genkey -out certs/ca-key.pem",
        &format!(
            "openssl req -x509 -new -key certs/ca-key.pem -days 99 -subj '{name}' \
             -addext keyUsage=critical,keyCertSign,cRLSign -out certs/ca.pem"
        ),
        "openssl req -newkey rsa:2048 -nodes -keyout bob.key -subj /CN=bob -out bob.csr",
        &format!("openssl ca {ca} -batch -in bob.csr -days 9 -out bob.pem"),
        &format!("openssl ca {ca} -revoke bob.pem -crl_reason keyCompromise"),
        &format!("openssl ca {ca} -gencrl -out certs/crl.pem"),
    ] {
        sh(dir.path(), command);
    }
    let certs = |args: &str| sh(dir.path(), &format!("{} certs {args}", binary().display()));
    let (good, said) = try_sh(dir.path(), &format!("{} certs client alice", binary().display()));
    assert!(!good && said.contains("certs crl --adopt"), "{said}");
    certs("crl --adopt");
    certs("client alice");
    certs("client carol");
    certs("revoke carol");
    let verify = "openssl verify -x509_strict -crl_check -CAfile certs/ca.pem -CRLfile certs/crl.pem";
    sh(dir.path(), &format!("{verify} certs/alice-crt.pem"));
    for revoked in ["bob.pem", "certs/carol-crt.pem"] {
        let (good, said) = try_sh(dir.path(), &format!("{verify} {revoked}"));
        assert!(!good && said.contains("certificate revoked"), "{said}");
    }
    // With its own database beside it, nothing is done at all.
    sh(dir.path(), "cp base/index.txt certs/index.txt");
    let (good, said) = try_sh(dir.path(), &format!("{} certs crl", binary().display()));
    assert!(!good && said.contains("it is the database of `openssl ca`"), "{said}");
}
