//! Metrics: counters, gauges and samples as plain values, and the two forms in which users read them.
//!
//! Every thread owns a [`Recorder`] and writes to it without a lock; whoever answers a scrape adds them up in a
//! [`Report`]. Counting allocates only when a series is seen for the first time. Core counts what it decides;
//! what takes real time is measured by the drivers, which record it here too.
//!
//! As in Consul, values are gathered in intervals of ten seconds: JSON shows the last finished one, the
//! Prometheus form shows totals since the start, with quantiles over the newest ten to twenty seconds.
//!
//! | file | has |
//! |---|---|
//! | `catalogue` | every metric: name, kind, help |
//! | `aggregate` | one counter, one sample, their intervals |
//! | `recorder` | what one thread counts |
//! | `report` | the sum of recorders, with gauges and names |
//! | `filter` | `telemetry.prefix_filter` |
//! | `json`, `prometheus`, `lines` | the forms |

mod aggregate;
mod catalogue;
mod filter;
mod json;
mod lines;
mod prometheus;
mod recorder;
mod report;

pub use aggregate::{Counter, INTERVAL_SECONDS, Sample, Window};
pub use catalogue::{Kind, Metric};
pub use filter::Filter;
pub use recorder::{Endpoint, MAX_NAME_BYTES, MAX_NAMED, Recorder};
pub use report::{Gauge, Naming, Report};

#[cfg(test)]
mod tests;
