//! The transcript of the guide's recipe: certificates made, used, and revoked under a running server.

use std::time::Instant;

use crate::support::client::{GET, VERSIONS, config, connect, eventually, exchange};
use crate::support::command::{Serving, binary};
use crate::support::files::TempDir;
use crate::support::pki::Holder;
use crate::tools::{sh, try_sh};

/// Every line of the recipe in the guide, with another port and the server's options to listen there.
#[test]
fn the_recipe_of_the_guide_works_when_typed() {
    let guide = include_str!("../../docs/guide.md");
    let recipe = guide.split("## Make and revoke certificates\n").nth(1).unwrap();
    let recipe = recipe.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let lines: Vec<&str> = recipe.lines().collect();
    let commands: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert_eq!(commands.len(), 6, "{recipe}");
    let dir = TempDir::new();
    let typed = |line: &str| sh(dir.path(), &line.replacen("mtls-min", binary().to_str().unwrap(), 1));
    typed(commands[0]);
    typed(commands[1]);
    let options: Vec<&str> = commands[2].split(' ').skip(1).chain(["--listen", "127.0.0.1:0"]).collect();
    let serving = Serving::start(&binary(), dir.path(), &options);
    let curl = |line: &str| {
        let port = serving.addr.port().to_string();
        sh(dir.path(), &line.replacen("curl", "curl -sS", 1).replacen("4433", &port, 1))
    };
    assert_eq!(curl(commands[3]), "hello world\n");

    // Meanwhile two connections are open, which have been let in.
    let alice = holder(&dir);
    let mut open = VERSIONS.map(|version| connect(serving.addr, config(Some(&alice), version)));
    for stream in &mut open {
        assert_eq!(exchange(stream, GET).unwrap().status, 200);
    }
    assert!(typed(commands[4]).starts_with("revoked alice, serial "));
    let revoked = Instant::now();
    eventually(|| curl(commands[5]) == "User is not authorized\n");
    println!("refused {:?} after `certs revoke` had ended", revoked.elapsed());
    for stream in &mut open {
        assert!(exchange(stream, GET).map_or(true, |reply| reply.status == 401));
    }
    eventually(|| serving.stdout().contains("refused=revoked") && serving.stdout().contains("reason keyCompromise"));
    assert_eq!(lines.last(), Some(&"User is not authorized"));
}

fn holder(dir: &TempDir) -> Holder {
    use rustls::pki_types::pem::PemObject;
    let path = |name: &str| dir.path().join("certs").join(name);
    Holder {
        chain: vec![rustls::pki_types::CertificateDer::from_pem_file(path("alice-crt.pem")).unwrap()],
        key: rustls::pki_types::PrivateKeyDer::from_pem_file(path("alice-key.pem")).unwrap(),
    }
}

/// A list that `openssl ca -gencrl` makes, with the configuration of its manual; and by default, without numbers.
#[test]
fn a_list_made_by_openssl_is_heeded_with_a_number_and_without_one() {
    let dir = TempDir::new();
    dir.write(
        "ca.cnf",
        "[ca]\ndefault_ca = c\n[c]\ndatabase = index\ndefault_md = sha256\ncertificate = ca.pem\nprivate_key = ca.key\n\
         crlnumber = number\ncrl_extensions = e\n[e]\nauthorityKeyIdentifier = keyid\n",
    );
    dir.write("index", "");
    dir.write("number", "01\n");
    sh(
        dir.path(),
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ossl -days 9 && \
         for name in alice bob; do \
         openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key -out csr -subj /CN=$name && \
         printf 'keyUsage=digitalSignature\\n' > ext && \
         openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 5 -extfile ext -out $name.pem; done && \
         sed /crlnumber/d ca.cnf > old.cnf && sed -i /crl_extensions/d old.cnf && \
         openssl ca -config old.cnf -gencrl -crldays 3 -out v1.pem && openssl crl -in v1.pem -noout -text | grep 'Version 1' && \
         openssl ca -config ca.cnf -revoke bob.pem -crl_reason superseded && \
         openssl ca -config ca.cnf -gencrl -crldays 3 -out crl.pem && openssl crl -in crl.pem -outform der -out crl.der && \
         openssl ca -config old.cnf -gencrl -crldays 3 -out v2.pem",
    );
    let check = |list: &str, name: &str| {
        try_sh(dir.path(), &format!("{} check --ca ca.pem --crl {list} {name}.pem", binary().display()))
    };
    for list in ["crl.pem", "crl.der"] {
        let (success, said) = check(list, "alice");
        assert!(success && said.contains("list number 1 of CN=ossl"), "{said}");
        let (success, said) = check(list, "bob");
        assert!(!success && said.starts_with("refused: revoked") && said.contains("reason superseded"), "{said}");
    }
    // Of version 1, with nobody revoked; then of version 2, for the reason's sake.
    for list in ["v1.pem", "v2.pem"] {
        let (success, said) = check(list, "alice");
        assert!(success && said.contains("list of 20") && said.contains("of CN=ossl"), "{said}");
    }
    let (success, said) = check("v2.pem", "bob");
    assert!(!success && said.starts_with("refused: revoked") && said.contains("reason superseded"), "{said}");
}
