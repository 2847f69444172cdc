//! Python's ssl module: an independent client, which also writes all of a body before it reads.

use crate::support::command::{Serving, binary};
use crate::support::files::TempDir;
use crate::tools::sh;

const CLIENT: &str = r#"
import http.client, ssl, sys
port, version, certificate = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "with"
context = ssl.create_default_context(cafile="certs/ca.pem")
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
if certificate:
    context.load_cert_chain("certs/client1-crt.pem", "certs/client1-key.pem")
connection = http.client.HTTPSConnection("localhost", port, context=context)
for method, body in [("GET", None), ("GET", None), ("POST", b"x" * 3000000)]:
    connection.request(method, "/", body)
    response = connection.getresponse()
    print(response.status, response.read().decode().strip())
"#;

#[test]
fn python_sees_the_same() {
    let dir = TempDir::new();
    let demo = Serving::start(&binary(), dir.path(), &["demo", "--listen", "127.0.0.1:0"]);
    dir.write("client.py", CLIENT);
    for version in ["TLSv1_2", "TLSv1_3"] {
        let ask = |with: &str| sh(dir.path(), &format!("python3 client.py {} {version} {with}", demo.addr.port()));
        assert_eq!(ask("with"), "200 hello world\n200 hello world\n405 Method Not Allowed\n");
        assert_eq!(ask("without"), "401 User is not authorized\n".repeat(3));
    }
}
