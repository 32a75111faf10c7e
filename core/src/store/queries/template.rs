//! A query that stands for many: every text of what it searches for may depend on the name that is asked for.

use super::MAX_NAME;
use super::interpolation::{Scope, Text};
use crate::Str;
use crate::pattern::{self, ALL_CHARACTERS, Limits, Pattern};
use crate::types::{NAME_PREFIX_MATCH, Pairs, PreparedQuery, ServiceQuery, Tags};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

/// How long a pattern may be, in bytes, and how much memory it may take. Consul has no bound of its own.
const MAX_PATTERN: usize = 4096;
const MAX_COMPILED: usize = 256 << 10;
/// How much work it may be to ask it about the longest name: see [`Pattern::cost`].
const MAX_COST: u64 = 4_000_000;
/// How many bytes all texts of a query may have, as they read for a name.
const MAX_TEXT: usize = 64 << 10;

/// A template, taken apart.
#[derive(Debug)]
pub(super) struct Template {
    /// The texts that hold more than themselves, as they are written.
    texts: BTreeMap<String, Text>,
    pattern: Option<Pattern>,
}

impl Template {
    /// Takes a template apart, and tries whether it reads under its own name.
    pub(super) fn compile(query: &PreparedQuery) -> Result<Template, String> {
        if *query.template.kind != *NAME_PREFIX_MATCH {
            return Err(format!("Bad Template.Type '{}'", query.template.kind));
        }
        let mut texts = BTreeMap::new();
        each_text(&query.service, &mut |path, text| {
            let parsed =
                Text::parse(text).map_err(|e| format!("Bad format '{text}' in Service{path}: {e}"))?;
            if !parsed.is_plain() || text.contains("$$") {
                texts.insert(String::from(text), parsed);
            }
            Ok(Str::from(text))
        })?;
        let pattern = match &*query.template.regexp {
            "" => None,
            text if text.len() > MAX_PATTERN => {
                return Err(format!("Bad Regexp: it is longer than {MAX_PATTERN} bytes"));
            }
            text => {
                let mut limits = Limits { compiled: MAX_COMPILED, folds: ALL_CHARACTERS };
                let compiled = pattern::compile_with_groups(text.as_bytes(), &mut limits);
                let compiled = compiled.map_err(|e| format!("Bad Regexp: {e}"))?;
                if compiled.cost(MAX_NAME) > MAX_COST {
                    return Err("Bad Regexp: it repeats too much".into());
                }
                Some(compiled)
            }
        };
        let template = Template { texts, pattern };
        template.render(query, &query.name, "")?;
        Ok(template)
    }

    /// The query as it reads for a name.
    pub(super) fn render(
        &self,
        query: &PreparedQuery,
        name: &str,
        segment: &str,
    ) -> Result<PreparedQuery, String> {
        if name.len() > MAX_NAME {
            return Err(format!("a name may have {MAX_NAME} bytes"));
        }
        let groups = self.pattern.as_ref().map_or_else(Vec::new, |pattern| pattern.groups(name));
        let left = Cell::new(MAX_TEXT);
        let scope = Scope { full: name, prefix: &query.name, segment, groups: &groups, left };
        let mut service = each_text(&query.service, &mut |path, text| match self.texts.get(text) {
            None => scope.spend(text.len()).map(|()| Str::from(text)),
            Some(parsed) => {
                let rendered = parsed.render(&scope);
                let rendered =
                    rendered.map_err(|e| format!("Bad evaluation for '{text}' in Service{path}: {e}"));
                rendered.map(Str::from)
            }
        })?;
        if query.template.remove_empty_tags {
            // There is a list afterwards, be it empty.
            let tags = service.tags.iter().filter(|tag| !tag.is_empty()).cloned();
            service.tags = Tags::of(Some(tags.collect()));
        }
        Ok(PreparedQuery { service, ..query.clone() })
    }
}

/// Puts what `change` makes of every text in its place; it is told where each stands.
fn each_text(
    service: &ServiceQuery,
    change: &mut dyn FnMut(&str, &str) -> Result<Str, String>,
) -> Result<ServiceQuery, String> {
    let mut out = service.clone();
    out.service = change(".Service", &service.service)?;
    out.sameness_group = change(".SamenessGroup", &service.sameness_group)?;
    out.failover.datacenters = list(".Failover.Datacenters", &service.failover.datacenters, change)?;
    for (at, target) in out.failover.targets.iter_mut().flatten().enumerate() {
        target.peer = change(&format!(".Failover.Targets[{at}].Peer"), &target.peer)?;
        target.datacenter = change(&format!(".Failover.Targets[{at}].Datacenter"), &target.datacenter)?;
    }
    out.ignore_check_ids = list(".IgnoreCheckIDs", &service.ignore_check_ids, change)?;
    out.near = change(".Near", &service.near)?;
    out.tags = list(".Tags", &service.tags, change)?;
    out.node_meta = map(".NodeMeta", &service.node_meta, change)?;
    out.service_meta = map(".ServiceMeta", &service.service_meta, change)?;
    out.peer = change(".Peer", &service.peer)?;
    Ok(out)
}

fn list(
    path: &str,
    texts: &Tags,
    change: &mut dyn FnMut(&str, &str) -> Result<Str, String>,
) -> Result<Tags, String> {
    let changed = texts.iter().enumerate().map(|(at, text)| change(&format!("{path}[{at}]"), text));
    let changed = changed.collect::<Result<Vec<Str>, String>>()?;
    Ok(Tags::of((!texts.is_none()).then_some(changed)))
}

fn map(
    path: &str,
    texts: &Pairs,
    change: &mut dyn FnMut(&str, &str) -> Result<Str, String>,
) -> Result<Pairs, String> {
    let mut changed = BTreeMap::new();
    for (key, text) in texts {
        changed.insert(key.clone(), change(&format!("{path}[{key}]"), text)?);
    }
    Ok(Pairs::of((!texts.is_none()).then_some(changed)))
}
