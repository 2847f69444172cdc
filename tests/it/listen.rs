//! The addresses that the command is to listen on.

use crate::support::command::run;
use crate::support::files::TempDir;

/// Neither the certificates of a server are read, nor those of a demo made.
#[test]
fn a_bad_address_is_told_before_anything_is_read_or_made() {
    let dir = TempDir::new();
    for args in
        [&["--listen", "nowhere"][..], &["demo", "--listen", "nowhere"], &["--listen", "[::1]:0", "--listen", "x"]]
    {
        let output = run(dir.path(), args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.starts_with("mtls-min: --listen ") && said.lines().count() == 2, "{args:?}: {said}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{args:?}");
    }
}
