//! What `mtls-min certs` makes, in the hands of openssl, NSS, Java, curl, Chromium and a terminal.

use crate::browser::{Policy, page};
use crate::support::command::{Serving, binary};
use crate::support::files::TempDir;
use crate::tools::{sh, try_sh};

/// Clients with keys of both kinds, where the build can make them.
#[cfg(feature = "aws-lc-rs")]
const CLIENTS: [&str; 2] = ["alice", "old --rsa 2048"];
#[cfg(not(feature = "aws-lc-rs"))]
const CLIENTS: [&str; 1] = ["alice"];

/// Makes a CA, and clients with the password in the file `pw`.
fn made(init: &str, clients: &[&str]) -> TempDir {
    let dir = TempDir::new();
    dir.write("pw", "correct horse\n");
    sh(dir.path(), &certs(init));
    for client in clients {
        sh(dir.path(), &certs(&format!("client {client} --password-file pw")));
    }
    dir
}

fn certs(args: &str) -> String {
    format!("{} certs {args}", binary().display())
}

#[test]
fn openssl_imports_both_flavours_of_pkcs12() {
    let dir = made("init", &CLIENTS);
    let modern = ["MAC: sha256, Iteration 10000", "AES-256-CBC", "hmacWithSHA256"];
    let legacy = ["MAC: sha1, Iteration 10000", "pbeWithSHA1And3-KeyTripleDES-CBC"];
    for name in CLIENTS.map(|client| client.split(' ').next().unwrap()) {
        for (file, option, algorithms) in
            [(format!("{name}.p12"), "", &modern[..]), (format!("{name}.legacy.p12"), "-legacy", &legacy[..])]
        {
            let open = format!("openssl pkcs12 {option} -in certs/{file} -info -nodes");
            let said = sh(dir.path(), &format!("{open} -passin file:pw"));
            let friendly = format!("friendlyName: {name}\n");
            for part in algorithms.iter().copied().chain(["BEGIN PRIVATE KEY", "CN = mtls-min CA", &friendly]) {
                assert!(said.contains(part), "{file} has no {part}: {said}");
            }
            assert_eq!(said.matches("BEGIN CERTIFICATE").count(), 2, "{file}");
            assert!(!try_sh(dir.path(), &format!("{open} -passin pass:")).0, "{file}");
            // Key and certificate belong together.
            let key = sh(dir.path(), &format!("{open} -passin file:pw -nocerts 2>&- | openssl pkey -pubout"));
            let certificate = sh(dir.path(), &format!("openssl x509 -in certs/{name}-crt.pem -noout -pubkey"));
            assert_eq!(key, certificate, "{file}");
        }
    }
    let serial = sh(dir.path(), "openssl x509 -in certs/alice-crt.pem -noout -serial");
    let digits = serial.trim().trim_start_matches("serial=");
    assert!(digits.len() <= 32 && !digits.starts_with('-'), "{serial}");
}

#[test]
fn nss_imports_both_flavours_of_pkcs12() {
    let dir = made("init", &CLIENTS);
    for name in CLIENTS.map(|client| client.split(' ').next().unwrap()) {
        for flavour in ["p12", "legacy.p12"] {
            sh(dir.path(), "rm -rf db && mkdir db && certutil -d sql:db -N --empty-password");
            let said = sh(dir.path(), &format!("pk12util -d sql:db -i certs/{name}.{flavour} -w pw"));
            assert!(said.contains("PKCS12 IMPORT SUCCESSFUL"), "{name}.{flavour}: {said}");
            sh(
                dir.path(),
                "certutil -d sql:db -M -n 'mtls-min CA - mtls-min' -t T,, || certutil -d sql:db -A -t T,, -n ca -i certs/ca.pem",
            );
            let said = sh(dir.path(), &format!("certutil -d sql:db -V -u C -e -n 'O=mtls-min, CN={name}'"));
            assert!(said.contains("certificate is valid"), "{name}.{flavour}: {said}");
        }
    }
}

