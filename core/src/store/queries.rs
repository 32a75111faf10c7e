//! Prepared queries: by ID, by name, and templates by the prefix of the names that they answer for.

mod interpolation;
mod template;
#[cfg(test)]
mod tests;

use super::Store;
use super::key::{Key, Parts, fold, fold_str};
use crate::Str;
use crate::command::QueryCommand;
use crate::duration;
use crate::map::Map;
use crate::types::{CheckServiceNode, PreparedQuery, ServiceQuery, rules, status};
use crate::watch::ChangeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use template::Template;

/// Its name in the index table of a snapshot.
const TABLE: &str = "prepared-queries";

/// How long a name may be, that of a query and one that is asked for, in bytes. Like the bounds below, Consul has none.
const MAX_NAME: usize = 1024;
/// How many datacenters, or targets, a query may go on to.
const MAX_FAILOVER: usize = 64;
/// How many templates there may be: each is kept taken apart.
const MAX_TEMPLATES: usize = 1000;

/// What Consul shows to who may not see a token.
const REDACTED: &str = "<hidden>";

/// All prepared queries.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Queries {
    /// By ID, in lower case.
    by_id: Map<Str, Arc<Held>>,
    /// Of those that have a name: it, in lower case, to the ID.
    by_name: Map<Str, Str>,
    /// Of templates: the prefix, in lower case, to the ID. One may be empty.
    templates: Map<Str, Str>,
    /// By the session that they go with, and ID, both in lower case.
    by_session: Map<Key<2>, ()>,
}

/// A query, and what is made of it when it is a template.
#[derive(Debug)]
struct Held {
    query: Arc<PreparedQuery>,
    template: Option<Template>,
}

impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        self.query == other.query
    }
}

/// Why there is no query to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// Nobody has defined it.
    NotFound,
    /// Consul's text.
    Failed(String),
}

impl Held {
    fn of(query: PreparedQuery) -> Result<Held, String> {
        let template = match query.is_template() {
            true => Some(Template::compile(&query).map_err(|e| format!("failed compiling template: {e}"))?),
            false => None,
        };
        Ok(Held { query: Arc::new(query), template })
    }
}

impl Queries {
    fn insert(&mut self, held: Held) {
        let id = fold_str(&held.query.id);
        self.remove(&id);
        let name = fold_str(&held.query.name);
        if held.template.is_some() {
            self.templates.insert(name.clone(), id.clone());
        }
        if !name.is_empty() {
            self.by_name.insert(name, id.clone());
        }
        if !held.query.session.is_empty() {
            self.by_session.insert(Key([fold_str(&held.query.session), id.clone()]), ());
        }
        self.by_id.insert(id, Arc::new(held));
    }

    fn remove(&mut self, id: &str) -> bool {
        let Some(held) = self.by_id.remove(id) else { return false };
        let name = fold_str(&held.query.name);
        self.by_name.remove(&name);
        self.by_session.remove::<dyn Parts>(&[&*fold(&held.query.session), id]);
        if held.template.is_some() {
            self.templates.remove(&name);
        }
        true
    }

    fn held(&self, id: &str) -> Option<&Arc<Held>> {
        self.by_id.get(&*fold(id))
    }

    /// Whether another query than that of `id` has this name, or is the template of this prefix.
    fn is_taken(names: &Map<Str, Str>, name: &str, id: &str) -> bool {
        names.get(&*fold(name)).is_some_and(|holder| **holder != *fold(id))
    }

    /// The template with the longest prefix that `name` begins with.
    fn template_for(&self, name: &str) -> Option<&Arc<Held>> {
        let name = fold(name);
        let mut end = name.len();
        loop {
            if let Some(id) = name.get(..end).and_then(|prefix| self.templates.get(prefix)) {
                return self.by_id.get(id);
            }
            end = end.checked_sub(1)?;
        }
    }

