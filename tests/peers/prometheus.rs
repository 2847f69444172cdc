//! Prometheus: its linter finds nothing to say about the figures, and it reads them.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use crate::support::admin::ask;
use crate::support::client::eventually;
use crate::support::command::{Serving, binary, run};
use crate::support::files::TempDir;
use crate::tools::sh;

/// A server with an admin port that has had a visitor with a certificate and one without.
fn visited(dir: &TempDir) -> (Serving, SocketAddr) {
    for command in [&["certs", "init"][..], &["certs", "client", "alice"]] {
        assert!(run(dir.path(), command).status.success());
    }
    let serving = Serving::start(&binary(), dir.path(), &["--listen", "127.0.0.1:0", "--admin", "localhost:0"]);
    let said = serving.stderr();
    let admin = said.lines().find_map(|line| line.split_once("admin port: http://")?.1.trim_end().parse().ok());
    let url = format!("https://localhost:{}/", serving.addr.port());
    sh(
        dir.path(),
        &format!("curl -sSf --cacert certs/ca.pem --cert certs/alice-crt.pem --key certs/alice-key.pem {url}"),
    );
    sh(dir.path(), &format!("curl -sS --cacert certs/ca.pem {url}"));
    let admin = admin.unwrap_or_else(|| panic!("{said}"));
    eventually(|| ask(admin, "/metrics").body.contains("refusals_total{code=\"no_certificate\"} 1"));
    (serving, admin)
}

#[test]
fn promtool_has_nothing_to_say() {
    let dir = TempDir::new();
    let (_serving, admin) = visited(&dir);
    dir.write("figures", ask(admin, "/metrics").body);
    assert_eq!(sh(dir.path(), "promtool check metrics <figures"), "");
}

/// Ends with the test.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn prometheus_reads_the_figures() {
    let dir = TempDir::new();
    let (_serving, admin) = visited(&dir);
    dir.write(
        "prometheus.yml",
        format!("scrape_configs:\n- job_name: gate\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\n  static_configs:\n  - targets: ['{admin}']\n"),
    );
    sh(dir.path(), "promtool check config prometheus.yml");
    // It cannot say which port it has chosen, so this is one that was free a moment ago.
    let own = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut prometheus = Prometheus(
        Command::new("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=error"])
            .arg(format!("--web.listen-address={own}"))
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("tests/run installs prometheus"),
    );
    let query = |text: &str| {
        let url = format!("curl -sS -G --data-urlencode 'query={text}' http://{own}/api/v1/query");
        let (success, answer) = crate::tools::try_sh(dir.path(), &url);
        if success { answer } else { String::new() }
    };
    eventually(|| {
        assert!(prometheus.0.try_wait().unwrap().is_none(), "prometheus ended");
        query("mtls_min_requests_total{job=\"gate\",method=\"GET\",class=\"2xx\"}").contains(",\"1\"]")
    });
    for (text, part) in [
        ("up{job=\"gate\"}", ",\"1\"]"),
        ("mtls_min_refusals_total", "\"code\":\"no_certificate\""),
        (
            "histogram_quantile(0.99, sum by (le) (mtls_min_handshake_duration_seconds_bucket))",
            "\"resultType\":\"vector\",\"result\":[{",
        ),
        ("min(mtls_min_certificate_expires_seconds{kind=\"client\"}) > 0", "\"result\":[{"),
    ] {
        let answer = query(text);
        assert!(answer.contains(part), "{text}: {answer}");
    }
}
