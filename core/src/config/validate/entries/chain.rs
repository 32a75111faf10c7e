//! Entries that lead requests for a service elsewhere.

use super::Entry;
use crate::duration;
use crate::strconv::quote;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub(super) fn router(entry: &Entry<'_>) -> Result<(), String> {
    entry.named()?;
    for (i, route) in entry.list("Routes").iter().enumerate() {
        let http = route.object("Match").and_then(|wanted| wanted.object("HTTP"));
        let mut paths = 0;
        for key in ["PathExact=path_exact", "PathPrefix=path_prefix", "PathRegex=path_regex"] {
            let path = http.as_ref().map(|http| http.text(key)).unwrap_or_default();
            paths += usize::from(!path.is_empty());
            let name = key.split('=').next().unwrap_or(key);
            if name != "PathRegex" && !path.is_empty() && !path.starts_with('/') {
                let path = quote(path.as_bytes());
                return Err(format!("Route[{i}] {name} doesn't start with '/': {path}"));
            }
        }
        if paths > 1 {
            let keys = "PathExact, PathPrefix, or PathRegex";
            return Err(format!("Route[{i}] should only contain at most one of {keys}"));
        }
        let rewrite = route.object("Destination").map(|to| to.text("PrefixRewrite=prefix_rewrite"));
        let regex = http.as_ref().is_some_and(|http| !http.text("PathRegex=path_regex").is_empty());
        if rewrite.is_some_and(|path| !path.is_empty()) && (paths == 0 || regex) {
            return Err(format!(
                "Route[{i}] cannot make use of PrefixRewrite without configuring either PathExact or PathPrefix"
            ));
        }
    }
    Ok(())
}

/// Weights count to this part of a percent.
const SMALLEST: f64 = 100.0;

pub(super) fn splitter(entry: &Entry<'_>) -> Result<(), String> {
    let name = entry.named()?;
    let splits = entry.list("Splits");
    if splits.is_empty() {
        return Err("no splits configured".into());
    }
    let mut seen: Vec<(String, String)> = Vec::new();
    let (mut sum, mut parts) = (0.0, 0_i64);
    for split in &splits {
        let service = Some(split.text("Service")).filter(|service| !service.is_empty());
        let to = (service.unwrap_or_else(|| name.clone()), split.text("ServiceSubset=service_subset"));
        if seen.contains(&to) {
            let [service, subset] = [to.0, to.1].map(|text| quote(text.as_bytes()));
            return Err(format!(
                "split destination occurs more than once: service={service}, subset={subset}, namespace=\"\", \
                 partition=\"\""
            ));
        }
        seen.push(to);
        let weight = split.number("Weight");
        sum += weight;
        parts = parts.saturating_add(libm::round(weight * SMALLEST) as i64);
    }
    match parts {
        10_000 => Ok(()),
        _ => Err(format!("the sum of all split weights must be 100, not {sum:.6}")),
    }
}

pub(super) fn resolver(entry: &Entry<'_>) -> Result<(), String> {
    let mut waits = Vec::new();
    for key in ["ConnectTimeout=connect_timeout", "RequestTimeout=request_timeout"] {
        let (name, text) = (key.split('=').next().unwrap_or(key), entry.text(key));
        if text.is_empty() {
            continue;
        }
        let wait = text.parse::<i64>().or_else(|_| duration::parse(&text));
        let decoding = |why| format!("1 error(s) decoding:\n\n* error decoding '{name}': {why}");
        waits.push((name, wait.map_err(decoding)?));
    }
    entry.named()?;
    let subsets = entry.object("Subsets");
    let subsets: Vec<&String> = subsets.iter().flat_map(|subsets| subsets.fields.keys()).collect();
    for name in &subsets {
        if name.is_empty() {
            return Err("Subset defined with empty name".into());
        }
        if !is_label(name) {
            let name = quote(name.as_bytes());
            return Err(format!(
                "Subset {name} is invalid: must be 63 characters or fewer, begin or end with lower case alphanumeric \
                 characters, and contain lower case alphanumeric characters or '-' in between"
            ));
        }
    }
    let known = |name: &String| name.is_empty() || subsets.contains(&name);
    let default = entry.text("DefaultSubset=default_subset");
    if !known(&default) {
        return Err(format!("DefaultSubset {} is not a valid subset", quote(default.as_bytes())));
    }
    let failover = entry.object("Failover").filter(|failover| !failover.fields.is_empty());
    if let Some(redirect) = entry.object("Redirect") {
        if failover.is_some() {
            return Err("Redirect and Failover cannot both be set".into());
        }
        if redirect.fields.values().all(|value| value.is_null() || value.as_str() == Some("")) {
            return Err("Redirect is empty".into());
        }
        let subset = redirect.text("ServiceSubset=service_subset");
        if !subset.is_empty() && redirect.text("Service").is_empty() {
            return Err("Redirect.ServiceSubset defined without Redirect.Service".into());
        }
    }
    for (name, value) in failover.iter().flat_map(|failover| failover.fields) {
        let Some(fields) = value.as_object() else { continue };
        let (shown, target) = (quote(name.as_bytes()), Entry { fields });
        if name != "*" && !known(name) {
            return Err(format!("Bad Failover[{shown}]: not a valid subset subset"));
        }
        let keys = [
            "Service",
            "ServiceSubset=service_subset",
            "Namespace",
            "Targets",
            "SamenessGroup=sameness_group",
            "Datacenters",
        ];
        if keys.iter().all(|key| target.get(key).is_none()) {
            return Err(format!(
                "Bad Failover[{shown}]: one of Service, ServiceSubset, Namespace, Targets, SamenessGroup, or \
                 Datacenters is required"
            ));
        }
        if target.items("Datacenters").iter().any(|datacenter| datacenter.as_str() == Some("")) {
            return Err(format!("Bad Failover[{shown}].Datacenters: found empty datacenter"));
        }
    }
    if let Some((name, wait)) = waits.iter().find(|(_, wait)| *wait < 0) {
        return Err(format!("Bad {name} '{}', must be >= 0", duration::format(*wait)));
    }
    let policy = entry.object("LoadBalancer=load_balancer").map(|lb| lb.text("Policy")).unwrap_or_default();
    match policy.as_str() {
        "" | "random" | "round_robin" | "least_request" | "maglev" | "ring_hash" => Ok(()),
        _ => Err(format!("Bad LoadBalancer policy: {} is not supported", quote(policy.as_bytes()))),
    }
}

/// A name that DNS takes.
fn is_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.len() <= 63 && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}