#[test]
fn java_imports_both_flavours_of_pkcs12() {
    let dir = made("init", &CLIENTS);
    for name in CLIENTS.map(|client| client.split(' ').next().unwrap()) {
        for flavour in ["p12", "legacy.p12"] {
            let list =
                format!("keytool -list -v -storetype PKCS12 -keystore certs/{name}.{flavour} -storepass:file pw");
            let said = sh(dir.path(), &list);
            for part in [&format!("Alias name: {name}"), "PrivateKeyEntry", "Certificate chain length: 2"] {
                assert!(said.contains(part), "{name}.{flavour} has no {part}: {said}");
            }
            // The key itself, not only its entry.
            let import = format!(
                "keytool -importkeystore -noprompt -srckeystore certs/{name}.{flavour} -srcstoretype PKCS12 \
                 -srcstorepass:file pw -destkeystore {name}.{flavour}.jks -deststorepass:file pw"
            );
            let said = sh(dir.path(), &import);
            assert!(said.contains("1 entries successfully imported"), "{name}.{flavour}: {said}");
        }
    }
}

/// A client below an intermediate CA, so that the chain in the file counts too: `crt.pem`, `key.pem`, `chain.pem` and `ca.pem`.
const BELOW_AN_INTERMEDIATE: &str = r"
printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n' > ca-ext
printf 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n' > ext
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca-key.pem -out ca.pem -subj /O=peers/CN=root -days 30
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout between-key.pem -out between.csr -subj /O=peers/CN=between
openssl x509 -req -in between.csr -CA ca.pem -CAkey ca-key.pem -set_serial 2 -days 20 -extfile ca-ext -out between.pem
openssl req -newkey rsa:2048 -nodes -keyout key.pem -out client.csr -subj /O=peers/CN=alice
openssl x509 -req -in client.csr -CA between.pem -CAkey between-key.pem -set_serial 3 -days 20 -extfile ext -out crt.pem
cat between.pem ca.pem > chain.pem
printf 'correct horse\n' > pw
printf 'other horse\n' > other
printf '\n' > empty
openssl pkcs12 -export -in crt.pem -inkey key.pem -certfile chain.pem -passout file:pw -out modern.p12
mkdir db && certutil -d sql:db -N --empty-password && pk12util -d sql:db -i modern.p12 -w pw
";

fn below_an_intermediate() -> TempDir {
    let dir = TempDir::new();
    BELOW_AN_INTERMEDIATE.trim().lines().for_each(|line| drop(sh(dir.path(), line)));
    dir
}

/// Makes `it.p12` of the same client, by openssl with these options.
fn export(dir: &TempDir, options: &str) {
    let parts = "-in crt.pem -inkey key.pem -certfile chain.pem";
    sh(dir.path(), &format!("openssl pkcs12 -export {parts} -passout file:pw -out it.p12 {options}"));
}

fn checked(dir: &TempDir, options: &str) -> (bool, String) {
    try_sh(dir.path(), &format!("{} check --ca ca.pem it.p12 {options}", binary().display()))
}

/// And the other way round: what others make is checked, chain included; a wrong password is reported as one.
#[test]
fn pkcs12_files_of_openssl_java_nss_and_such_as_windows_makes_are_checked() {
    let dir = below_an_intermediate();
    let openssl = |options: &str| {
        format!(
            "openssl pkcs12 -export -in crt.pem -inkey key.pem -certfile chain.pem -passout file:pw -out it.p12 {options}"
        )
    };
    // Windows has AES-256 with SHA-256, and as the default triple DES with SHA-1; keys have names of its own.
    let windows = "-iter 2000 -LMK -CSP 'Microsoft Software Key Storage Provider' -name te-6f1c7d1e-0000";
    let nss = |options: &str| format!("pk12util -d sql:db -o it.p12 -n 'alice - peers' -w pw {options}");
    let java = |options: &str| {
        format!(
            "rm -f it.p12; keytool {options} -importkeystore -noprompt -srckeystore modern.p12 -srcstoretype PKCS12 \
         -srcstorepass:file pw -destkeystore it.p12 -deststoretype PKCS12 -deststorepass:file pw"
        )
    };
    let of_nss = [
        "AES-128-CBC",
        "AES-256-CBC",
        "'PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC'",
        "'PKCS #12 V2 PBE With SHA-1 And 40 Bit RC2 CBC'",
    ];
    let commands = [
        openssl(""),
        openssl("-legacy"),
        openssl("-nomac"),
        openssl("-legacy -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-RC2-40"),
        openssl("-keypbe AES-128-CBC -certpbe AES-192-CBC -macalg sha512"),
        openssl("-keypbe DES-EDE3-CBC -certpbe DES-EDE3-CBC"),
        openssl("-certpbe NONE"),
        openssl(&format!("{windows} -keypbe AES-256-CBC -certpbe AES-256-CBC -macalg sha256")),
        openssl(&format!("{windows} -keypbe AES-256-CBC -certpbe AES-256-CBC -macalg sha1")),
        openssl(&format!("{windows} -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1")),
        java(""),
        java("-J-Dkeystore.pkcs12.legacy"),
        nss(""),
    ];
    for command in commands.into_iter().chain(of_nss.map(|method| nss(&format!("-c {method} -C {method}")))) {
        sh(dir.path(), &command);
        let (good, said) = checked(&dir, "--password-file pw");
        assert!(good && said.starts_with("authorised  CN=alice,"), "{command}: {said}");
        let (good, said) = checked(&dir, "--password-file other");
        assert!(!good && said.contains("hint: is this the password of this file?"), "{command}: {said}");
        let (good, said) = checked(&dir, "");
        assert!(
            !good && said.contains("which has a password") && said.contains("--password-file"),
            "{command}: {said}"
        );
    }
}

