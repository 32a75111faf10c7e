//! What one thread counts.

use super::aggregate::{Counter, Sample, interval};
use super::catalogue::{COUNT, Metric};
use crate::Str;
use crate::time::{Duration, Now};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The most series with names of services or datacenters that one recorder keeps. What comes after them, once none of them has
/// been idle for a minute, is counted without its name.
pub const MAX_NAMED: usize = 1024;
/// How long name and tags of a named series may be together, in bytes. Longer ones, which no service has, are
/// counted without.
pub const MAX_NAME_BYTES: usize = 256;
/// Intervals after which a named series may make room for another.
const IDLE: u64 = 6;

/// A method of a route, as `api.http` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Dense number of it, for tables.
    pub number: u16,
    /// `GET`.
    pub method: &'static str,
    /// `/v1/kv/`: the pattern of the route.
    pub pattern: &'static str,
}

/// A metric with labels that are known beforehand, sorted by name.
pub(super) type Labelled = (Metric, Vec<(&'static str, &'static str)>);

/// Counters of one metric by service and tag; the tag is empty where there is none.
pub(super) type Named = BTreeMap<Str, BTreeMap<Str, Counter>>;

/// Counters and samples of one thread. Nothing here allocates but the first value of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorder {
    pub(super) counters: [Counter; COUNT],
    pub(super) samples: [Option<Box<Sample>>; COUNT],
    /// `api.http` by the endpoint's number.
    pub(super) endpoints: Vec<Option<Box<(Endpoint, Sample)>>>,
    /// `dns.query` by type.
    pub(super) kinds: Vec<(&'static str, Sample)>,
    pub(super) named: BTreeMap<Metric, Named>,
    named_len: usize,
    pub(super) labelled: BTreeMap<Labelled, Counter>,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder {
            counters: [Counter::default(); COUNT],
            samples: [const { None }; COUNT],
            endpoints: Vec::new(),
            kinds: Vec::new(),
            named: BTreeMap::new(),
            named_len: 0,
            labelled: BTreeMap::new(),
        }
    }
}

fn milliseconds(elapsed: Duration) -> f64 {
    elapsed.as_nanos() as f64 / 1e6
}

impl Recorder {
    /// One more.
    pub fn count(&mut self, now: Now, metric: Metric) {
        self.counters[metric as usize].add(interval(now), 1);
    }

    /// So many more, under labels sorted by name.
    pub fn count_with(
        &mut self,
        now: Now,
        metric: Metric,
        labels: &[(&'static str, &'static str)],
        more: u64,
    ) {
        self.labelled.entry((metric, labels.into())).or_default().add(interval(now), more);
    }

    /// One more for a service or a datacenter, and for a tag unless it is empty. Names longer than [`MAX_NAME_BYTES`] and those
    /// beyond [`MAX_NAMED`] are counted without the name.
    pub fn count_named(&mut self, now: Now, metric: Metric, service: &str, tag: &str) {
        let interval = interval(now);
        if service.len() + tag.len() > MAX_NAME_BYTES {
            return self.counters[metric as usize].add(interval, 1);
        }
        let named = self.named.entry(metric).or_default();
        if let Some(counter) = named.get_mut(service).and_then(|tags| tags.get_mut(tag)) {
            return counter.add(interval, 1);
        }
        if self.named_len >= MAX_NAMED {
            self.forget_idle(interval);
        }
        if self.named_len >= MAX_NAMED {
            return self.counters[metric as usize].add(interval, 1);
        }
        self.named_len += 1;
        let tags = self.named.entry(metric).or_default().entry(Str::from(service)).or_default();
        tags.entry(Str::from(tag)).or_default().add(interval, 1);
    }

    /// Makes room. Only series without news go, so a storm of names costs one look at all of them each.
    fn forget_idle(&mut self, interval: u64) {
        for named in self.named.values_mut() {
            for tags in named.values_mut() {
                tags.retain(|_, counter| counter.newest() + IDLE > interval);
            }
            named.retain(|_, tags| !tags.is_empty());
        }
        self.named_len = self.named.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum();
    }

    /// A duration, shown in milliseconds.
    pub fn time(&mut self, now: Now, metric: Metric, elapsed: Duration) {
        self.sample(now, metric, milliseconds(elapsed));
    }

    /// A value that is no duration.
    pub fn sample(&mut self, now: Now, metric: Metric, value: f64) {
        self.samples[metric as usize].get_or_insert_default().add(interval(now), value);
    }

    /// A request to an endpoint came.
    pub fn asked(&mut self, now: Now, endpoint: Endpoint) {
        if let Some([asked, ..]) = Metric::of_catalog(endpoint) {
            self.count(now, asked);
        }
    }

    /// A request to an endpoint is answered, with this status and after this time.
    pub fn answered(&mut self, now: Now, endpoint: Endpoint, status: u16, elapsed: Duration) {
        self.time_endpoint(now, endpoint, elapsed);
        match Metric::of_catalog(endpoint) {
            Some([_, success, _]) if status < 400 => self.count(now, success),
            Some([_, _, failure]) if status >= 500 => self.count(now, failure),
            _ => {}
        }
    }

    /// How long a request to an endpoint took.
    pub fn time_endpoint(&mut self, now: Now, endpoint: Endpoint, elapsed: Duration) {
        let number = usize::from(endpoint.number);
        if self.endpoints.len() <= number {
            self.endpoints.resize(number + 1, None);
        }
        let slot = self.endpoints[number].get_or_insert_with(|| Box::new((endpoint, Sample::default())));
        slot.1.add(interval(now), milliseconds(elapsed));
    }

    /// How long a DNS query of a type took.
    pub fn time_dns(&mut self, now: Now, kind: &'static str, elapsed: Duration) {
        let at = match self.kinds.iter().position(|(k, _)| *k == kind) {
            Some(at) => at,
            None => {
                self.kinds.push((kind, Sample::default()));
                self.kinds.len() - 1
            }
        };
        self.kinds[at].1.add(interval(now), milliseconds(elapsed));
    }
}
