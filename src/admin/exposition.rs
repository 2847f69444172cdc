//! The figures in the text format of Prometheus, as of one moment.

use std::fmt;
use std::time::SystemTime;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::clock::{since_epoch, until};
use crate::deadline::Phase;
use crate::server::status::Status;
use crate::trust::TrustKind;

use super::counts::{ByCode, CLASSES, Count, FORWARDED, HANDSHAKES, Histogram, METHODS, VERSIONS};
use super::metrics::Metrics;

/// All figures. Each has a name, a type and a line of help; a label has only values that this server chose, or that are the names of
/// loaded CAs.
pub(super) fn text(metrics: &Metrics, status: &Status) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("mtls_min");
    registry.register_collector(Box::new(Figures { metrics: metrics.clone(), status: status.clone() }));
    let mut text = String::with_capacity(16 * 1024);
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Figures {
    metrics: Metrics,
    status: Status,
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.connections(&mut page)?;
        self.handshakes(&mut page)?;
        self.requests(&mut page)?;
        self.threads(&mut page)?;
        self.trust(&mut page)?;
        self.dates(&mut page)?;
        let version = [([("version", env!("CARGO_PKG_VERSION"))], 1.0)];
        page.gauge("build_info", "Always 1; the label says which version this is.", version)
    }
}

impl Figures {
    fn connections(&self, page: &mut Page<'_>) -> fmt::Result {
        let (connections, counts) = (&self.status.connections, self.metrics.counts());
        let waiting = Phase::ALL.map(|phase| ([("state", phase.as_str())], connections.waiting(phase) as f64));
        let states = [([("state", "active")], connections.active as f64)].into_iter().chain(waiting);
        page.gauge("connections", "Connections; active: a thread works on them, else what they wait for.", states)?;
        page.number("connections_max", "How many connections there may be.", connections.most as f64)?;
        page.count("accepted", "Connections that were accepted.", &counts.accepted)?;
        page.count("accept_failures", "Connections that could not be accepted.", &counts.accept_failures)?;
        page.count("shed", "Connections closed in favour of new ones.", &counts.shed)?;
        page.count(
            "floods",
            "Times that handshakes had to wait for long, because the server was busy.",
            &counts.floods,
        )?;
        page.count("turned_away", "Connections closed at once in such times.", &counts.turned_away)?;
        let help = "Idle connections closed because their clients are now refused.";
        page.count("idle_closed", help, &counts.idle_closed)?;
        let timeouts = Phase::ALL.map(|phase| ([("phase", phase.as_str())], counts.timeouts[phase as usize].get()));
        page.counter("timeouts", "Clients that were too slow, by what was waited for.", timeouts)
    }

    fn handshakes(&self, page: &mut Page<'_>) -> fmt::Result {
        let counts = self.metrics.counts();
        let by_version = |(result, versions): (&'static str, &[Count; VERSIONS.len()])| {
            let samples = versions.iter().zip(VERSIONS).map(move |(count, version)| {
                let version = if version.as_str() == "-" { "unknown" } else { version.as_str() };
                ([("result", result), ("version", version)], count.get())
            });
            // A handshake that failed has no version.
            let has_version = matches!(result, "full" | "resumed");
            samples.filter(move |(labels, _)| (labels[1].1 != "unknown") == has_version).collect::<Vec<_>>()
        };
        let samples = HANDSHAKES.into_iter().zip(&counts.handshakes).flat_map(by_version);
        page.counter("handshakes", "TLS handshakes that are over, by result and version.", samples)?;
        let by_code = |codes: &ByCode| codes.get().into_iter().map(|(code, count)| ([("code", code)], count));
        let failures = by_code(&counts.handshake_failures);
        page.counter("handshake_failures", "Handshakes that failed because of the client, by code.", failures)?;
        let help = "Connections closed before TLS, where a balancer's header is expected, by code.";
        page.counter("proxy_refused", help, by_code(&counts.proxy_refused))?;
        let help = "Seconds from an accepted connection to the end of its handshake.";
        page.histogram("handshake_duration_seconds", help, &counts.handshake_durations)?;
        let help = "Connections on which TLS failed after the handshake.";
        page.count("session_failures", help, &counts.session_failures)
    }