#[test]
fn an_empty_password_is_one_and_what_is_not_encrypted_needs_none() {
    let dir = below_an_intermediate();
    let openssl = |options: &str| {
        format!("openssl pkcs12 -export -in crt.pem -inkey key.pem -certfile chain.pem -out it.p12 {options}")
    };
    for command in [
        openssl("-passout pass:"),
        openssl("-passout pass: -legacy"),
        openssl("-passout pass: -nomac -keypbe NONE -certpbe NONE"),
        "pk12util -d sql:db -o it.p12 -n 'alice - peers' -W ''".to_owned(),
    ] {
        sh(dir.path(), &command);
        for options in ["", "--password-file empty"] {
            let (good, said) = checked(&dir, options);
            assert!(good && said.starts_with("authorised  CN=alice,"), "{command} {options}: {said}");
        }
    }
}

/// The repair in the message works.
#[test]
fn a_method_of_encryption_that_is_not_read_is_named_and_no_password_is_blamed() {
    let dir = below_an_intermediate();
    for (method, words) in [
        ("PBE-SHA1-RC2-128", "RC2 with 128 bits"),
        ("PBE-SHA1-RC4-128", "RC4 with 128 bits"),
        ("PBE-SHA1-RC4-40", "RC4 with 40 bits"),
        ("PBE-SHA1-2DES", "triple DES with two keys"),
        ("PBE-MD5-DES", "MD5 and DES"),
        ("PBE-SHA1-DES", "SHA-1 and DES"),
        ("CAMELLIA-256-CBC", "Camellia"),
        ("ARIA-256-CBC", "ARIA"),
    ] {
        for options in [format!("-keypbe {method}"), format!("-certpbe {method}")] {
            export(&dir, &format!("-legacy {options}"));
            for password in ["", "--password-file pw", "--password-file other"] {
                let (good, said) = checked(&dir, password);
                assert!(
                    !good && said.contains(&format!("a method that is not supported: {words} (1.")),
                    "{options}: {said}"
                );
                assert!(!said.contains("is this the password"), "{said}");
            }
        }
        let (_, said) = checked(&dir, "");
        let way = said.split("let openssl unpack it: ").nth(1).unwrap_or_else(|| panic!("{said}"));
        let way = way.split(" (OpenSSL 1").next().unwrap();
        let way = way
            .replace("FILE", "it.p12 -passin file:pw")
            .replace("mtls-min check", &format!("{} check --ca ca.pem", binary().display()));
        let said = sh(dir.path(), &way);
        assert!(said.contains("authorised  CN=alice,"), "{method}: {said}");
    }
}

#[test]
fn that_a_key_or_a_certificate_is_missing_or_that_there_are_two_is_said() {
    let dir = below_an_intermediate();
    let java = "keytool -storetype PKCS12 -keystore it.p12 -storepass:file pw";
    for (command, words) in [
        (
            "openssl pkcs12 -export -nokeys -in crt.pem -certfile chain.pem -passout file:pw -out it.p12",
            "there is no private key",
        ),
        ("openssl pkcs12 -export -nocerts -inkey key.pem -passout file:pw -out it.p12", "there is no certificate"),
        (&format!("rm it.p12; {java} -importcert -noprompt -file ca.pem -alias ca"), "there is no private key"),
        (
            &format!("cp modern.p12 it.p12; {java} -genkeypair -alias two -dname CN=two -keyalg EC"),
            "several keys in this PKCS#12 file, for CN=",
        ),
    ] {
        sh(dir.path(), command);
        let (good, said) = checked(&dir, "--password-file pw");
        assert!(!good && said.contains(words) && said.contains("hint: export "), "{command}: {said}");
        assert!(!said.contains("is this the password"), "{said}");
    }
}

