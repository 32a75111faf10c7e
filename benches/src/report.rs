//! Numbers as people read them.

use std::fmt::Write;
use std::time::Duration;

/// A median with its range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl Spread {
    /// Of these values; all zero when there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        match (values.first(), values.last()) {
            (Some(min), Some(max)) => Spread { median: values[values.len() / 2], min: *min, max: *max },
            _ => Spread::default(),
        }
    }

    /// `12.3 (11.0-14.1)`.
    pub fn text(&self) -> String {
        format!("{} ({}-{})", number(self.median), number(self.min), number(self.max))
    }
}

/// Three digits that count.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// In the unit that suits it.
pub fn time(value: Duration) -> String {
    let us = value.as_nanos() as f64 / 1e3;
    match us {
        us if us >= 1e6 => format!("{} s", number(us / 1e6)),
        us if us >= 1e3 => format!("{} ms", number(us / 1e3)),
        us => format!("{} us", number(us)),
    }
}

/// Rows of cells as a Markdown table, which reads well in a terminal too.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..head.len())
        .map(|i| rows.iter().map(|r| r[i].chars().count()).chain([head[i].len()]).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (cell, width) in cells.zip(&widths) {
            let _ = write!(out, "| {cell:width$} ");
        }
        out.push_str("|\n");
    };
    line(&mut head.iter().copied());
    let dashes: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
    line(&mut dashes.iter().map(String::as_str));
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_middle_and_the_ends() {
        assert_eq!(Spread::of([3.0, 1.0, 200.0]), Spread { median: 3.0, min: 1.0, max: 200.0 });
        assert_eq!(Spread::of([3.0, 1.0, 200.0]).text(), "3.00 (1.00-200)");
        assert_eq!(Spread::of([]), Spread::default());
        assert_eq!(time(Duration::from_micros(1500)), "1.50 ms");
    }
}