    fn requests(&self, page: &mut Page<'_>) -> fmt::Result {
        let counts = self.metrics.counts();
        let by_class = |(method, classes): (&'static str, &[Count; CLASSES.len()])| {
            let samples = classes.iter().zip(CLASSES).map(|(count, class)| (class, count.get()));
            let happened = samples.filter(|(_, count)| *count > 0);
            happened.map(|(class, count)| ([("method", method), ("class", class)], count)).collect::<Vec<_>>()
        };
        let samples = METHODS.into_iter().zip(&counts.requests).flat_map(by_class);
        page.counter("requests", "Requests that were answered, or given up, by method and class of status.", samples)?;
        let help = "Seconds from the end of a request's head to the last byte of its response.";
        page.histogram("request_duration_seconds", help, &counts.request_durations)?;
        page.count("response_bytes", "Bytes of responses, heads included.", &counts.response_bytes)?;
        let refusals = counts.refusals().map(|(code, count)| ([("code", code.as_str())], count));
        page.counter("refusals", "Requests and handshakes refused for who the client is, by code.", refusals)?;
        let forwarded = FORWARDED.into_iter().zip(&counts.forwarded).map(|(to, count)| ([("result", to)], count.get()));
        page.counter("forwarded", "Requests that were forwarded to an application, by result.", forwarded)?;
        page.count("panics", "Panics of handlers, and of readers of bodies.", &counts.panics)
    }

    fn threads(&self, page: &mut Page<'_>) -> fmt::Result {
        let threads = &self.status.threads;
        let states = [("running", threads.running), ("standby", threads.standing_by), ("handler", threads.in_handlers)];
        let states = states.map(|(state, count)| ([("state", state)], count as f64));
        page.gauge("threads", "Threads that serve connections, by what they do.", states)?;
        page.number("threads_max", "How many threads that serve connections there may be.", threads.most as f64)
    }

    fn trust(&self, page: &mut Page<'_>) -> fmt::Result {
        let (status, counts) = (&self.status, self.metrics.counts());
        let generation = status.generation as f64;
        page.number("trust_generation", "How often trust was replaced since the start.", generation)?;
        let read = since_epoch(status.last_reload);
        page.number("last_reload_timestamp_seconds", "When the files were last read, with success or not.", read)?;
        let good = one_if(status.reload_failure.is_none());
        page.number("last_reload_success", "Whether what was read then is in force: 1 or 0.", good)?;
        let [good, bad] = [0, 1].map(|result| counts.reloads[result].get());
        let reloads = [([("result", "success")], good), ([("result", "failure")], bad)];
        page.counter("reloads", "Reloads of changed files that were reported, by result.", reloads)?;
        page.number("stopping", "Whether a shutdown was asked for: 1 or 0.", one_if(status.is_stopping))
    }

    /// One name twice, a CA made again, is told apart by its fingerprint.
    fn dates(&self, page: &mut Page<'_>) -> fmt::Result {
        let Status { time, trust, certificate, .. } = &self.status;
        let left = |until_when: SystemTime| until(*time, until_when);
        let mut samples = Vec::new();
        let mut add = |kind: &'static str, subject: &str, id: &str, until_when| {
            samples.push((
                [("kind", kind.to_owned()), ("subject", subject.to_owned()), ("id", id.to_owned())],
                left(until_when),
            ));
        };
        let own = certificate.identity();
        add("server", own.subject(), short(own.sha256()), own.not_after());
        for entry in trust.entries() {
            let kind = match entry.kind() {
                TrustKind::Ca => "ca",
                TrustKind::Intermediate => "intermediate",
                TrustKind::PinnedClient => "pinned_client",
            };
            add(kind, entry.identity().subject(), short(entry.identity().sha256()), entry.identity().not_after());
        }
        for (number, list) in trust.crls().filter(|list| !list.is_only_remembered()).enumerate() {
            add("crl", list.issuer().subject(), &number.to_string(), list.next_update());
        }
        let valid = self.metrics.clients().into_iter().map(|client| client.facts.not_after).filter(|end| end > time);
        if let Some(least) = valid.min() {
            add("client", "", "", least);
        }
        let help = "Seconds until a certificate or a revocation list is no longer valid; of the clients seen, the least that is left.";
        page.gauge("certificate_expires_seconds", help, samples)
    }
}

fn one_if(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

fn short(sha256: &str) -> &str {
    sha256.get(..16).unwrap_or(sha256)
}

/// Where figures are written, one after the other.
struct Page<'e>(DescriptorEncoder<'e>);

/// The labels of a sample.
type Labels<V, const N: usize> = [(&'static str, V); N];

impl Page<'_> {
    fn count(&mut self, name: &str, help: &str, count: &Count) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&count.get(), None)
    }

    fn counter<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<&'static str, N>, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn number(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauge<V: AsRef<str>, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<V, N>, f64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            let labels = labels.each_ref().map(|(name, value)| (*name, value.as_ref()));
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let (sum, count, buckets) = histogram.read();
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}
