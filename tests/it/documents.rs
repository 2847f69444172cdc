//! The documents are compared with the code: links, names of tests and functions, codes, examples.

use std::fs;
use std::path::PathBuf;

use crate::support::tree::{root, sources};

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The documents for readers, by their paths.
fn documents() -> Vec<String> {
    let mut names =
        ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "certs/README.md"].map(str::to_owned).to_vec();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            names.push(format!("docs/{name}"));
        }
    }
    assert!(names.len() > 10, "{names:?}");
    names
}

/// The links of a document, `[text](target)`: text and target. Not those in blocks of code.
fn links(text: &str) -> Vec<(&str, &str)> {
    let prose: Vec<&str> = text.split("```").step_by(2).collect();
    let ends = prose.iter().flat_map(|part| part.match_indices("](").map(move |(at, _)| (*part, at)));
    ends.map(|(part, at)| {
        let text = part[..at].rsplit('[').next().unwrap();
        let target = part[at + 2..].split(')').next().unwrap();
        (text, target)
    })
    .collect()
}

/// Where a relative link of a document leads.
fn target(document: &str, link: &str) -> PathBuf {
    root().join(document).parent().unwrap().join(link)
}

/// The anchors of a document, as GitHub makes them of its headings.
fn anchors(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    let headings = prose.lines().filter_map(|line| line.strip_prefix('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        text.chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_relative_link_leads_to_a_file_and_to_a_heading_of_it() {
    for document in documents() {
        let text = read(&document);
        for (_, link) in links(&text).into_iter().filter(|(_, link)| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() { root().join(&document) } else { target(&document, file) };
            assert!(path.exists(), "{document} links to {link}, which does not exist");
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&path).unwrap());
                assert!(there.iter().any(|known| known == anchor), "{document} links to {link}; there are {there:?}");
            }
        }
    }
}

/// The rows of the tables of a document, without their headings.
fn rows(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let is_row = |at: usize| lines[at].starts_with('|') && !lines[at].starts_with("| ---");
    let is_heading = |at: usize| lines.get(at + 1).is_some_and(|next| next.starts_with("| ---"));
    (0..lines.len()).filter(|at| is_row(*at) && !is_heading(*at)).map(|at| lines[at]).collect()
}

/// The functions that a row names as [`function`](file): each is in its file.
#[track_caller]
fn check_functions(document: &str, row: &str) {
    let functions: Vec<_> = links(row).into_iter().filter(|(text, _)| text.starts_with('`')).collect();
    assert!(!functions.is_empty(), "{document} names no function in: {row}");
    for (name, file) in functions {
        let name = name.trim_matches('`');
        let code = fs::read_to_string(target(document, file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let is_there = [format!("fn {name}("), format!("fn {name}<")].iter().any(|start| code.contains(start));
        assert!(is_there, "{document} names {name}, which is not in {file}");
    }
}

#[test]
fn every_known_attack_has_a_test_that_exists() {
    let document = "docs/immunity.md";
    let text = read(document);
    let rows = rows(&text);
    assert!(rows.len() > 40, "{}", rows.len());
    for row in rows {
        check_functions(document, row);
        for (name, file) in links(row) {
            let code = fs::read_to_string(target(document, file)).unwrap();
            let before = code.split(&format!("fn {}(", name.trim_matches('`'))).next().unwrap();
            let attributes = &before[before.trim_end().rfind('}').unwrap_or(0)..];
            assert!(attributes.contains("#[test]"), "{name} in {file} is not a test");
        }
    }
}

/// A test is named after its attack, as `r5_…`: each such attack has a row.
#[test]
fn every_attack_that_a_test_is_named_after_has_a_row() {
    let text = read("docs/immunity.md");
    let mut found = 0;
    for (file, code) in sources("tests") {
        for name in code.split("#[test]\nfn ").skip(1) {
            let id = name.split('_').next().unwrap();
            let digits = id.trim_start_matches(['r', 't', 'h', 'd']).trim_end_matches('b');
            if id.len() > digits.len() && digits.parse::<u8>().is_ok() {
                found += 1;
                assert!(text.contains(&format!("| {} | ", id.to_uppercase().replace('B', "b"))), "{id} in {file}");
            }
        }
    }
    assert!(found > 60, "{found}");
}

#[test]
fn the_trips_through_the_code_name_functions_that_exist() {
    let document = "docs/architecture.md";
    let text = read(document);
    let trips = text.split("\n## Three trips\n").nth(1).unwrap();
    let rows = rows(trips);
    assert!(rows.len() > 20, "{}", rows.len());
    for row in rows {
        check_functions(document, row);
    }
}

#[test]
fn the_changelog_knows_this_version() {
    assert!(read("CHANGELOG.md").contains(&format!("\n## {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_manual_has_every_refusal_code() {
    let manual = read("docs/refusals.md");
    for code in mtls_min::RefusalCode::ALL {
        assert!(manual.contains(&format!("| `{code}` | {}", code.meaning())), "{code}");
        assert!(code.repair().len() > 20, "{code}");
    }
}

#[test]
fn the_program_in_the_readme_is_the_example() {
    let example = read("examples/hello.rs");
    let (_, program) = example.split_once("\n\n").unwrap();
    assert!(read("README.md").contains(&format!("```rust\n{program}```")));
}
