//! The views that a watch may have: where each is asked for, and how Consul's client would print it.
//!
//! Consul decodes an answer into its API types and encodes those again, so what a handler gets on its
//! standard input has all fields of the type, in the type's order, whatever the agent sent. Handlers
//! match on it; the tables here are those types.

use super::{escape, escape_path, switch as take_switch, text as take_text, texts};
use crate::json::{Kind, Value, Writer, to_vec};
use crate::user_event::index_of;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::Map;

/// One view.
#[derive(Clone, Debug)]
pub struct View {
    /// The word for it: its `type`.
    pub kind: &'static str,
    /// Path below the agent's address.
    pub path: String,
    /// Its parameters.
    pub query: Vec<(&'static str, String)>,
    /// Whether 404 means that nothing is there, which is shown as `null`.
    pub may_be_missing: bool,
    shape: Shape,
    /// The answer is a list of one, and the one is shown.
    single: bool,
    /// A list of events: those up to the one that was seen last are left out, and indexes have no order.
    pub(super) events: bool,
    /// What a local service is: its versions have a hash instead of an index, which is given in place of one.
    pub hashed: bool,
}

/// How a value is encoded again.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// As it came.
    Any,
    /// A text, a number, a switch: with its zero value in JSON.
    Plain(&'static str),
    /// An object of these fields, in this order.
    Struct(&'static [Field]),
    /// A list of structs; `null` stays `null`.
    List(&'static [Field]),
    /// An object whose keys are sorted.
    Map,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    name: &'static str,
    shape: Shape,
    /// When it is left out.
    left_out: LeftOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeftOut {
    Never,
    /// When it holds its zero value.
    Zero,
    /// When it is not there: an empty object is.
    Absent,
}

const fn text(name: &'static str) -> Field {
    Field { name, shape: Shape::Plain("\"\""), left_out: LeftOut::Never }
}

const fn number(name: &'static str) -> Field {
    Field { name, shape: Shape::Plain("0"), left_out: LeftOut::Never }
}

const fn switch(name: &'static str) -> Field {
    Field { name, shape: Shape::Plain("false"), left_out: LeftOut::Never }
}

const fn list(name: &'static str) -> Field {
    Field { name, shape: Shape::Any, left_out: LeftOut::Never }
}

const fn map(name: &'static str) -> Field {
    Field { name, shape: Shape::Map, left_out: LeftOut::Never }
}

const fn of(name: &'static str, fields: &'static [Field]) -> Field {
    Field { name, shape: Shape::Struct(fields), left_out: LeftOut::Never }
}

const fn optional(mut field: Field) -> Field {
    field.left_out = LeftOut::Zero;
    field
}

const fn pointer(mut field: Field) -> Field {
    field.left_out = LeftOut::Absent;
    field
}

const KEY: &[Field] = &[
    text("Key"),
    number("CreateIndex"),
    number("ModifyIndex"),
    number("LockIndex"),
    number("Flags"),
    list("Value"),
    text("Session"),
    optional(text("Namespace")),
    optional(text("Partition")),
];

const NODE: &[Field] = &[
    text("ID"),
    text("Node"),
    text("Address"),
    text("Datacenter"),
    map("TaggedAddresses"),
    map("Meta"),
    number("CreateIndex"),
    number("ModifyIndex"),
    optional(text("Partition")),
    optional(text("PeerName")),
    optional(list("Locality")),
];

const SERVICE: &[Field] = &[
    optional(text("Kind")),
    text("ID"),
    text("Service"),
    list("Tags"),
    map("Meta"),
    number("Port"),
    text("Address"),
    optional(text("SocketPath")),
    optional(map("TaggedAddresses")),
    of("Weights", &[number("Passing"), number("Warning")]),
    switch("EnableTagOverride"),
    optional(number("CreateIndex")),
    optional(number("ModifyIndex")),
    optional(text("ContentHash")),
    pointer(of("Proxy", PROXY)),
    pointer(list("Connect")),
    optional(text("PeerName")),
    optional(text("Namespace")),
    optional(text("Partition")),
    optional(text("Datacenter")),
    optional(list("Locality")),
];

const PROXY: &[Field] = &[
    optional(list("EnvoyExtensions")),
    optional(text("DestinationServiceName")),
    optional(text("DestinationServiceID")),
    optional(text("LocalServiceAddress")),
    optional(number("LocalServicePort")),
    optional(text("LocalServiceSocketPath")),
    optional(text("Mode")),
    pointer(list("TransparentProxy")),
    optional(map("Config")),
    optional(list("Upstreams")),
    of("MeshGateway", &[optional(text("Mode"))]),
    of("Expose", &[optional(switch("Checks")), optional(list("Paths"))]),
];

const CHECK: &[Field] = &[
    text("Node"),
    text("CheckID"),
    text("Name"),
    text("Status"),
    text("Notes"),
    text("Output"),
    text("ServiceID"),
    text("ServiceName"),
    list("ServiceTags"),
    text("Type"),
    optional(text("Namespace")),
    optional(text("Partition")),
    number("ExposedPort"),
    optional(text("PeerName")),
    of("Definition", DEFINITION),
    number("CreateIndex"),
    number("ModifyIndex"),
];

const fn span(name: &'static str) -> Field {
    Field { name, shape: Shape::Plain("\"0s\""), left_out: LeftOut::Never }
}

const DEFINITION: &[Field] = &[
    span("Interval"),
    span("Timeout"),
    span("DeregisterCriticalServiceAfter"),
    text("HTTP"),
    map("Header"),
    text("Method"),
    text("Body"),
    text("TLSServerName"),
    switch("TLSSkipVerify"),
    text("TCP"),
    switch("TCPUseTLS"),
    text("UDP"),
    text("GRPC"),
    text("OSService"),
    switch("GRPCUseTLS"),
];

const EVENT: &[Field] = &[
    text("ID"),
    text("Name"),
    list("Payload"),
    text("NodeFilter"),
    text("ServiceFilter"),
    text("TagFilter"),
    number("Version"),
    number("LTime"),
];

const ENTRY: &[Field] = &[
    of("Node", NODE),
    of("Service", SERVICE),
    Field { name: "Checks", shape: Shape::List(CHECK), left_out: LeftOut::Never },
];

impl View {
    fn new(kind: &'static str, path: String, shape: Shape) -> View {
        View {
            kind,
            path,
            query: Vec::new(),
            may_be_missing: false,
            shape,
            single: false,
            events: false,
            hashed: false,
        }
    }

    /// Takes what describes a view out of the parameters of a watch; what is left over is none of its business.
    ///
    /// # Errors
    /// Consul's text.
    pub fn take(params: &mut Map<String, serde_json::Value>) -> Result<View, String> {
        let datacenter = take_text(params, "datacenter")?;
        let kind = take_text(params, "type")?;
        let mut required = |name: &str| match take_text(params, name)? {
            empty if empty.is_empty() => Err(format!("Must specify a single {name} to watch")),
            given => Ok(given),
        };
        let mut view = match kind.as_str() {
            "" => return Err("Watch type must be specified".into()),
            "key" => {
                let path = format!("/v1/kv/{}", escape_path(&required("key")?));
                View { may_be_missing: true, single: true, ..View::new("key", path, Shape::Struct(KEY)) }
            }
            "keyprefix" => {
                let path = format!("/v1/kv/{}", escape_path(&required("prefix")?));
                let query = Vec::from([("recurse", String::new())]);
                View { may_be_missing: true, query, ..View::new("keyprefix", path, Shape::List(KEY)) }
            }
            "services" => View::new("services", "/v1/catalog/services".into(), Shape::Map),
            "nodes" => View::new("nodes", "/v1/catalog/nodes".into(), Shape::List(NODE)),
            "service" => {
                let path = format!("/v1/health/service/{}", escape_path(&required("service")?));
                let mut view = View::new("service", path, Shape::List(ENTRY));
                view.query.extend(texts(params, "tag")?.into_iter().map(|tag| ("tag", tag)));
                if take_switch(params, "passingonly")? {
                    view.query.push(("passing", "1".into()));
                }
                view
            }
            "checks" => View::checks(&take_text(params, "service")?, &take_text(params, "state")?)?,
            "event" => {
                let name = take_text(params, "name")?;
                let query = (!name.is_empty()).then_some(("name", name)).into_iter().collect();
                let view = View::new("event", "/v1/event/list".into(), Shape::List(EVENT));
                View { query, events: true, ..view }
            }
            "agent_service" => {
                let path = format!("/v1/agent/service/{}", escape_path(&take_text(params, "service_id")?));
                // It is about this agent alone: neither consistency nor filters.
                let view = View::new("agent_service", path, Shape::Struct(SERVICE));
                return Ok(View { hashed: true, ..view });
            }
            "connect_roots" | "connect_leaf" => {
                return Err(format!("watch type {kind} is not built yet"));
            }
            _ => return Err(format!("Unsupported watch type: {kind}")),
        };
        if take_switch(params, "stale")? {
            view.query.push(("stale", String::new()));
        }
        if !matches!(view.kind, "key" | "keyprefix" | "event") {
            let filter = take_text(params, "filter")?;
            view.query.extend((!filter.is_empty()).then_some(("filter", filter)));
        }
        view.query.extend((!datacenter.is_empty()).then_some(("dc", datacenter)));
        Ok(view)
    }

    /// The checks of a service, or those in a state.
    fn checks(service: &str, state: &str) -> Result<View, String> {
        let path = match (service, state) {
            ("", "") => "/v1/health/state/any".into(),
            ("", state) => format!("/v1/health/state/{}", escape_path(state)),
            (service, "") => format!("/v1/health/checks/{}", escape_path(service)),
            _ => return Err("Cannot specify service and state".into()),
        };
        Ok(View::new("checks", path, Shape::List(CHECK)))
    }

    /// Where to ask for it: path and query, to be answered once it is newer than `after`.
    pub fn target(&self, after: Option<u64>) -> String {
        let index = after.map(|index| match self.hashed {
            true => ("hash", format!("{index:x}")),
            false => ("index", index.to_string()),
        });
        let mut pairs: Vec<(&str, String)> = self.query.iter().cloned().chain(index).collect();
        pairs.sort_by_key(|(name, _)| *name);
        let written: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", escape(value, b"-_.~", true))).collect();
        match written.is_empty() {
            true => self.path.clone(),
            false => format!("{}?{}", self.path, written.join("&")),
        }
    }

    /// An answer, to the question for what is newer than `after`, as Consul's client would encode it again.
    pub fn render(&self, answer: &Value<'_>, after: Option<u64>) -> Vec<u8> {
        if let (true, Some(after), Kind::Array(events)) = (self.events, after, &answer.kind) {
            let seen = events.iter().rposition(|event| event_index(event) == Some(after));
            let new = events.get(seen.map_or(0, |at| at + 1)..).unwrap_or_default();
            return to_vec(|w| w.array(|w| new.iter().for_each(|e| write(w, Shape::Struct(EVENT), Some(e)))));
        }
        let shown = match &answer.kind {
            Kind::Array(items) if self.single => items.first(),
            _ => Some(answer),
        };
        to_vec(|w| write(w, self.shape, shown))
    }
}

fn event_index(event: &Value<'_>) -> Option<u64> {
    let Kind::Object(entries) = &event.kind else { return None };
    match entries.iter().find(|(key, _)| key == "ID").map(|(_, id)| &id.kind) {
        Some(Kind::String(id)) => index_of(id),
        _ => None,
    }
}

fn write(w: &mut Writer<'_>, shape: Shape, value: Option<&Value<'_>>) {
    match (shape, value.map(|v| &v.kind)) {
        (Shape::Struct(fields), Some(Kind::Object(entries))) => w.object(|w| {
            for field in fields {
                let held = entries.iter().rev().find(|(key, _)| key == field.name).map(|(_, value)| value);
                let shown = match field.left_out {
                    LeftOut::Never => true,
                    LeftOut::Zero => held.is_some_and(|value| !is_zero(value)),
                    LeftOut::Absent => held.is_some_and(|value| !matches!(value.kind, Kind::Null)),
                };
                if shown {
                    w.field(field.name, |w| write(w, field.shape, held));
                }
            }
        }),
        // A struct within a struct is there even when nothing was sent for it.
        (Shape::Struct(fields), _) => w.object(|w| {
            for field in fields.iter().filter(|field| field.left_out == LeftOut::Never) {
                w.field(field.name, |w| write(w, field.shape, None));
            }
        }),
        (Shape::List(fields), Some(Kind::Array(items))) => {
            w.array(|w| items.iter().for_each(|item| write(w, Shape::Struct(fields), Some(item))));
        }
        (Shape::Map, Some(Kind::Object(entries))) => {
            let mut sorted: Vec<&(Cow<'_, str>, Value<'_>)> = entries.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            w.object(|w| sorted.iter().for_each(|(key, value)| w.field(key, |w| any(w, value))));
        }
        (Shape::Plain(zero), None | Some(Kind::Null)) => w.raw(zero.as_bytes()),
        (_, None | Some(Kind::Null)) => w.null(),
        (_, Some(_)) => {
            if let Some(value) = value {
                any(w, value);
            }
        }
    }
}

fn any(w: &mut Writer<'_>, value: &Value<'_>) {
    match &value.kind {
        Kind::Null => w.null(),
        Kind::Bool(b) => w.bool(*b),
        Kind::Number(text) => w.raw(text.as_bytes()),
        Kind::String(text) => w.str(text),
        Kind::Array(items) => w.array(|w| items.iter().for_each(|item| any(w, item))),
        Kind::Object(entries) => {
            w.object(|w| entries.iter().for_each(|(key, value)| w.field(key, |w| any(w, value))));
        }
    }
}

fn is_zero(value: &Value<'_>) -> bool {
    match &value.kind {
        Kind::Null => true,
        Kind::Bool(b) => !b,
        Kind::Number(text) => *text == "0",
        Kind::String(text) => text.is_empty(),
        Kind::Array(items) => items.is_empty(),
        Kind::Object(entries) => entries.is_empty(),
    }
}
