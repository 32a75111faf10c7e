//! All recorders together, with the gauges of the moment.

use super::aggregate::{Counter, Histogram, Sample, Window, interval};
use super::catalogue::{COUNT, Kind, Metric};
use super::filter::Filter;
use super::recorder::Recorder;
use crate::time::Now;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// Labels of a series, sorted by name.
pub(super) type Labels = Vec<(&'static str, String)>;

/// A gauge at the moment of the report.
#[derive(Clone, Debug, PartialEq)]
pub struct Gauge {
    /// Which.
    pub metric: Metric,
    /// Sorted by name.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: f64,
}

impl Gauge {
    /// A gauge without labels.
    pub fn new(metric: Metric, value: f64) -> Gauge {
        Gauge { metric, labels: Vec::new(), value }
    }

    /// With one more label. Hand them over sorted.
    pub fn with(mut self, label: &'static str, value: impl Into<String>) -> Gauge {
        self.labels.push((label, value.into()));
        self
    }
}

/// How metrics are named and which are shown: `telemetry` and the machine.
#[derive(Clone, Debug)]
pub struct Naming<'a> {
    /// `telemetry.metrics_prefix`; may be empty.
    pub prefix: &'a str,
    /// Part of each gauge's name; `None` with `telemetry.disable_hostname`.
    pub hostname: Option<&'a str>,
    /// The `node` label.
    pub node: &'a str,
    /// What is shown.
    pub filter: &'a Filter,
    /// Whether this is a server: some metrics are theirs alone.
    pub server: bool,
    /// Seconds after which a series with labels that has no news is no longer shown to Prometheus.
    pub retention_seconds: u64,
}

/// A counter, summed over recorders.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Count {
    pub(super) total: u64,
    /// In the interval that is shown.
    pub(super) shown: u64,
    pub(super) newest: u64,
}

/// A sample, summed over recorders.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Measured {
    pub(super) count: u64,
    pub(super) sum: f64,
    /// In the interval that is shown.
    pub(super) shown: Window,
    recent: Histogram,
    range: Window,
    pub(super) newest: u64,
}

impl Measured {
    /// `None` when nothing was measured lately.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        self.recent.quantile(q).map(|value| value.clamp(self.range.min, self.range.max))
    }
}

/// The sum of recorders at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The interval of that moment.
    pub(super) interval: u64,
    /// The interval that JSON shows.
    pub(super) shown: u64,
    pub(super) counters: BTreeMap<(Metric, Labels), Count>,
    pub(super) samples: BTreeMap<(Metric, Labels), Measured>,
    pub(super) gauges: Vec<Gauge>,
    hostname: String,
}

impl Report {
    /// An empty report. In the interval in which the process `started`, that one is shown unfinished; later the
    /// last finished one.
    pub fn new(now: Now, started: Now) -> Report {
        let (interval, first) = (interval(now), interval(started));
        Report {
            interval,
            shown: if interval > first { interval - 1 } else { interval },
            counters: BTreeMap::new(),
            samples: BTreeMap::new(),
            gauges: Vec::new(),
            hostname: String::new(),
        }
    }

    /// The machine's name, for the names of gauges.
    pub fn set_hostname(&mut self, name: &str) {
        self.hostname = name.to_string();
    }

