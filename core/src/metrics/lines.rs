//! What SIGUSR1 shows: the interval that JSON shows, one metric a line, as Consul writes them.

use super::aggregate::{INTERVAL_SECONDS, Window};
use super::json::{sorted, timestamp};
use super::report::{Labels, Naming, Report};
use alloc::format;
use alloc::string::String;

impl Report {
    /// Gauges, then counters, then samples, each group sorted by name. Labels' values are part of the name.
    pub fn lines(&self, naming: &Naming<'_>) -> String {
        let head = timestamp(self.shown * INTERVAL_SECONDS);
        let mut out = String::new();
        let gauges = self.gauges.iter().filter(|gauge| naming.shows(gauge.metric));
        let gauges = gauges.map(|gauge| (naming.gauge(gauge.metric), gauge.labels.clone(), gauge.value));
        for (name, labels, value) in sorted(gauges) {
            out.push_str(&format!("[{head}][G] '{}': {value:.3}\n", flat(&name, &labels)));
        }
        let counters =
            self.counters.iter().filter(|((metric, _), count)| count.shown > 0 && naming.shows(*metric));
        let counters = counters.map(|((metric, labels), count)| {
            (naming.plain(*metric), naming.labels(*metric, labels), Window::of_ones(count.shown))
        });
        for (name, labels, window) in sorted(counters) {
            out.push_str(&format!("[{head}][C] '{}': {}\n", flat(&name, &labels), summary(&window)));
        }
        let samples = self.samples.iter();
        let samples = samples.filter(|((metric, _), found)| found.shown.count > 0 && naming.shows(*metric));
        let samples = samples.map(|((metric, labels), found)| {
            (naming.plain(*metric), naming.labels(*metric, labels), found.shown)
        });
        for (name, labels, window) in sorted(samples) {
            out.push_str(&format!("[{head}][S] '{}': {}\n", flat(&name, &labels), summary(&window)));
        }
        out
    }
}

fn flat(name: &str, labels: &Labels) -> String {
    labels.iter().fold(String::from(name), |name, (_, value)| name + "." + value)
}

/// Consul adds when a metric was last touched, which nobody keeps here.
fn summary(window: &Window) -> String {
    let (count, sum, deviation) = (window.count, window.sum, window.standard_deviation());
    if deviation == 0.0 {
        return format!("Count: {count} Sum: {sum:.3}");
    }
    let (min, mean, max) = (window.min, window.mean(), window.max);
    format!("Count: {count} Min: {min:.3} Mean: {mean:.3} Max: {max:.3} Stddev: {deviation:.3} Sum: {sum:.3}")
}
