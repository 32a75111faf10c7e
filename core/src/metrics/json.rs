//! `GET /v1/agent/metrics`: the last finished interval.

use super::aggregate::{INTERVAL_SECONDS, Window};
use super::report::{Labels, Naming, Report};
use crate::json::Writer;
use crate::time::WallTime;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

impl Report {
    /// Writes the report as Consul's JSON does: gauges with the host's name in theirs, counters and samples of the
    /// interval that is shown, each group sorted by name.
    pub fn json(&self, naming: &Naming<'_>, w: &mut Writer<'_>) {
        w.object(|w| {
            w.field_str("Timestamp", &timestamp(self.shown * INTERVAL_SECONDS));
            w.field("Gauges", |w| w.array(|w| self.gauges_json(naming, w)));
            w.field("Points", |w| w.array(|_| {}));
            w.field("Counters", |w| {
                w.array(|w| {
                    let counters = self.counters.iter().filter(|(_, count)| count.shown > 0);
                    let shown = counters.filter(|((metric, _), _)| naming.shows(*metric));
                    sorted(shown.map(|((metric, labels), count)| {
                        (naming.plain(*metric), naming.labels(*metric, labels), Window::of_ones(count.shown))
                    }))
                    .into_iter()
                    .for_each(|(name, labels, window)| entry(w, &name, &labels, &window));
                });
            });
            w.field("Samples", |w| {
                w.array(|w| {
                    let samples = self.samples.iter().filter(|(_, measured)| measured.shown.count > 0);
                    let shown = samples.filter(|((metric, _), _)| naming.shows(*metric));
                    sorted(shown.map(|((metric, labels), measured)| {
                        (naming.plain(*metric), naming.labels(*metric, labels), measured.shown)
                    }))
                    .into_iter()
                    .for_each(|(name, labels, window)| entry(w, &name, &labels, &window));
                });
            });
        });
    }

    fn gauges_json(&self, naming: &Naming<'_>, w: &mut Writer<'_>) {
        let shown = self.gauges.iter().filter(|gauge| naming.shows(gauge.metric));
        for (name, labels, value) in
            sorted(shown.map(|gauge| (naming.gauge(gauge.metric), gauge.labels.clone(), gauge.value)))
        {
            w.object(|w| {
                w.field_str("Name", &name);
                w.field("Value", |w| w.f64(value));
                w.field("Labels", |w| w.str_map(labels.iter().map(|(k, v)| (k, v))));
            });
        }
    }
}

pub(super) fn sorted<T>(items: impl Iterator<Item = (String, Labels, T)>) -> Vec<(String, Labels, T)> {
    let mut items: Vec<_> = items.collect();
    items.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    items
}

fn entry(w: &mut Writer<'_>, name: &str, labels: &Labels, window: &Window) {
    w.object(|w| {
        w.field_str("Name", name);
        w.field_u64("Count", window.count);
        w.field("Rate", |w| w.f64(window.sum / INTERVAL_SECONDS as f64));
        w.field("Sum", |w| w.f64(window.sum));
        w.field("Min", |w| w.f64(window.min));
        w.field("Max", |w| w.f64(window.max));
        w.field("Mean", |w| w.f64(window.mean()));
        w.field("Stddev", |w| w.f64(window.standard_deviation()));
        w.field("Labels", |w| w.str_map(labels.iter().map(|(k, v)| (k, v))));
    });
}

/// `2025-01-01 00:00:00 +0000 UTC`, as Go prints a time.
pub(super) fn timestamp(seconds: u64) -> String {
    let c = WallTime(i64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000_000)).civil();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} +0000 UTC",
        c.year, c.month, c.day, c.hour, c.minute, c.second
    )
}
