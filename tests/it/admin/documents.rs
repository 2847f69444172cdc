//! What documents and the dashboard say of the figures is what is printed.

use std::collections::BTreeSet;
use std::fs;

use crate::support::admin::start;
use crate::support::client::{TLS13, get};
use crate::support::pki::Ca;
use crate::support::server::trust;
use crate::support::tree::root;

/// Name, type and help of each figure, as printed.
fn printed() -> Vec<(String, String, String)> {
    let text = start(trust(&Ca::new("ca")), |builder| builder).ask("/metrics").body;
    let helps = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    helps
        .zip(types)
        .map(|((name, help), (same, kind))| {
            assert_eq!(name, same);
            (name.to_owned(), kind.to_owned(), help.to_owned())
        })
        .collect()
}

#[test]
fn the_manual_has_every_figure_with_its_type_and_its_help() {
    let manual = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let rows =
        printed().into_iter().map(|(name, kind, help)| (format!("| `{name}` | {kind} |"), format!("| {help} |")));
    let mut known = 0;
    for (start, end) in rows {
        let row = manual.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("docs/metrics.md has no row that begins {start}"));
        assert!(row.ends_with(&end), "the help is {end}, not as in: {row}");
        known += 1;
    }
    assert_eq!(manual.lines().filter(|line| line.starts_with("| `mtls_min_")).count(), known);
}

#[test]
fn the_dashboard_uses_only_figures_that_exist() {
    let ca = Ca::new("ca");
    let watched = start(trust(&ca), |builder| builder);
    assert_eq!(get(watched.running.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
    assert_eq!(get(watched.running.addr, None, &TLS13).unwrap().status, 401);
    let mut there: BTreeSet<String> = printed().into_iter().map(|(name, ..)| name).collect();
    let samples = watched.figures();
    there.extend(samples.0.keys().map(|sample| sample.split('{').next().unwrap().to_owned()));
    let dashboard = fs::read_to_string(root().join("deploy/grafana.json")).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(parsed["panels"].as_array().unwrap().len() >= 8);
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let used: BTreeSet<&str> = dashboard
        .match_indices("mtls_min_")
        .map(|(at, _)| dashboard[at..].split(|c| !is_part(c)).next().unwrap())
        .collect();
    assert!(used.len() >= 12, "{used:?}");
    let missing: Vec<_> = used.iter().filter(|name| !there.contains(**name)).collect();
    assert!(missing.is_empty(), "deploy/grafana.json uses {missing:?}, and there are {there:#?}");
}