    /// The machine's name; empty when nobody said it.
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// Adds what one thread has counted.
    pub fn add(&mut self, recorder: &Recorder) {
        for (number, metric) in Metric::ALL.iter().enumerate().take(COUNT) {
            let counter = &recorder.counters[number];
            if counter.total > 0 {
                self.add_counter(*metric, Vec::new(), counter);
            }
            if let Some(sample) = &recorder.samples[number] {
                self.add_sample(*metric, Vec::new(), sample);
            }
        }
        for (endpoint, sample) in recorder.endpoints.iter().flatten().map(|slot| &**slot) {
            let path = endpoint.pattern.trim_start_matches('/').replace('/', "_");
            let labels = vec![("method", endpoint.method.to_string()), ("path", path)];
            self.add_sample(Metric::ApiHttp, labels, sample);
        }
        for (kind, sample) in &recorder.kinds {
            self.add_sample(Metric::DnsQuery, vec![("type", (*kind).to_string())], sample);
        }
        for ((metric, labels), counter) in &recorder.labelled {
            let labels = labels.iter().map(|(name, value)| (*name, (*value).to_string()));
            self.add_counter(*metric, labels.collect(), counter);
        }
        for (metric, named) in &recorder.named {
            for (service, tags) in named {
                for (tag, counter) in tags {
                    let mut labels = vec![(metric.named_by(), service.to_string())];
                    if !tag.is_empty() {
                        labels.push(("tag", tag.to_string()));
                    }
                    self.add_counter(*metric, labels, counter);
                }
            }
        }
    }

    /// Adds a gauge; to one that is there already, its value.
    pub fn gauge(&mut self, gauge: Gauge) {
        let same = |g: &&mut Gauge| g.metric == gauge.metric && g.labels == gauge.labels;
        match self.gauges.iter_mut().find(same) {
            Some(there) => there.value += gauge.value,
            None => self.gauges.push(gauge),
        }
    }

    /// Adds a gauge that is not there yet.
    pub fn new_gauge(&mut self, gauge: Gauge) {
        self.gauges.push(gauge);
    }

    /// Events a second in the interval that is shown, over all labels.
    pub fn rate(&self, metric: Metric) -> f64 {
        let of_metric = self.counters.iter().filter(|((m, _), _)| *m == metric);
        of_metric.map(|(_, count)| count.shown as f64).sum::<f64>() / super::INTERVAL_SECONDS as f64
    }

    fn add_counter(&mut self, metric: Metric, labels: Labels, counter: &Counter) {
        let count = self.counters.entry((metric, labels)).or_default();
        count.total += counter.total;
        count.shown += counter.of(self.shown);
        count.newest = count.newest.max(counter.newest());
    }

    fn add_sample(&mut self, metric: Metric, labels: Labels, sample: &Sample) {
        let measured = self.samples.entry((metric, labels)).or_default();
        measured.count += sample.count;
        measured.sum += sample.sum;
        measured.shown.merge(&sample.of(self.shown));
        sample.recent(self.interval, &mut measured.recent, &mut measured.range);
        measured.newest = measured.newest.max(sample.newest());
    }
}

impl Naming<'_> {
    /// The name without host name: `consul.raft.apply`.
    pub(super) fn plain(&self, metric: Metric) -> String {
        self.under(self.prefix, metric.name())
    }

    /// A gauge's name: `consul.host.raft.peers`.
    pub(super) fn gauge(&self, metric: Metric) -> String {
        match self.hostname {
            Some(host) => self.under(&self.under(self.prefix, host), metric.name()),
            None => self.plain(metric),
        }
    }

    fn under(&self, prefix: &str, name: &str) -> String {
        if prefix.is_empty() { name.to_string() } else { alloc::format!("{prefix}.{name}") }
    }

    /// What Consul's users expect without their host's name in it whatever `disable_hostname` says: names that
    /// dashboards and guides use literally.
    pub(super) fn shows(&self, metric: Metric) -> bool {
        self.filter.shows(&self.plain(metric))
    }

    /// What is there before anything happened.
    pub(super) const fn has(&self, metric: Metric) -> bool {
        self.server || !metric.servers_only()
    }

    /// The labels with the node's name where the metric carries it.
    pub(super) fn labels(&self, metric: Metric, labels: &Labels) -> Labels {
        let mut labels = labels.clone();
        if metric.has_node() {
            labels.push(("node", self.node.to_string()));
            labels.sort();
        }
        labels
    }
}

/// Whether a metric is one of those that only the JSON form names with the host.
pub(super) const fn is_gauge(metric: Metric) -> bool {
    matches!(metric.kind(), Kind::Gauge)
}
