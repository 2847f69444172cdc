//! The library's messages name functions, which embedders have; the command puts its options in their place.

use std::fs;

use crate::support::imports::without_tests;
use crate::support::tree::{root, sources};

/// What the library says, without comments and tests.
fn said() -> String {
    let of_library = sources("src").into_iter().filter(|(name, _)| !name.starts_with("src/cli/"));
    let code = |(_, text): (String, String)| {
        let lines = without_tests(&text).lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    };
    of_library.map(code).collect()
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
            // What is formatted may hold data, so nothing in it is replaced.
            let begun = said[..at].rfind('"').unwrap();
            let literal = &said[begun + 1..at + 1 + text.find('"').unwrap()];
            assert!(!literal.contains('{'), "{literal}");
        }
    }
    assert!(functions > 30, "{functions}");
}

#[test]
fn a_repair_names_only_what_this_build_has() {
    let repairs = || mtls_min::RefusalCode::ALL.iter().map(|code| code.repair());
    assert_eq!(repairs().any(|repair| repair.contains("`Directory")), cfg!(feature = "pki"));
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

/// A name or a path may look like the name of a function in a hint.
#[test]
#[cfg(all(feature = "cli", feature = "pki"))]
fn what_users_name_is_shown_as_they_wrote_it() {
    use crate::support::command::{Serving, binary, run};
    let dir = crate::support::files::TempDir::new();
    let said = |args: &[&str], wanted: &str| {
        let stderr = String::from_utf8(run(dir.path(), args).stderr).unwrap();
        assert!(stderr.contains(wanted), "{args:?}: {stderr}");
    };
    said(&["--ca", "`Directory`/ca.pem"], "cannot read the CA file `Directory`/ca.pem\n");
    said(&["certs", "init", "--name", "`TrustBuilder::crl_file`"], "");
    said(&["certs", "client", "`Builder::workers`"], "\"`Builder::workers`\" cannot be the name");
    let in_dir = ["certs", "--dir", "`Directory`"];
    said(
        &[&in_dir[..], &["client", "x"]].concat(),
        "  hint: `mtls-min certs --dir '`Directory`' init` makes a CA; `mtls-min certs --dir` names another directory\n",
    );
    said(&[&in_dir[..], &["init"]].concat(), "");
    said(
        &[&in_dir[..], &["server", "--host", "localhost"]].concat(),
        "  hint: `mtls-min certs --dir '`Directory`' renew server` replaces it; otherwise move the files away first\n",
    );
    let serving = Serving::start(&binary(), dir.path(), &["--listen", "127.0.0.1:0"]);
    assert!(serving.stderr().contains(": ca CN=`TrustBuilder::crl_file`,O=mtls-min, sha256"), "{}", serving.stderr());
}

#[test]
#[cfg(feature = "pki")]
fn embedders_see_the_names_of_functions() {
    use mtls_min::pki::Directory;
    let dir = crate::support::files::TempDir::new();
    let directory = Directory::new(dir.path());
    let now = std::time::SystemTime::now();
    let error = directory.list().unwrap_err();
    let hint = "`Directory::init` makes a CA; `Directory::new` names another directory";
    assert_eq!(error.hint_text(), Some(hint));
    assert!(format!("{error:?}").ends_with(&format!("; hint: {hint}")), "{error:?}");
    directory.init("ca", &["localhost"], false, now).unwrap();
    let error = directory.issue_server("server", &["localhost"], 397, now).unwrap_err();
    let hint = "`Directory::renew(server)` replaces it; otherwise move the files away first";
    assert_eq!(error.hint_text(), Some(hint));
}