#[test]
fn openssl_verifies_the_revocation_list_and_finds_the_revoked_on_it() {
    let dir = made("init", &["alice", "bob", "carol@example.org --email carol@example.org --uri urn:x:y"]);
    let verify = |name: &str| {
        let command = "openssl verify -x509_strict -crl_check -CAfile certs/ca.pem -CRLfile certs/crl.pem";
        try_sh(dir.path(), &format!("{command} certs/{name}-crt.pem"))
    };
    let list = "openssl crl -in certs/crl.pem -CAfile certs/ca.pem -verify -noout -text";
    assert!(sh(dir.path(), list).contains("No Revoked Certificates"));
    sh(dir.path(), &certs("revoke alice --reason key-compromise"));
    sh(dir.path(), &certs("renew bob --revoke-old --password-file pw"));
    let said = sh(dir.path(), list);
    for part in [
        "verify OK",
        "Version 2",
        "X509v3 Authority Key Identifier",
        "X509v3 CRL Number: \n                1",
        "Key Compromise",
        "Superseded",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (good, said) = verify("alice");
    assert!(!good && said.contains("certificate revoked"), "{said}");
    for name in ["bob", "carol@example.org", "server"] {
        assert!(verify(name).0, "{}", verify(name).1);
    }
    // The same for the CA of the demo and for one that openssl made.
    drop(Serving::start(&binary(), dir.path(), &["demo", "--dir", "demo", "--listen", "127.0.0.1:0"]));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/make-certs.sh");
    sh(dir.path(), &format!("mkdir script && {script} script"));
    for other in ["demo", "script"] {
        sh(dir.path(), &certs(&format!("--dir {other} client dora --password-file pw")));
        sh(dir.path(), &certs(&format!("--dir {other} revoke client1")));
        sh(dir.path(), &format!("openssl crl -in {other}/crl.pem -CAfile {other}/ca.pem -verify -noout"));
        let check = format!("openssl verify -x509_strict -crl_check -CAfile {other}/ca.pem -CRLfile {other}/crl.pem");
        sh(dir.path(), &format!("{check} {other}/dora-crt.pem"));
        let (good, said) = try_sh(dir.path(), &format!("{check} {other}/client1-crt.pem"));
        assert!(!good && said.contains("certificate revoked"), "{said}");
    }
}

/// What a thief can make with the key of the CA, against the clients that trust it.
const THIEF: &str = "
printf 'subjectAltName=DNS:other.test,OTHER\\nbasicConstraints=CA:FALSE\\n' > ext
openssl req -newkey rsa:2048 -nodes -keyout thief-key.pem -subj /CN=other.test -out thief.csr
openssl x509 -req -in thief.csr -CA certs/ca.pem -CAkey certs/ca-key.pem -set_serial 99 -days 30 -extfile ext -out thief.pem
";

#[test]
fn openssl_curl_python_nss_and_chromium_hold_the_ca_to_its_name_constraints() {
    let cases =
        [("localhost", "127.0.0.1", ""), ("localhost", "127.0.0.1", "--any-host"), ("127.0.0.1", "localhost", "")];
    for (host, other, option) in cases {
        let any = !option.is_empty();
        let dir = made(&format!("init --host {host} {option}"), &["alice", "alice.smith"]);
        let named = if other == "localhost" { "DNS:localhost" } else { "IP:127.0.0.1" };
        THIEF.replace("OTHER", named).trim().lines().for_each(|line| drop(sh(dir.path(), line)));
        let listen = ["--ca", "certs/ca.pem", "--listen", "127.0.0.1:0"];
        let honest = Serving::start(&binary(), dir.path(), &listen);
        let forged = ["--cert", "thief.pem", "--key", "thief-key.pem"];
        let forged = Serving::start(&binary(), dir.path(), &[&listen[..], &forged].concat());
        let (port, forged_port) = (honest.addr.port(), forged.addr.port());

        sh(dir.path(), "openssl verify -x509_strict -purpose sslserver -CAfile certs/ca.pem certs/server-crt.pem");
        assert_eq!(try_sh(dir.path(), "openssl verify -CAfile certs/ca.pem thief.pem").0, any);
        // OpenSSL takes a client's name with a dot for that of a host; this server does not.
        assert!(try_sh(dir.path(), "openssl verify -CAfile certs/ca.pem certs/alice-crt.pem").0);
        assert_eq!(try_sh(dir.path(), "openssl verify -CAfile certs/ca.pem certs/alice.smith-crt.pem").0, any);

        for name in ["alice", "alice.smith"] {
            let client =
                format!("curl -sS --cacert certs/ca.pem --cert certs/{name}-crt.pem --key certs/{name}-key.pem");
            assert_eq!(sh(dir.path(), &format!("{client} https://{host}:{port}/")), "hello world\n");
            let (_, said) = try_sh(dir.path(), &format!("{client} https://{other}:{forged_port}/"));
            assert_eq!(said == "hello world\n", any, "{said}");
            assert!(any || said.contains("subtree violation"), "{said}");
        }

        let python = "import ssl,socket,sys; ssl.create_default_context(cafile='certs/ca.pem').wrap_socket(socket.create_connection(('127.0.0.1',int(sys.argv[1]))),server_hostname=sys.argv[2])";
        sh(dir.path(), &format!("python3 -c \"{python}\" {port} {host}"));
        assert_eq!(try_sh(dir.path(), &format!("python3 -c \"{python}\" {forged_port} {other}")).0, any);

        sh(dir.path(), "mkdir -p .pki/nssdb && certutil -d sql:.pki/nssdb -N --empty-password");
        sh(dir.path(), "certutil -d sql:.pki/nssdb -A -t C,, -n ca -i certs/ca.pem");
        for (name, file, good) in [("honest", "certs/server-crt.pem", true), ("thief", "thief.pem", any)] {
            sh(dir.path(), &format!("certutil -d sql:.pki/nssdb -A -t ,, -n {name} -i {file}"));
            assert_eq!(try_sh(dir.path(), &format!("certutil -d sql:.pki/nssdb -V -u V -e -n {name}")).0, good);
            sh(dir.path(), &format!("certutil -d sql:.pki/nssdb -D -n {name}"));
        }

        sh(dir.path(), "pk12util -d sql:.pki/nssdb -i certs/alice.legacy.p12 -w pw");
        let _policy = Policy::new(&[format!("{host}:{port}"), format!("{other}:{forged_port}")]);
        let welcome = page(dir.path(), host, port);
        assert!(welcome.contains("You are <strong>alice</strong>"), "{welcome}");
        let refused = page(dir.path(), other, forged_port);
        assert_eq!(refused.contains("You are <strong>alice</strong>"), any, "{refused}");
    }
}

const TERMINAL: &str = r#"
import os, pty, sys, termios
answers = [word.encode().replace(b"^C", b"\x03").replace(b"^?", b"\x7f") + b"\n" for word in sys.argv[1].split(",")]
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b""
while True:
    try:
        part = os.read(fd, 1000)
    except OSError:
        break
    if not part:
        break
    shown += part
    if answers and shown.endswith(b": "):
        os.write(fd, answers.pop(0))
print(shown.decode())
settings = termios.tcgetattr(fd)
print("echo" if settings[3] & termios.ECHO and settings[3] & termios.ICANON else "no echo")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

#[test]
fn a_password_is_asked_for_twice_without_being_shown() {
    let dir = made("init", &[]);
    dir.write("terminal.py", TERMINAL);
    let ask = |answers: &str, args: &str| {
        try_sh(dir.path(), &format!("python3 terminal.py '{answers}' {} certs {args}", binary().display()))
    };
    let (good, said) = ask("correct horse,correct horse", "client alice --ask");
    assert!(good && said.contains("password for the .p12 files: ") && said.contains("once more: "), "{said}");
    assert!(!said.contains("horse"), "{said}");
    sh(dir.path(), "openssl pkcs12 -in certs/alice.p12 -passin file:pw -noout");
    for (answers, part) in
        [("correct horse,other horse", "differ"), (",", "at least 8"), ("seven77,seven77", "at least 8")]
    {
        let (good, said) = ask(answers, "client bob --ask");
        assert!(!good && said.contains(part), "{said}");
    }
    // Ctrl-C ends it, and leaves the terminal as it was; so does any other end.
    let (good, said) = ask("correct horse,corr^Cect", "client bob --ask");
    assert!(!good && said.contains("nothing was made: no password was given") && said.ends_with("\necho\n"), "{said}");
    let (good, said) = ask("correct h^?^?horse^?e,correcthorse", "client carol --ask");
    assert!(good && said.ends_with("\necho\n"), "{said}");
    let (good, said) = try_sh(dir.path(), &format!("setsid -w {}", certs("client bob --ask")));
    assert!(!good && said.contains("there is no terminal") && said.contains("--password-file"), "{said}");
    assert!(!dir.path().join("certs/bob-key.pem").exists());
}