    /// What another server told of its queries, to be shown.
    pub(super) fn shown(queries: Vec<Arc<PreparedQuery>>) -> Queries {
        let held =
            |query: Arc<PreparedQuery>| (fold_str(&query.id), Arc::new(Held { query, template: None }));
        Queries { by_id: queries.into_iter().map(held).collect(), ..Queries::default() }
    }

    /// Reads one from a snapshot.
    pub(super) fn restore(&mut self, query: PreparedQuery) -> Result<(), String> {
        if query.id.is_empty() {
            return Err("a prepared query without an ID".into());
        }
        let taken = Self::is_taken(&self.by_name, &query.name, &query.id)
            || (query.is_template() && Self::is_taken(&self.templates, &query.name, &query.id));
        if taken {
            return Err(format!("two prepared queries have the name '{}'", query.name));
        }
        let known = if query.name.is_empty() { query.id.clone() } else { query.name.clone() };
        let held = vet_size(&query).and_then(|()| Held::of(query));
        self.insert(held.map_err(|why| format!("prepared query '{known}': {why}"))?);
        Ok(())
    }

    /// Raises what an index table says of queries to what they say themselves.
    pub(super) fn restore_index(&self, table: &mut Map<Str, u64>) {
        let highest = self.by_id.values().map(|held| held.query.modify_index).max().unwrap_or(0);
        if highest > table.get(TABLE).copied().unwrap_or(0) {
            table.insert(Str::from(TABLE), highest);
        }
    }
}

/// Whether a text is a UUID, in any case.
fn is_uuid(text: &str) -> bool {
    let dash = |at| matches!(at, 8 | 13 | 18 | 23);
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| if dash(at) { b == b'-' } else { b.is_ascii_hexdigit() })
}

/// Consul's complaint about a text that is looked up as an ID and cannot be one.
fn vet_id(text: &str) -> Result<(), String> {
    let fail = |why: &str| Err(format!("failed prepared query lookup: index error: {why}"));
    if text.len() != 36 {
        return fail("UUID must be 36 characters");
    }
    let dashes = text.bytes().filter(|b| *b == b'-').count();
    if dashes > 4 {
        return fail(&format!("UUID should have maximum of 4 \"-\"; got {dashes}"));
    }
    if !(36 - dashes).is_multiple_of(2) {
        return fail("Input (without hyphens) must be even length");
    }
    // Byte by byte, as in Go.
    match text.bytes().find(|b| *b != b'-' && !b.is_ascii_hexdigit()) {
        Some(b) => fail(&format!("Invalid UUID: encoding/hex: invalid byte: U+{b:04X} '{}'", char::from(b))),
        None => Ok(()),
    }
}

/// What would cost too much, whoever asks for it.
fn vet_size(query: &PreparedQuery) -> Result<(), String> {
    let failover = &query.service.failover;
    let targets = failover.targets.as_ref().map_or(0, |targets| targets.len());
    if query.name.len() > MAX_NAME {
        return Err(format!("Bad Name: it may have {MAX_NAME} bytes"));
    }
    if failover.datacenters.iter().count().max(targets) > MAX_FAILOVER {
        return Err(format!("Bad Failover: there may be {MAX_FAILOVER} datacenters or targets"));
    }
    Ok(())
}

