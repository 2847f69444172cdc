//! What the library says, in the words of the command.

/// Each function that the library names is an option of the command.
pub(crate) fn in_words_of_the_command(text: &str) -> String {
    [
        ("`TrustBuilder::pem_file`", "--ca"),
        ("`TrustBuilder::intermediates_file`", "--intermediates"),
        ("`TrustBuilder::crl_file`", "--crl"),
        ("`TrustBuilder::require_crls`", "--crl-required"),
        ("`TrustBuilder::authorized_clients`", "--authorized-clients"),
        ("`TrustBuilder::policy_file`", "--policy"),
        ("`TrustBuilder::accept_v1`", "--accept-v1"),
        ("`Policy::allowing`", "--allow"),
        ("`Directory::sign_crl`", "`mtls-min certs crl`"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (function, option)| text.replace(function, option))
}
