//! curl, and the transcript that the demo prints.

use crate::support::client::eventually;
use crate::support::command::{Serving, binary, example};
use crate::support::files::TempDir;
use crate::tools::{sh, try_sh};

#[test]
fn the_lines_that_the_demo_prints_work_when_typed() {
    let dir = TempDir::new();
    let demo = Serving::start(&binary(), dir.path(), &["demo", "--listen", "127.0.0.1:0"]);
    eventually(|| demo.stdout().contains("choose client1"));
    let said = demo.stdout();
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("  curl ")).collect();
    assert_eq!(lines.len(), 2);
    let silent = |line: &str| sh(dir.path(), &line.replacen("curl ", "curl -sS ", 1));
    assert_eq!(silent(lines[0]), "hello world\n");
    assert_eq!(silent(lines[1]), "User is not authorized\n");
    for version in ["--tls-max 1.2", "--tlsv1.3"] {
        let with = format!("{} {version} -w '%{{http_code}} %{{ssl_verify_result}}'", lines[0]);
        assert_eq!(silent(&with), "hello world\n200 0");
        let without = format!("{} {version} -o /dev/null -w '%{{http_code}}'", lines[1]);
        assert_eq!(silent(&without), "401");
    }
    // Kept alive, HEAD, and the page.
    let twice = format!("{0} {1} -w '%{{num_connects}}\\n'", lines[0], lines[0].trim().rsplit(' ').next().unwrap());
    assert_eq!(silent(&twice), "hello world\n1\nhello world\n0\n");
    assert!(silent(&format!("{} -I", lines[0])).starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(silent(&format!("{} -H 'Accept: text/html'", lines[0])).contains("<strong>client1</strong>"));
    // curl does not offer a password at the challenge.
    assert!(silent(&format!("{} -i --anyauth -u a:b", lines[1])).contains("401 Unauthorized"));
    // A second demo overwrites nothing and knows the password.
    let again = Serving::start(&binary(), dir.path(), &["demo", "--listen", "127.0.0.1:0"]);
    eventually(|| again.stdout().contains("choose client1"));
    let password = std::fs::read_to_string(dir.path().join("certs/client1-p12-password.txt")).unwrap();
    assert!(again.stdout().contains(password.trim()));
}

#[test]
fn plain_http_to_the_port_is_told_to_use_https() {
    let dir = TempDir::new();
    let demo = Serving::start(&binary(), dir.path(), &["demo", "--listen", "127.0.0.1:0"]);
    let said = sh(dir.path(), &format!("curl -sS http://{}/", demo.addr));
    assert_eq!(said, "This port speaks HTTPS: use https:// instead.\n");
}

#[test]
fn curl_uploads_a_file_that_it_first_asks_leave_for() {
    let dir = TempDir::new();
    let demo = Serving::start(&binary(), dir.path(), &["demo", "--listen", "127.0.0.1:0"]);
    drop(demo);
    let upload = Serving::start(&example("upload"), dir.path(), &["127.0.0.1:0"]);
    dir.write("file", vec![b'x'; 5_000_000]);
    let port = upload.addr.port();
    let curl = "curl -sS --cacert certs/ca.pem --cert certs/client1-crt.pem --key certs/client1-key.pem";
    assert_eq!(
        sh(dir.path(), &format!("{curl} -H 'Expect: 100-continue' -T file https://localhost:{port}/a")),
        "Created\n"
    );
    assert_eq!(
        sh(dir.path(), &format!("{curl} -H 'Transfer-Encoding: chunked' -T file https://localhost:{port}/b")),
        "Created\n"
    );
    sh(dir.path(), "cmp file uploads/*/a && cmp file uploads/*/b");
    // Refused while it sends.
    let refused = format!("curl -sS --cacert certs/ca.pem -T file https://localhost:{port}/c");
    assert_eq!(sh(dir.path(), &refused), "User is not authorized\n");
    let (_, strict) = try_sh(dir.path(), &format!("{refused} -H 'Expect: 100-continue'"));
    assert_eq!(strict, "User is not authorized\n");
}

#[test]
fn curl_goes_on_with_a_download_that_was_cut() {
    let dir = TempDir::new();
    let content: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::create_dir(dir.path().join("www")).unwrap();
    dir.write("www/file.bin", &content);
    dir.write("www/page.html", "<p>a page");
    sh(dir.path(), "gzip -k www/page.html");
    let demo = Serving::start(&binary(), dir.path(), &["demo", "--files", "www", "--listen", "127.0.0.1:0"]);
    let port = demo.addr.port();
    let curl = "curl -sS --cacert certs/ca.pem --cert certs/client1-crt.pem --key certs/client1-key.pem";
    let file = format!("https://localhost:{port}/file.bin");
    // It breaks the connection when nobody takes what it has got.
    let (_, cut) = try_sh(dir.path(), &format!("{curl} {file} | head -c 3000001 >file.bin"));
    assert!(cut.contains("curl: (23)"), "{cut}");
    let rest = sh(dir.path(), &format!("{curl} -C - -O {file} -w '%{{http_code}} %{{size_download}}'"));
    assert_eq!(rest, "206 4999999");
    assert!(std::fs::read(dir.path().join("file.bin")).unwrap() == content);
    // What is whole already is not sent once more.
    let (_, again) = try_sh(dir.path(), &format!("{curl} -C - -O {file} -w '%{{http_code}}'"));
    assert!(again.contains("416"), "{again}");
    assert!(std::fs::read(dir.path().join("file.bin")).unwrap() == content);

    let page = format!("https://localhost:{port}/page.html");
    assert_eq!(sh(dir.path(), &format!("{curl} --compressed {page}")), "<p>a page");
    let fields = sh(dir.path(), &format!("{curl} --compressed -I {page}")).to_lowercase();
    assert!(fields.contains("content-encoding: gzip\r\n") && fields.contains("vary: accept-encoding\r\n"), "{fields}");
}
