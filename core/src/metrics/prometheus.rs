//! The Prometheus text format, version 0.0.4.

use super::aggregate::INTERVAL_SECONDS;
use super::catalogue::{Kind, Metric};
use super::report::{Labels, Measured, Naming, Report, is_gauge};
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt::Write;

/// One metric with all its series.
struct Family {
    kind: &'static str,
    help: &'static str,
    lines: String,
}

/// Families by name: the order in which they are written.
struct Families(BTreeMap<String, Family>);

impl Families {
    fn of(&mut self, name: &str, metric: Metric) -> &mut String {
        let kind = match metric.kind() {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Sample => "summary",
        };
        let fresh = || Family { kind, help: metric.help(), lines: String::new() };
        &mut self.0.entry(String::from(name)).or_insert_with(fresh).lines
    }
}

impl Report {
    /// The whole report. A gauge whose name carries the host's is there under its plain name too: Consul declares
    /// that one and leaves it at 0, here it has the value.
    pub fn prometheus(&self, naming: &Naming<'_>) -> String {
        let mut families = Families(BTreeMap::new());
        for ((metric, labels), count) in &self.counters {
            if naming.shows(*metric) && self.fresh(naming, labels, count.newest) {
                let name = flat(&naming.plain(*metric));
                let labels = naming.labels(*metric, labels);
                line(families.of(&name, *metric), &name, &labels, None, count.total as f64);
            }
        }
        for ((metric, labels), measured) in &self.samples {
            if naming.shows(*metric) && self.fresh(naming, labels, measured.newest) {
                let name = flat(&naming.plain(*metric));
                summary(families.of(&name, *metric), &name, &naming.labels(*metric, labels), measured);
            }
        }
        for gauge in self.gauges.iter().filter(|gauge| naming.shows(gauge.metric)) {
            let (plain, hosted) = (flat(&naming.plain(gauge.metric)), flat(&naming.gauge(gauge.metric)));
            line(families.of(&plain, gauge.metric), &plain, &gauge.labels, None, gauge.value);
            if hosted != plain {
                line(families.of(&hosted, gauge.metric), &hosted, &gauge.labels, None, gauge.value);
            }
        }
        for metric in Metric::ALL.iter().filter(|metric| !metric.labelled_only() && naming.has(**metric)) {
            self.declare(&mut families, &flat(&naming.plain(*metric)), *metric);
        }
        let mut out = String::new();
        for (name, family) in &families.0 {
            // Writing to memory cannot fail.
            let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {}", family.help, family.kind);
            out.push_str(&family.lines);
        }
        out
    }

    /// Shows a metric that nothing has happened to yet.
    fn declare(&self, families: &mut Families, name: &str, metric: Metric) {
        let lines = families.of(name, metric);
        let without_labels = |line: &str| line.starts_with(name) && !line[name.len()..].starts_with('{');
        let is_summary = metric.kind() == Kind::Sample;
        let there = match is_summary {
            // A summary's own lines carry the quantile as a label.
            true => lines.lines().any(|l| l.strip_prefix(name).is_some_and(|l| l.starts_with("_count "))),
            false => lines.lines().any(without_labels),
        };
        // A gauge with labels is there as it is; a counter and a sample have their unlabelled zero beside them.
        if there || (is_gauge(metric) && !lines.is_empty()) {
            return;
        }
        match is_summary {
            true => summary(lines, name, &Labels::new(), &Measured::default()),
            false => line(lines, name, &Labels::new(), None, 0.0),
        }
    }

    /// A series with labels ends when it has had no news for the retention time.
    fn fresh(&self, naming: &Naming<'_>, labels: &Labels, newest: u64) -> bool {
        let idle = self.interval.saturating_sub(newest) * INTERVAL_SECONDS;
        labels.is_empty() || idle <= naming.retention_seconds.max(INTERVAL_SECONDS)
    }
}

fn summary(out: &mut String, name: &str, labels: &Labels, measured: &Measured) {
    for quantile in ["0.5", "0.9", "0.99"] {
        let part = quantile.parse().unwrap_or(0.5);
        let value = measured.quantile(part).unwrap_or(f64::NAN);
        line(out, name, labels, Some(quantile), value);
    }
    line(out, &alloc::format!("{name}_sum"), labels, None, measured.sum);
    line(out, &alloc::format!("{name}_count"), labels, None, measured.count as f64);
}

fn line(out: &mut String, name: &str, labels: &Labels, quantile: Option<&str>, value: f64) {
    out.push_str(name);
    let mut open = '{';
    let all = labels.iter().map(|(k, v)| (*k, v.as_str())).chain(quantile.map(|q| ("quantile", q)));
    for (label, text) in all {
        out.push(open);
        out.push_str(label);
        out.push_str("=\"");
        for c in text.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
        open = ',';
    }
    if open == ',' {
        out.push('}');
    }
    let _ = match value {
        v if v == f64::INFINITY => writeln!(out, " +Inf"),
        v if v == f64::NEG_INFINITY => writeln!(out, " -Inf"),
        v => writeln!(out, " {v}"),
    };
}

/// A name as Prometheus takes it: what it does not allow becomes `_`.
fn flat(name: &str) -> String {
    let mut out: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == ':' { c } else { '_' })
        .collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}
