//! The library's hints name its functions, for embedders; the command names its options and commands instead.

use std::borrow::Cow;

/// What the library says, in the words of the command. `Directory::renew(alice)` in backticks becomes the command with that
/// argument. Data is put into a text after this.
pub(super) fn of_command(text: &'static str) -> Cow<'static, str> {
    if !text.contains('`') {
        return text.into();
    }
    let mut out = text.to_owned();
    for (function, word) in WORDS {
        let function = format!("`{function}");
        let mut from = 0;
        while let Some(at) = out[from..].find(&function).map(|at| from + at) {
            let rest = &out[at + function.len()..];
            let Some(end) = rest.find('`') else { break };
            let arguments = rest[..end].strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
            let word = match (arguments, word.strip_suffix('`')) {
                (Some(arguments), Some(command)) => format!("{command} {arguments}`"),
                (None, _) if end == 0 => (*word).to_owned(),
                // Another function whose name begins so.
                _ => {
                    from = at + function.len();
                    continue;
                }
            };
            out.replace_range(at..at + function.len() + end + 1, &word);
            from = at + word.len();
        }
    }
    out.into()
}

/// Functions of the library, and what the command has for each.
const WORDS: [(&str, &str); 27] = [
    ("TrustBuilder::pem_file", "--ca"),
    ("TrustBuilder::intermediates_file", "--intermediates"),
    ("TrustBuilder::crl_file", "--crl"),
    ("TrustBuilder::require_crls", "--crl-required"),
    ("TrustBuilder::authorized_clients", "--authorized-clients"),
    ("TrustBuilder::policy_file", "--policy"),
    ("TrustBuilder::accept_v1", "--accept-v1"),
    ("Policy::allowing", "--allow"),
    ("ServerCertificate::from_pem_files", "--cert and --key"),
    ("Builder::workers", "--workers"),
    ("Builder::max_connections", "--max-connections"),
    ("Builder::proxy_protocol", "--proxy-protocol and --trusted-proxy"),
    ("Builder::refuse_in_handshake", "--refuse-in-handshake"),
    ("Server::builder", "`mtls-min --ca FILE`"),
    ("pki::throwaway", "`mtls-min demo`"),
    ("throwaway", "`mtls-min demo --dir`"),
    ("Directory", "`mtls-min certs`"),
    ("Directory::new", "`mtls-min certs --dir`"),
    ("Directory::init", "`mtls-min certs init`"),
    ("Directory::issue_server", "`mtls-min certs server --host HOST`"),
    ("Directory::issue_client", "`mtls-min certs client`"),
    ("Directory::renew", "`mtls-min certs renew`"),
    ("Directory::revoke", "`mtls-min certs revoke`"),
    ("Directory::list", "`mtls-min certs list`"),
    ("Directory::sign_crl", "`mtls-min certs crl`"),
    ("Directory::sign_first_crl", "`mtls-min certs crl --empty`"),
    ("Directory::adopt_crl", "`mtls-min certs crl --adopt`"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_become_options_and_commands() {
        for (said, wanted) in [
            ("nothing to say", "nothing to say"),
            ("load it with `TrustBuilder::crl_file`, or not", "load it with --crl, or not"),
            (
                "`Directory::renew(alice)` and `Directory::list`",
                "`mtls-min certs renew alice` and `mtls-min certs list`",
            ),
            ("if `Directory` made both, `Directory::new`", "if `mtls-min certs` made both, `mtls-min certs --dir`"),
            ("`Unknown::function` and `TrustBuilder::crl_file", "`Unknown::function` and `TrustBuilder::crl_file"),
        ] {
            assert_eq!(of_command(said), wanted);
        }
    }
}
