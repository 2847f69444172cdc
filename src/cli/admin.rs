//! `--admin`: where health checks and figures are, and what of them a build without the feature `admin` can do, which is to refuse.

#[cfg(feature = "admin")]
pub(super) use with_feature::Port;
#[cfg(not(feature = "admin"))]
pub(super) use without_feature::Port;

#[cfg(feature = "admin")]
mod with_feature {
    use std::net::{SocketAddr, TcpListener};
    use std::path::Path;

    use crate::admin::{Admin, Listener, Metrics, Serving};
    use crate::cli::systemd::AdminSocket;
    use crate::cli::{CommandLine, listen};
    use crate::error::Error;
    use crate::log::AccessLog;
    use crate::observer::Observer;
    use crate::server::builder::Builder;
    use crate::server::status::StatusHandle;

    /// The port that `--admin` asks for, or that systemd passes.
    pub(in crate::cli) struct Port(Option<Bound>);

    struct Bound {
        listener: Listener,
        /// For the log.
        name: String,
    }

    /// A port, and what it is to tell.
    pub(in crate::cli) struct Observing(Option<(Bound, Metrics)>);

    enum Place {
        Address(SocketAddr),
        Socket(String),
    }

    impl Port {
        /// Binds it.
        pub(in crate::cli) fn of(line: &CommandLine, passed: Option<AdminSocket>) -> Result<Self, Error> {
            let place = line.admin.as_deref().map(|text| place(text, line.admin_anywhere)).transpose()?;
            if place.is_none() && passed.is_none() && line.admin_anywhere {
                return Err(Error::new("--admin-anywhere is for --admin, which is not given")
                    .hint("write --admin address:port too, or leave it out"));
            }
            Ok(Self(match (place, passed) {
                (Some(_), Some(_)) => {
                    return Err(Error::new("--admin is given, and systemd passes a socket named admin")
                        .hint("leave one of them out"));
                }
                (Some(place), None) => Some(bound(place)?),
                (None, Some(AdminSocket::Tcp(socket))) => {
                    if let Some(address) = socket.local_addr().ok().filter(|_| !line.admin_anywhere) {
                        check_reach(address, "the socket named admin that systemd passes")?;
                    }
                    Some(Bound::tcp(socket))
                }
                (None, Some(AdminSocket::Unix(socket))) => {
                    Some(Bound { listener: socket.into(), name: "a Unix socket of systemd".to_owned() })
                }
                (None, None) => None,
            }))
        }

        /// How many files it may have open: the sockets of those whose threads still run, the listener, and a pipe.
        pub(in crate::cli) fn open_files(&self) -> u64 {
            if self.0.is_some() { 40 } else { 0 }
        }

        /// The Unix socket that is removed at the end.
        pub(in crate::cli) fn own_socket(&self) -> Option<&Path> {
            self.0.as_ref().and_then(|bound| bound.listener.path())
        }

        /// Nothing is counted if nobody can read it.
        pub(in crate::cli) fn observing(
            self,
            builder: Builder,
            observer: impl Observer + 'static,
        ) -> (Builder, Observing) {
            match self.0 {
                Some(bound) => {
                    let metrics = Metrics::around(observer);
                    (builder.observer(metrics.clone()), Observing(Some((bound, metrics))))
                }
                None => (builder.observer(observer), Observing(None)),
            }
        }
    }

    impl Observing {
        /// Answers until what is returned is dropped.
        pub(in crate::cli) fn open(self, status: StatusHandle, log: &AccessLog) -> Result<Option<Serving>, Error> {
            let Some((Bound { listener, name }, metrics)) = self.0 else { return Ok(None) };
            let serving = Admin::new(metrics, status).serve(listener)?;
            log.notice("admin", &format!("admin port: {name}"));
            Ok(Some(serving))
        }
    }

    impl Bound {
        fn tcp(socket: TcpListener) -> Self {
            let listener = Listener::from(socket);
            let name = listener.address().map_or_else(String::new, |address| format!("http://{address}"));
            Self { listener, name }
        }
    }

    fn bound(place: Place) -> Result<Bound, Error> {
        Ok(match place {
            Place::Address(address) => Bound::tcp(bind(address)?),
            Place::Socket(path) => Bound { listener: Listener::unix(&path)?, name: format!("unix:{path}") },
        })
    }

    fn place(text: &str, anywhere: bool) -> Result<Place, Error> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.is_empty() {
                true => Err(Error::new("--admin unix: names no socket").hint("write --admin unix:/path/of/socket")),
                false => Ok(Place::Socket(path.to_owned())),
            };
        }
        let address = listen::address(text).ok_or_else(|| {
            Error::new(format!("--admin {text} is not a valid address")).hint(
                "write address:port with an IP address or localhost, like 127.0.0.1:9433, or unix:/path/of/socket",
            )
        })?;
        if !anywhere {
            check_reach(address, &format!("--admin {address}"))?;
        }
        Ok(Place::Address(address))
    }

    /// Whoever can connect may read it.
    fn check_reach(address: SocketAddr, name: &str) -> Result<(), Error> {
        match address.ip().to_canonical().is_loopback() {
            true => Ok(()),
            false => Err(Error::new(format!("{name}: others than this host could connect to {address}"))
                .hint("take 127.0.0.1:port, [::1]:port or unix:/path; or, if only those who may read it can connect, add --admin-anywhere")),
        }
    }

    fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
        TcpListener::bind(address).map_err(|error| {
            Error::new(format!("cannot listen on {address} for --admin"))
                .caused_by(error)
                .hint("choose another address or port with --admin")
        })
    }
}

#[cfg(not(feature = "admin"))]
mod without_feature {
    use crate::cli::CommandLine;
    use crate::cli::systemd::AdminSocket;
    use crate::error::Error;
    use crate::log::AccessLog;
    use crate::observer::Observer;
    use crate::server::builder::Builder;
    use crate::server::status::StatusHandle;

    pub(in crate::cli) struct Port;

    pub(in crate::cli) struct Observing;

    impl Port {
        /// A socket that nobody serves would leave its clients waiting for ever.
        pub(in crate::cli) fn of(line: &CommandLine, passed: Option<AdminSocket>) -> Result<Self, Error> {
            if passed.is_some() {
                return Err(Error::new("systemd passes a socket named admin, but this build has no admin port")
                    .hint("leave FileDescriptorName=admin out of the .socket units"));
            }
            match line.admin.is_some() || line.admin_anywhere {
                true => Err(Error::new("--admin is not possible: this build was made without the feature `admin`")
                    .hint("leave it out, or use a build with that feature")),
                false => Ok(Self),
            }
        }

        pub(in crate::cli) fn open_files(&self) -> u64 {
            0
        }

        pub(in crate::cli) fn own_socket(&self) -> Option<&std::path::Path> {
            None
        }

        pub(in crate::cli) fn observing(
            self,
            builder: Builder,
            observer: impl Observer + 'static,
        ) -> (Builder, Observing) {
            (builder.observer(observer), Observing)
        }
    }

    impl Observing {
        pub(in crate::cli) fn open(self, _: StatusHandle, _: &AccessLog) -> Result<Option<()>, Error> {
            Ok(None)
        }
    }
}
