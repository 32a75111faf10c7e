//! `telemetry.prefix_filter`: which metrics are shown.

use alloc::string::String;
use alloc::vec::Vec;

/// Rules on full names, prefix included; the longest rule that fits decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// `telemetry.filter_default`: what happens to a name that no rule fits.
    pub default: bool,
    /// Prefix, and whether it is shown.
    pub rules: Vec<(String, bool)>,
}

impl Default for Filter {
    /// Shows everything.
    fn default() -> Filter {
        Filter { default: true, rules: Vec::new() }
    }
}

impl Filter {
    /// The filter of these rules: `+prefix` shows, `-prefix` hides. The second part has Consul's warning for each
    /// rule that is neither; it is left out.
    pub fn parse(rules: &[String], default: bool) -> (Filter, Vec<String>) {
        let mut filter = Filter { default, rules: Vec::new() };
        let mut warnings = Vec::new();
        for rule in rules {
            match (rule.strip_prefix('+'), rule.strip_prefix('-')) {
                _ if rule.is_empty() => {
                    warnings.push(String::from("Cannot have empty filter rule in prefix_filter"));
                }
                (Some(prefix), _) => filter.rules.push((prefix.into(), true)),
                (_, Some(prefix)) => filter.rules.push((prefix.into(), false)),
                (None, None) => {
                    let text = "Filter rule must begin with either '+' or '-'";
                    warnings.push(alloc::format!("{text}: {rule:?}"));
                }
            }
        }
        (filter, warnings)
    }

    /// Whether the metric of this name, as JSON shows it without host name, is shown. Of two rules of one prefix
    /// the one that hides wins.
    pub fn shows(&self, name: &str) -> bool {
        let fits = self.rules.iter().filter(|(prefix, _)| name.starts_with(prefix.as_str()));
        fits.max_by_key(|(prefix, shown)| (prefix.len(), !shown)).map_or(self.default, |(_, shown)| *shown)
    }
}
