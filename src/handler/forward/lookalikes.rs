//! Fields of a client that an application could take for something that we say, or that another proxy would say. They are
//! removed before ours are set (RFC 9440, section 2.4; rows H2 and H3 of the immunity matrix).

use http::HeaderName;

/// Whether a client may not send this field to an application.
///
/// Names are compared without regard to case. A name with anything but letters, digits and `-` is always removed: to CGI, WSGI
/// and others `_` is the same as `-`, and PHP and lighttpd make `_` of any other mark too, so that `Client_Cert` and
/// `Client.Cert` would be read as `Client-Cert`.
pub(super) fn is_ours_to_say(name: &HeaderName) -> bool {
    // It is in lower case.
    let name = name.as_str();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    !is_plain || NAMES.contains(&name) || begins_with(name, FAMILIES)
}

fn begins_with(name: &str, families: &[&str]) -> bool {
    families.iter().any(|family| name.starts_with(family))
}

const NAMES: &[&str] = &[
    "cf-connecting-ip",
    "fastly-client-ip",
    // `HTTP_PROXY` of CGI programs (CVE-2016-5385).
    "proxy",
    "x-auth-user",
    // Would name another path than the one that the rules were asked about.
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
    "x-real-ip",
    "x-real-port",
    "x-cluster-client-ip",
    "x-user",
];

/// Names that begin so.
const FAMILIES: &[&str] = &[
    "client-cert",
    "client-dn",
    "client-verify",
    "forwarded",
    "mtls-",
    "peer-cert",
    "remote-",
    "ssl-",
    "tls-",
    "true-client-",
    "x-amzn-mtls-",
    "x-amzn-oidc-",
    "x-amzn-tls-",
    "x-apache-ssl",
    "x-arr-clientcert",
    "x-arr-ssl",
    "x-auth-request-",
    "x-authenticated",
    "x-cert",
    "x-client-",
    "x-consumer-",
    "x-envoy-",
    "x-forwarded",
    "x-goog-authenticated-user-",
    "x-ms-client-principal",
    "x-mtls",
    "x-original-for",
    "x-original-host",
    "x-original-proto",
    "x-peer-cert",
    "x-remote-",
    "x-ssl",
    "x-tls",
    "x-webauth-",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h2_what_looks_like_an_identity_is_recognised_in_every_spelling() {
        for name in [
            "Client-Cert",
            "CLIENT-CERT",
            "Client_Cert",
            "client-cert-chain",
            "Client_Cert-Chain",
            "X-Client-Subject",
            "x_client_subject",
            "X-Client-Name",
            "X-Client_Name",
            "X-Client-Sha256",
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "X-Forwarded-Host",
            "X_Forwarded_Host",
            "X-Forwarded-Client-Cert",
            "X-Forwarded-Tls-Client-Cert-Info",
            "X-Real-IP",
            "X-SSL-Client-S-DN",
            "X-SSL-CERT",
            "SSL-Client-Cert",
            "SSL_CLIENT_S_DN",
            "X-Client-Cert",
            "X-Client-Certificate",
            "X-Client-Verify",
            "X-Client-Verified",
            "X-Client-S-DN",
            "X-Client-DN",
            "X-Client-CN",
            "X-Client-Serial",
            "X-Client-Issuer-DN",
            "X-Client-Fingerprint",
            "X-Amzn-Mtls-Clientcert",
            "X-ARR-ClientCert",
            "Tls-Client-Subject",
            "X-TLS-Client-Subject",
            "Remote-User",
            "X-Remote-User",
            "True-Client-IP",
            "X-Original-URL",
            "X-Rewrite-URL",
            "Proxy",
            "Any_Thing",
            "_",
            "X-Client.Subject",
            "X*Client*Name",
            "Client~Cert",
            "Any.Thing",
            "X-Client-Version",
            "X-Auth-User",
            "X-User",
            "X-MS-Client-Principal",
            "X-MS-CLIENT-PRINCIPAL-NAME",
            "X-Goog-Authenticated-User-Email",
            "X-Consumer-Username",
            "X-Authenticated-UserId",
        ] {
            assert!(is_ours_to_say(&HeaderName::try_from(name).unwrap()), "{name}");
        }
        for name in [
            "Host",
            "Accept",
            "Authorization",
            "Cookie",
            "X-User-Agent",
            "X-Requested-With",
            "X-Request-Id",
            "X-CSRF-Token",
            "Traceparent",
            "X-Http-Method-Override",
        ] {
            assert!(!is_ours_to_say(&HeaderName::try_from(name).unwrap()), "{name}");
        }
    }
}
