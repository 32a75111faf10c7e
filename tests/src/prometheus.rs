//! A strict reader of the Prometheus text format, version 0.0.4: it refuses what a scraper might.

use std::collections::{BTreeMap, BTreeSet};

/// One sample of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Name as written, `_sum` and `_count` included.
    pub name: String,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// All samples of a document.
///
/// # Errors
/// The first line that breaks the grammar or its rules: every family has one `HELP`, then one `TYPE`, then its samples
/// and nobody else's; names and labels are legal; no series comes twice; a summary's samples are its own.
pub fn parse(text: &str) -> Result<Vec<Point>, String> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line does not end".into());
    }
    let mut points: Vec<Point> = Vec::new();
    let mut families: BTreeSet<String> = BTreeSet::new();
    let mut series: BTreeSet<String> = BTreeSet::new();
    let mut help = String::new();
    let mut family = (String::new(), String::new());
    for line in text.lines() {
        let fail = |why: &str| Err(format!("{why}: {line:?}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, words) = rest.split_once(' ').unwrap_or((rest, ""));
            if !legal_name(name) || words.is_empty() {
                return fail("HELP needs a name and words");
            }
            help = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { return fail("TYPE needs a kind") };
            if name != help || !["counter", "gauge", "summary"].contains(&kind) {
                return fail("TYPE does not follow its HELP, or is unknown");
            }
            if !families.insert(name.to_owned()) {
                return fail("a family comes twice");
            }
            family = (name.to_owned(), kind.to_owned());
        } else {
            let point = sample(line)?;
            let bare = match family.1.as_str() {
                "summary" => point.name.strip_suffix("_sum").or(point.name.strip_suffix("_count")),
                _ => None,
            };
            if bare.unwrap_or(&point.name) != family.0 {
                return fail("a sample outside its family");
            }
            if family.1 == "summary" && bare.is_none() && !point.labels.contains_key("quantile") {
                return fail("a summary's own sample has no quantile");
            }
            if family.1 == "counter" && !(point.value >= 0.0 && point.value.is_finite()) {
                return fail("a counter is no count");
            }
            if !series.insert(format!("{} {:?}", point.name, point.labels)) {
                return fail("a series comes twice");
            }
            points.push(point);
        }
    }
    Ok(points)
}

fn legal_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !name.is_empty() && name.chars().all(legal) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn sample(line: &str) -> Result<Point, String> {
    let fail = |why: &str| Err(format!("{why}: {line:?}"));
    let end = line.find(['{', ' ']).unwrap_or(line.len());
    let (name, mut rest) = line.split_at(end);
    if !legal_name(name) {
        return fail("no legal name");
    }
    let mut labels = BTreeMap::new();
    if let Some(mut inner) = rest.strip_prefix('{') {
        loop {
            let Some((label, after)) = inner.split_once("=\"") else { return fail("no label") };
            if !legal_name(label) || label.contains(':') {
                return fail("no legal label");
            }
            let mut value = String::new();
            let mut chars = after.char_indices();
            let close = loop {
                match chars.next() {
                    Some((_, '\\')) => match chars.next() {
                        Some((_, 'n')) => value.push('\n'),
                        Some((_, c @ ('\\' | '"'))) => value.push(c),
                        _ => return fail("a bad escape"),
                    },
                    Some((at, '"')) => break at,
                    Some((_, c)) => value.push(c),
                    None => return fail("a label does not end"),
                }
            };
            if labels.insert(label.to_owned(), value).is_some() {
                return fail("a label comes twice");
            }
            let after = &after[close + 1..];
            if let Some(end) = after.strip_prefix('}') {
                rest = end;
                break;
            }
            let Some(next) = after.strip_prefix(',') else { return fail("labels need a comma") };
            inner = next;
        }
    }
    let Some(value) = rest.strip_prefix(' ') else { return fail("no space before the value") };
    match value.parse() {
        Ok(value) => Ok(Point { name: name.to_owned(), labels, value }),
        Err(_) => fail("no number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_refuses_what_it_is_meant_to_refuse() {
        let head = "# HELP a b\n# TYPE a counter\n";
        assert_eq!(parse(&format!("{head}a{{x=\"1\\\"\"}} 2\n")).map(|p| p.len()), Ok(1));
        for bad in
            ["a 1", "a 1\na 1\n", "b 1\n", "a{x=1} 1\n", "a{x=\"1\"}1\n", "a -1\n", "a one\n", "a NaN\n"]
        {
            assert!(parse(&format!("{head}{bad}")).is_err(), "{bad:?}");
        }
        assert!(parse("# TYPE a counter\na 1\n").is_err(), "no HELP");
        assert!(parse(&format!("{head}{head}")).is_err(), "a family twice");
        assert!(parse("# HELP s b\n# TYPE s summary\ns 1\n").is_err(), "a summary without quantile");
    }
}
