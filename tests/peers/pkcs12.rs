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

/// And the other way round: what others make of the same certificate is checked.
#[test]
fn pkcs12_files_of_openssl_and_java_are_checked_and_for_those_of_nss_there_is_a_way() {
    let dir = made("init", &["alice"]);
    let parts = "-in certs/alice-crt.pem -inkey certs/alice-key.pem -certfile certs/ca.pem";
    for (file, option) in [("modern", ""), ("legacy", "-legacy"), ("no-mac", "-nomac")] {
        sh(dir.path(), &format!("openssl pkcs12 -export {option} {parts} -passout file:pw -out {file}.p12"));
    }
    let java = "keytool -importkeystore -noprompt -srckeystore modern.p12 -srcstoretype PKCS12 -srcstorepass:file pw \
                -destkeystore java.p12 -deststoretype PKCS12 -deststorepass:file pw";
    sh(dir.path(), java);
    let check = format!("{} check", binary().display());
    for file in ["modern", "legacy", "no-mac", "java"] {
        let said = sh(dir.path(), &format!("{check} {file}.p12 --password-file pw"));
        assert!(said.starts_with("authorised  CN=alice,"), "{file}: {said}");
    }
    sh(dir.path(), "mkdir db && certutil -d sql:db -N --empty-password && pk12util -d sql:db -i modern.p12 -w pw");
    sh(dir.path(), "pk12util -d sql:db -o nss.p12 -n 'alice - mtls-min' -w pw");
    let (good, said) = try_sh(dir.path(), &format!("{check} nss.p12 --password-file pw"));
    let way = said.split("as Firefox does; ").nth(1).unwrap_or_else(|| panic!("{said}")).trim();
    assert!(!good && way.starts_with("openssl pkcs12"), "{said}");
    let way = way.replace("FILE", "nss.p12 -passin file:pw").replace("mtls-min", binary().to_str().unwrap());
    let said = sh(dir.path(), &way);
    assert!(said.starts_with("authorised  CN=alice,"), "{said}");
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
        "X509v3 CRL Number: \n                3\n",
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

/// What a thief makes with the key of the CA, against the clients that trust it.
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
import os, pty, sys
answers = [word.encode() + b"\n" for word in sys.argv[1].split(",")]
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
    let (good, said) = try_sh(dir.path(), &format!("setsid -w {}", certs("client bob --ask")));
    assert!(!good && said.contains("there is no terminal") && said.contains("--password-file"), "{said}");
    assert!(!dir.path().join("certs/bob-key.pem").exists());
}
