//! The files of `deploy/` that other programs read: Kubernetes' schemas and haproxy take them, and what they say of mtls-min is true.

use std::path::Path;
use std::process::Command;

use crate::support::command::run;
use crate::support::files::TempDir;
use crate::tools::sh;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join("deploy").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Validates each document by the schemas of Kubernetes, strictly: a field that they do not know is an error. Then prints the
/// documents as JSON.
const VALIDATE: &str = r#"
import json, pathlib, sys, urllib.parse, yaml
from jsonschema import Draft7Validator, RefResolver
kubernetes, name = sys.argv[1:]
documents = list(yaml.safe_load_all(open(name)))
for schemas in sorted(pathlib.Path(kubernetes).glob("v*-local-strict")):
    definitions = json.load(open(schemas / "_definitions.json"))
    for document in documents:
        group, _, version = document["apiVersion"].rpartition("/")
        parts = [document["kind"], group.split(".")[0], version]
        file = schemas / ("-".join(filter(None, parts)).lower() + ".json")
        schema = json.load(open(file))
        known = {urllib.parse.urljoin(schema.get("$id", ""), "_definitions.json"): definitions}
        resolver = RefResolver.from_schema(schema, store=known)
        for error in Draft7Validator(schema, resolver=resolver).iter_errors(document):
            sys.exit(f"{schemas.name}: {document['kind']}: {list(error.path)}: {error.message[:500]}")
print(json.dumps(documents))
"#;

fn validated(text: &str) -> (bool, String) {
    let dir = TempDir::new();
    let schemas = Path::new(ROOT).join("target/kubernetes");
    assert!(schemas.join("v1.25.0-local-strict").exists(), "tests/run downloads the schemas");
    let output = Command::new("python3")
        .args(["-W", "ignore", "-c", VALIDATE])
        .arg(&schemas)
        .arg(dir.write("file.yaml", text))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.success(), said)
}

#[test]
fn kubernetes_takes_the_file_and_no_other() {
    let text = read("kubernetes.yaml");
    let (valid, said) = validated(&text);
    assert!(valid, "{said}");
    for (from, to) in [
        ("replicas: 3", "replicas: three"),
        ("readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true"),
        ("minAvailable: 2", "minAvalaible: 2"),
        ("policyTypes: [Ingress, Egress]", "policyTypes: Ingress"),
        ("secretName: mtls-min-ca", "secret: mtls-min-ca"),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(!validated(&text.replace(from, to)).0, "{to}");
    }
}

/// The value behind a key of the YAML file, wherever it is.
fn number(text: &str, key: &str) -> f64 {
    let line = text.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("{key} is not there"))
}

#[test]
fn what_the_file_of_kubernetes_says_of_the_server_is_true() {
    let text = read("kubernetes.yaml");
    let dir = TempDir::new();
    let help = String::from_utf8(run(dir.path(), &["--help"]).stdout).unwrap();
    let arguments: Vec<&str> = text.lines().map(|line| line.trim().trim_start_matches("# ")).collect();
    let arguments: Vec<&str> = arguments.iter().filter_map(|line| line.strip_prefix("- --")).collect();
    assert!(arguments.len() > 10, "{arguments:?}");
    for argument in arguments {
        let option = argument.split('=').next().unwrap();
        assert!(help.contains(&format!("\n  --{option}")), "--{option}");
    }
    // The server is still there while a balancer notices, and is not killed before it has drained.
    let (delay, drain) = (number(&text, "--drain-delay="), number(&text, "--drain-timeout="));
    assert!(number(&text, "terminationGracePeriodSeconds:") >= delay + drain + 5.0);
    let probe = &text[text.find("readinessProbe:").unwrap()..text.find("livenessProbe:").unwrap()];
    let noticed =
        number(probe, "periodSeconds:") * number(probe, "failureThreshold:") + number(probe, "timeoutSeconds:");
    assert!(noticed < delay, "{noticed}");
    assert!(probe.contains("/readyz") && text.contains("/healthz"));
    // A file that is mounted by itself never changes; and nobody gets the key of a CA by mistake.
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    assert!(!code.contains("subPath") && !code.contains("ca-key") && !code.contains("kind: Secret"));
    assert!(number(&text, "minAvailable:") < number(&text, "replicas:"));
    assert!(text.contains(&format!("/mtls-min:{}\n", env!("CARGO_PKG_VERSION"))));
    // The image's user, and its port.
    let image = read("Containerfile");
    assert!(image.contains("\nUSER 65532:65532\n") && text.contains("runAsUser: 65532"), "{image}");
    assert!(image.contains("EXPOSE 8443/tcp 9090/tcp") && image.contains("\nFROM scratch\n"), "{image}");
}

#[test]
fn haproxy_takes_the_file_and_its_times_fit() {
    let text = read("haproxy.cfg");
    let dir = TempDir::new();
    let said = sh(dir.path(), &format!("haproxy -c -V -f {ROOT}/deploy/haproxy.cfg"));
    assert!(said.contains("Configuration file is valid") && !said.contains("WARNING"), "{said}");
    for part in ["mode tcp", "balance leastconn", "send-proxy-v2", "uri /readyz", "check port 9090"] {
        assert!(text.contains(part), "{part}");
    }
    let help = String::from_utf8(run(dir.path(), &["--help"]).stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    // The server ends silent tunnels before haproxy does.
    let tunnel = help.split("--tunnel-timeout seconds").nth(1).and_then(|rest| rest.split("(default ").nth(1)).unwrap();
    let tunnel: f64 = tunnel.split(')').next().unwrap().parse().unwrap();
    for key in ["timeout client ", "timeout server ", "timeout tunnel "] {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap();
        let minutes: f64 = line.strip_suffix('m').unwrap().parse().unwrap();
        assert!(minutes * 60.0 > tunnel, "{key}{line}");
    }
    // Its comment shows how the servers are started.
    let options = text.lines().filter(|line| line.starts_with("# ")).flat_map(str::split_whitespace);
    let options: Vec<&str> = options.filter(|word| word.starts_with("--")).collect();
    assert!(options.len() >= 6, "{options:?}");
    for option in options {
        assert!(help.contains(&format!("{} ", option.trim_end_matches([',', '.', ';']))), "{option}");
    }
    // Two failed checks are noticed before the port closes.
    let delay: f64 = text.split("--drain-delay ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    assert!(text.contains("inter 1s fall 2") && text.contains("timeout check 1s") && delay > 2.0 * 1.0 + 2.0 * 1.0);
}
