//! What the log says about other programs whose handshake fails, and that its JSON is JSON.

use crate::support::client::eventually;
use crate::support::command::{Serving, binary, run};
use crate::support::files::TempDir;
use crate::tools::{sh, try_sh};

#[test]
fn other_programs_whose_handshakes_fail_are_told_why_and_every_line_is_json_to_python() {
    let dir = TempDir::new();
    assert!(run(dir.path(), &["certs", "init"]).status.success());
    let serving = Serving::start(&binary(), dir.path(), &["--listen", "127.0.0.1:0", "--log", "json"]);
    let port = serving.addr.port();
    let s_client =
        format!("echo | openssl s_client -connect localhost:{port} -CAfile certs/ca.pem -verify_return_error");
    for (command, code) in [
        (format!("curl -sS https://localhost:{port}/"), "server_not_trusted"),
        (format!("echo | openssl s_client -connect localhost:{port} -verify_return_error"), "server_not_trusted"),
        (format!("{s_client} -verify_hostname example.org"), "server_not_trusted"),
        (format!("{s_client} -tls1 -cipher ALL@SECLEVEL=0"), "no_common_version"),
        (format!("{s_client} -tls1_1 -cipher ALL@SECLEVEL=0"), "no_common_version"),
        (format!("{s_client} -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA"), "no_common_cipher"),
        (format!("{s_client} -tls1_3 -groups secp521r1"), "no_common_cipher"),
        (format!("{s_client} -alpn h2"), "no_common_protocol"),
    ] {
        let before = serving.stderr().len();
        assert!(!try_sh(dir.path(), &command).0, "{command}");
        let wanted = format!("\"code\":\"{code}\",\"repair\":\"");
        eventually(|| serving.stderr()[before..].contains(&wanted));
    }
    // A name and a target that try to end their quotation marks.
    let subject = "/CN=a\\\"b\\\\c\\n";
    sh(
        dir.path(),
        &format!(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out c -subj '{subject}'"
        ),
    );
    sh(dir.path(), &format!("curl -sS --cacert certs/ca.pem --cert c --key k 'https://localhost:{port}/?\\\\a'"));
    eventually(|| serving.stdout().lines().count() == 1);
    dir.write("out", serving.stdout() + &serving.stderr());
    let lines =
        sh(dir.path(), "python3 -c 'import json; print(len([json.loads(line)[\"time\"] for line in open(\"out\")]))'");
    assert!(lines.trim().parse::<usize>().unwrap() > 10, "{lines}");
}
