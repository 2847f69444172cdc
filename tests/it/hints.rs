//! The library's messages name functions, which embedders have; the command puts its options in their place.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    found.filter(|path| !path.starts_with(root().join("src/cli"))).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What the library says, without comments and tests.
fn said() -> String {
    let text = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    };
    sources(&root().join("src")).iter().map(text).collect()
}

#[test]
fn only_the_command_names_its_options_and_commands() {
    let said = said();
    // Those of other programs.
    let others = ["--cacert", "--cert FILE", "--key FILE", "--http1.1", "--accent", "--line", "-----"];
    let said = others.iter().fold(said, |said, other| said.replace(other, ""));
    let options =
        ["--ca", "--cert", "--key", "--listen", "--intermediates", "--crl", "--allow", "--policy", "--dir", "--name"];
    let others =
        ["--authorized-clients", "--accept-v1", "--refuse", "--workers", "--max", "--empty", "--adopt", "--host"];
    for word in options.iter().chain(&others).chain(&["`mtls-min", "mtls-min certs", "mtls-min demo", "mtls-min check"])
    {
        let found = said.lines().find(|line| line.contains(word));
        assert!(found.is_none(), "{word}: {}", found.unwrap_or_default());
    }
}

/// A function that the command does not know would stand in its messages.
#[test]
fn the_command_has_a_word_for_every_function_that_a_message_names() {
    let words = fs::read_to_string(root().join("src/cli/words.rs")).unwrap();
    let said = said();
    let mut functions = 0;
    for (at, _) in said.match_indices('`') {
        let text = &said[at + 1..];
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap();
        let (function, rest) = text.split_at(end);
        if function.contains("::") && rest.starts_with(['`', '(']) {
            functions += 1;
            assert!(words.contains(&format!("(\"{function}\", ")), "{function}");
        }
    }
    assert!(functions > 30, "{functions}");
}

#[test]
#[cfg(feature = "cli")]
fn the_log_of_the_command_names_its_options() {
    use crate::support::client::{TLS13, eventually, get};
    use crate::support::command::{Serving, binary, site};
    let dir = site(&crate::support::pki::Ca::new("ca"));
    for format in ["text", "json"] {
        let serving = Serving::start(&binary(), dir.path(), &["--listen", "127.0.0.1:0", "--log", format]);
        assert_eq!(get(serving.addr, None, &TLS13).unwrap().status, 401);
        eventually(|| serving.stdout().contains("issued by a CA of --ca\""));
    }
}