/// What Consul refuses of a query by itself.
fn vet(query: &PreparedQuery) -> Result<(), String> {
    let PreparedQuery { name, session, token, service, dns, .. } = query;
    if name.is_empty() && !query.is_template() && session.is_empty() {
        return Err("Must be bound to a session".into());
    }
    if **token == *REDACTED {
        return Err(format!(
            "Bad Token '{token}', it looks like a query definition with a redacted token was submitted"
        ));
    }
    vet_size(query)?;
    if service.service.is_empty() {
        return Err("Must provide a Service name to query".into());
    }
    let failover = &service.failover;
    if failover.nearest_n < 0 {
        return Err(format!("Bad NearestN '{}', must be >= 0", failover.nearest_n));
    }
    let targets = failover.targets.as_ref().is_some_and(|targets| !targets.is_empty());
    if targets && (failover.nearest_n != 0 || !failover.datacenters.is_empty()) {
        return Err("Targets cannot be populated with NearestN or Datacenters".into());
    }
    rules::metadata_of_nodes(service.node_meta.iter().map(|(key, value)| (&**key, &**value)))?;
    if !service.sameness_group.is_empty() {
        return Err("sameness-groups are an enterprise-only feature".into());
    }
    if !dns.ttl.is_empty() {
        let ttl = duration::parse(&dns.ttl).map_err(|e| format!("Bad DNS TTL '{}': {e}", dns.ttl))?;
        if ttl < 0 {
            return Err(format!("DNS TTL '{ttl}', must be >=0"));
        }
    }
    Ok(())
}

impl Store {
    /// Carries out a command; an error is Consul's text, and nothing has changed.
    pub(super) fn apply_query(
        &mut self,
        index: u64,
        command: &QueryCommand,
        changes: &mut ChangeSet,
    ) -> Result<(), String> {
        let QueryCommand { op, query, .. } = command;
        if op != "create" {
            let found = self.query(&query.id).map_err(|e| format!("Prepared Query lookup failed: {e}"))?;
            if found.is_none() {
                return Err(format!("Cannot modify non-existent prepared query: '{}'", query.id));
            }
        }
        match &**op {
            "create" | "update" => {
                vet(query).map_err(|e| format!("Invalid prepared query: {e}"))?;
                let held = self.held_as(index, query.clone());
                self.queries.insert(held.map_err(|e| format!("raft apply failed: {e}"))?);
            }
            "delete" => {
                self.queries.remove(&fold(&query.id));
            }
            op => return Err(format!("Unknown prepared query operation: {op}")),
        }
        self.index.other.insert(Str::from(TABLE), index);
        changes.queries = true;
        Ok(())
    }

    /// A session, given in lower case, has ended: what goes with it goes.
    pub(super) fn end_queries_of(&mut self, index: u64, session: &str, changes: &mut ChangeSet) {
        let all = self.queries.by_session.range_from::<dyn Parts>(&[session]);
        let all = all.map(|(key, ())| &key.0).take_while(|[of, _]| **of == *session);
        let gone: Vec<Str> = all.map(|[_, id]| id.clone()).collect();
        for id in gone {
            self.queries.remove(&id);
            self.index.other.insert(Str::from(TABLE), index);
            changes.queries = true;
        }
    }

    /// The query as it will be held, if it gets along with what is there.
    fn held_as(&self, index: u64, mut query: PreparedQuery) -> Result<Held, String> {
        if query.id.is_empty() {
            return Err("Missing Query ID".into());
        }
        vet_id(&query.id)?;
        let created = self.queries.held(&query.id).map_or(index, |held| held.query.create_index);
        (query.create_index, query.modify_index) = (created, index);
        if !query.name.is_empty() {
            if Queries::is_taken(&self.queries.by_name, &query.name, &query.id) {
                return Err(format!("name '{}' aliases an existing query name", query.name));
            }
        } else if query.is_template() && Queries::is_taken(&self.queries.templates, "", &query.id) {
            return Err("a query template with an empty name already exists".into());
        }
        let templates = self.queries.templates.len();
        if query.is_template() && templates >= MAX_TEMPLATES && self.queries.held(&query.id).is_none() {
            return Err(format!("there are {MAX_TEMPLATES} query templates already"));
        }
        if is_uuid(&query.name) && self.queries.held(&query.name).is_some() {
            return Err(format!("name '{}' aliases an existing query ID", query.name));
        }
        if !query.session.is_empty() && self.session(&query.session).is_none() {
            return Err(format!("invalid session {:?}", query.session));
        }
        Held::of(query)
    }

