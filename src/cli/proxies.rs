//! The balancers of `--trusted-proxy`, whose PROXY header `--proxy-protocol` expects.

use super::CommandLine;
use crate::error::Error;
use crate::proxy_protocol::Network;

/// Their networks. `None`: no header is expected.
pub(super) fn balancers(line: &CommandLine) -> Result<Option<Vec<Network>>, Error> {
    match (line.proxy_protocol, line.trusted_proxy.is_empty()) {
        (false, true) => return Ok(None),
        (false, false) => {
            return Err(Error::new("--trusted-proxy is given without --proxy-protocol")
                .hint("add --proxy-protocol, if the balancer sends its header; otherwise leave --trusted-proxy out"));
        }
        (true, true) => {
            return Err(Error::new("--proxy-protocol is given without --trusted-proxy").hint(
                "name the address or network of the balancer, like --trusted-proxy 10.0.0.5: in its header anybody else could \
                 claim any address",
            ));
        }
        (true, false) => {}
    }
    let network = |text: &String| {
        let failed = |error| Error::new(format!("--trusted-proxy {text} cannot be used")).caused_by(error);
        text.parse::<Network>().map_err(failed)
    };
    line.trusted_proxy.iter().map(network).collect::<Result<_, _>>().map(Some)
}

/// What is said at the start: whom it believes, and what that means if it is everybody.
pub(super) fn said(balancers: &[Network]) -> (String, Option<String>) {
    let names = balancers.iter().map(Network::to_string).collect::<Vec<_>>().join(", ");
    let everybody = balancers.iter().find(|network| network.has_all()).map(|network| {
        format!("--trusted-proxy {network} believes everybody: whoever can connect here can claim any address")
    });
    (format!("each connection begins with a PROXY header, and comes from {names}"), everybody)
}
