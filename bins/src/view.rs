//! The views that `watch` offers: where each is asked for, and how Consul's client would print it.
//!
//! Consul decodes an answer into its API types and encodes those again, so what a handler gets on its
//! standard input has all fields of the type, in the type's order, whatever the agent sent. Handlers
//! match on it; the tables here are those types.

use crate::address::escape_path;
use lictor_core::json::{Kind, Value, Writer, to_vec};
use std::borrow::Cow;

/// One view.
#[derive(Debug)]
pub struct View {
    /// The word for it on the command line.
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
    /// Left out when it holds its zero value.
    optional: bool,
}

const fn text(name: &'static str) -> Field {
    Field { name, shape: Shape::Plain("\"\""), optional: false }
}

const fn number(name: &'static str) -> Field {
    Field { name, shape: Shape::Plain("0"), optional: false }
}

const fn switch(name: &'static str) -> Field {
    Field { name, shape: Shape::Plain("false"), optional: false }
}

const fn list(name: &'static str) -> Field {
    Field { name, shape: Shape::Any, optional: false }
}

const fn map(name: &'static str) -> Field {
    Field { name, shape: Shape::Map, optional: false }
}

const fn of(name: &'static str, fields: &'static [Field]) -> Field {
    Field { name, shape: Shape::Struct(fields), optional: false }
}

const fn optional(mut field: Field) -> Field {
    field.optional = true;
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
    optional(list("Proxy")),
    optional(list("Connect")),
    optional(text("PeerName")),
    optional(text("Namespace")),
    optional(text("Partition")),
    optional(text("Datacenter")),
    optional(list("Locality")),
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
    Field { name, shape: Shape::Plain("\"0s\""), optional: false }
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

const ENTRY: &[Field] = &[
    of("Node", NODE),
    of("Service", SERVICE),
    Field { name: "Checks", shape: Shape::List(CHECK), optional: false },
];

impl View {
    fn new(kind: &'static str, path: String, shape: Shape) -> View {
        View { kind, path, query: Vec::new(), may_be_missing: false, shape, single: false }
    }

    /// One key.
    pub fn key(key: &str) -> View {
        let path = format!("/v1/kv/{}", escape_path(key));
        View { may_be_missing: true, single: true, ..View::new("key", path, Shape::Struct(KEY)) }
    }

    /// Every key under a prefix.
    pub fn prefix(prefix: &str) -> View {
        let path = format!("/v1/kv/{}", escape_path(prefix));
        let query = vec![("recurse", String::new())];
        View { may_be_missing: true, query, ..View::new("keyprefix", path, Shape::List(KEY)) }
    }

    /// All names of services with their tags.
    pub fn services() -> View {
        View::new("services", "/v1/catalog/services".into(), Shape::Map)
    }

    /// All nodes.
    pub fn nodes() -> View {
        View::new("nodes", "/v1/catalog/nodes".into(), Shape::List(NODE))
    }

    /// The instances of a service with their nodes and checks.
    pub fn service(name: &str, tags: &[String], passing: bool) -> View {
        let mut view =
            View::new("service", format!("/v1/health/service/{}", escape_path(name)), Shape::List(ENTRY));
        view.query.extend(tags.iter().map(|tag| ("tag", tag.clone())));
        if passing {
            view.query.push(("passing", "1".into()));
        }
        view
    }

    /// The checks of a service.
    pub fn checks_of(service: &str) -> View {
        View::new("checks", format!("/v1/health/checks/{}", escape_path(service)), Shape::List(CHECK))
    }

    /// The checks in a state.
    pub fn checks_in(state: &str) -> View {
        View::new("checks", format!("/v1/health/state/{}", escape_path(state)), Shape::List(CHECK))
    }

    /// The same view through a filter expression.
    pub fn with_filter(mut self, filter: Option<&str>) -> View {
        self.query.extend(filter.map(|filter| ("filter", filter.to_owned())));
        self
    }

    /// An answer as Consul's client would encode it again.
    pub fn render(&self, answer: &Value<'_>) -> Vec<u8> {
        let shown = match &answer.kind {
            Kind::Array(items) if self.single => items.first(),
            _ => Some(answer),
        };
        to_vec(|w| write(w, self.shape, shown))
    }
}

fn write(w: &mut Writer<'_>, shape: Shape, value: Option<&Value<'_>>) {
    match (shape, value.map(|v| &v.kind)) {
        (Shape::Struct(fields), Some(Kind::Object(entries))) => w.object(|w| {
            for field in fields {
                let held = entries.iter().rev().find(|(key, _)| key == field.name).map(|(_, value)| value);
                if !field.optional || held.is_some_and(|value| !is_zero(value)) {
                    w.field(field.name, |w| write(w, field.shape, held));
                }
            }
        }),
        // A struct within a struct is there even when nothing was sent for it.
        (Shape::Struct(fields), _) => w.object(|w| {
            for field in fields.iter().filter(|field| !field.optional) {
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