    /// All of them, by ID.
    pub fn queries(&self) -> impl Iterator<Item = &Arc<PreparedQuery>> {
        self.queries.by_id.values().map(|held| &held.query)
    }

    /// The one of this ID; an error, in Consul's words, for a text that cannot be one.
    pub fn query(&self, id: &str) -> Result<Option<&Arc<PreparedQuery>>, String> {
        vet_id(id)?;
        Ok(self.queries.held(id).map(|held| &held.query))
    }

    /// `X-Consul-Index` of prepared queries.
    pub fn queries_index(&self) -> u64 {
        self.index.other.get(TABLE).copied().unwrap_or(0)
    }

    /// What is executed under an ID or a name: a template as it reads for that name. `segment` is that of the agent
    /// that asks.
    pub fn resolve_query(&self, id_or_name: &str, segment: &str) -> Result<Arc<PreparedQuery>, QueryError> {
        if id_or_name.is_empty() {
            return Err(QueryError::Failed("Missing Query ID".into()));
        }
        if is_uuid(id_or_name)
            && let Some(held) = self.queries.held(id_or_name)
        {
            return match held.template {
                Some(_) => Err(QueryError::Failed(
                    "prepared query templates can only be resolved up by name, not by ID".into(),
                )),
                None => Ok(held.query.clone()),
            };
        }
        if id_or_name.len() > MAX_NAME {
            return Err(QueryError::NotFound);
        }
        let named = self.queries.by_name.get(&*fold(id_or_name)).and_then(|id| self.queries.by_id.get(id));
        let held = named.or_else(|| self.queries.template_for(id_or_name)).ok_or(QueryError::NotFound)?;
        match &held.template {
            Some(template) => {
                let rendered = template.render(&held.query, id_or_name, segment);
                rendered.map(Arc::new).map_err(QueryError::Failed)
            }
            None => Ok(held.query.clone()),
        }
    }

    /// The instances that a query wants, in the order of the catalog. Those of peers, and proxies of the mesh, there
    /// are none of.
    pub fn query_instances(&self, query: &ServiceQuery, connect: bool) -> Vec<&Arc<CheckServiceNode>> {
        if connect || query.connect || !query.peer.is_empty() {
            return Vec::new();
        }
        let wanted = Wanted::of(query);
        self.service_health(&query.service).filter(|entry| wanted.matches(entry)).collect()
    }
}

/// What a query wants of an instance.
struct Wanted<'a> {
    query: &'a ServiceQuery,
    /// Tags that must be there, in lower case.
    must: Vec<String>,
    /// Tags that must not.
    never: Vec<String>,
}

impl<'a> Wanted<'a> {
    fn of(query: &'a ServiceQuery) -> Wanted<'a> {
        let (mut must, mut never) = (Vec::new(), Vec::new());
        for tag in query.tags.iter().map(|tag| tag.to_lowercase()) {
            match tag.strip_prefix('!') {
                Some(tag) => never.push(String::from(tag)),
                None => must.push(tag),
            }
        }
        Wanted { query, must, never }
    }

    fn matches(&self, entry: &CheckServiceNode) -> bool {
        let query = self.query;
        let healthy =
            entry.checks.iter().filter(|check| !query.ignore_check_ids.contains(&check.check_id)).all(
                |check| match query.only_passing {
                    true => &*check.status == status::PASSING,
                    false => &*check.status != status::CRITICAL,
                },
            );
        let has = |tag: &String| entry.service.tags.iter().any(|held| held.to_lowercase() == *tag);
        entry.service.peer_name.is_empty()
            && healthy
            && query.node_meta.iter().all(|(key, value)| entry.node.meta.get(key) == Some(value))
            && query.service_meta.iter().all(|(key, value)| entry.service.meta.get(key) == Some(value))
            && self.must.iter().all(has)
            && !self.never.iter().any(has)
    }
}
