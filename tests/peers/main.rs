//! The tests against other programs (curl, haproxy, openssl, node, Python, NSS, Java, Chromium, logrotate, fail2ban, systemd, Prometheus), with applications behind the gate, and of
//! the smallest build. `tests/run` installs what is missing and runs them; none of them is skipped.

#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "shared with the other tests; each uses a part")]
mod support;

mod balanced;
mod behind;
mod browser;
mod completions;
mod curl;
mod deploy;
mod log;
mod log_file;
mod node;
mod openssl;
mod operate;
mod pkcs12;
mod pkits;
#[cfg(feature = "admin")]
mod prometheus;
mod python;
#[cfg(feature = "admin")]
mod replicas;
mod revocation;
mod sandbox;
mod smallest;
mod systemd;
mod tools;
mod verdicts;
