//! Services out of configuration files, in the form that the agent's HTTP API takes.
//!
//! Files spell keys in snake case, the API mostly in camel case. Keys match in any letter case, with
//! or without underscores; one that no service or check has is refused by its path, as the agent
//! refuses it. Top-level keys other than `service` and `services` are not looked at.

use std::path::Path;

use serde_json::{Map, Value};

use crate::client::reason;
use lictor_core::config::{self, Format, Source};

/// A service definition as `PUT /v1/agent/service/register` takes it.
#[derive(Debug, PartialEq)]
pub(super) struct Definition {
    pub(super) body: Map<String, Value>,
}

impl Definition {
    /// The name; empty when the file gives none, which the agent then refuses.
    pub(super) fn name(&self) -> String {
        self.text("Name")
    }

    /// The ID, which is the name unless given.
    pub(super) fn id(&self) -> String {
        Some(self.text("ID")).filter(|id| !id.is_empty()).unwrap_or_else(|| self.name())
    }

    fn text(&self, field: &str) -> String {
        self.body.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// Largest file read; a definition takes some kilobytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Every service that the file or directory at `path` defines.
pub(super) fn read(path: &str) -> Result<Vec<Definition>, String> {
    let open_failed =
        |e: &std::io::Error| format!("config: Open failed on {path}. open {path}: {}", reason(e));
    let about = std::fs::metadata(path).map_err(|e| open_failed(&e))?;
    if !about.is_dir() {
        return read_file(path);
    }
    let entries = std::fs::read_dir(path).map_err(|e| open_failed(&e))?;
    let mut files: Vec<String> = entries
        .filter_map(|e| Some(e.ok()?.path().to_str()?.to_owned()))
        .filter(|p| matches!(extension(p), Some("json" | "hcl")))
        .collect();
    files.sort_unstable();
    let mut all = Vec::new();
    for file in files {
        all.extend(read_file(&file)?);
    }
    Ok(all)
}

fn extension(path: &str) -> Option<&str> {
    Path::new(path).extension().and_then(|e| e.to_str())
}

fn read_file(path: &str) -> Result<Vec<Definition>, String> {
    let format = match extension(path) {
        Some("json") => Format::Json,
        Some("hcl") => Format::Hcl,
        _ => {
            return Err(format!(
                "file {path} has unknown extension; must be .hcl or .json, or config format must be set"
            ));
        }
    };
    let failed = |e: &std::io::Error| format!("config: ReadFile failed on {path}: {}", reason(e));
    let size = std::fs::metadata(path).map_err(|e| failed(&e))?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("config: {path} has {size} bytes, more than {FILE_BYTES_MAX}"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| failed(&e))?;
    parse(&Source { name: path.to_owned(), format, text })
}

/// The services that a text defines: those of `services` first, then `service`.
fn parse(source: &Source) -> Result<Vec<Definition>, String> {
    let fail = |why: String| format!("failed to parse {}: {why}", source.name);
    let document = match config::parse(source)? {
        Value::Null => return Ok(Vec::new()),
        Value::Object(document) => document,
        _ => return Err(fail("it is no object".into())),
    };
    let mut problems = Vec::new();
    let mut found = Vec::new();
    for (key, value) in &document {
        if key.eq_ignore_ascii_case("services") {
            let list = value.as_array().ok_or_else(|| fail("'services' is not a list".into()))?;
            for (n, item) in list.iter().enumerate() {
                found.push((1 + n, translate(item, &SERVICE, &format!("services[{n}]"), &mut problems)));
            }
        } else if key.eq_ignore_ascii_case("service") {
            found.push((usize::MAX, translate(only(value), &SERVICE, "service", &mut problems)));
        }
    }
    if !problems.is_empty() {
        let count = problems.len();
        let noun = if count == 1 { "error" } else { "errors" };
        let lines: Vec<String> = problems.iter().map(|p| format!("\t* {p}\n")).collect();
        return Err(fail(format!("{count} {noun} occurred:\n{}\n", lines.concat())));
    }
    found.sort_by_key(|(order, _)| *order);
    found
        .into_iter()
        .map(|(_, value)| match value {
            Value::Object(body) => Ok(Definition { body }),
            other => Err(fail(format!("a service is an object, not {other}"))),
        })
        .collect()
}

/// What stands in a list of one, as HCL writes objects.
fn only(value: &Value) -> &Value {
    match value {
        Value::Array(items) if items.len() == 1 => &items[0],
        other => other,
    }
}

/// Fields that are lists: a list of one stays one.
const LISTS: &[&str] = &["Tags", "Args", "ScriptArgs"];

/// The keys of an object, and what becomes of their values.
struct Shape(&'static [(&'static str, Take)]);

/// What becomes of a value.
enum Take {
    /// It is the same on both sides.
    Same,
    /// It is the same, the API has another name for it.
    As(&'static str),
    /// Files may have it, the API has no field for it: a check registered with its service goes by the
    /// service's token.
    Drop,
    /// Its keys have names of their own.
    Object(&'static Shape),
    /// It is a list of such objects, or a single one.
    List(&'static Shape),
    /// It is a map from free names to such objects.
    Named(&'static Shape),
    /// It belongs to a part that is not built.
    Mesh,
}

use Take::{As, Drop, List, Mesh, Named, Object, Same};

static SERVICE: Shape = Shape(&[
    ("ID", Same),
    ("Name", Same),
    ("Tags", Same),
    ("Address", Same),
    ("TaggedAddresses", Named(&Shape(&[("Address", Same), ("Port", Same)]))),
    ("Port", Same),
    ("SocketPath", Same),
    ("Meta", Same),
    ("Weights", Object(&Shape(&[("Passing", Same), ("Warning", Same)]))),
    ("EnableTagOverride", Same),
    ("Token", Same),
    ("Check", Object(&CHECK)),
    ("Checks", List(&CHECK)),
    ("Kind", Same),
    ("Proxy", Mesh),
    ("Connect", Mesh),
    ("Locality", Object(&Shape(&[("Region", Same), ("Zone", Same)]))),
]);

static CHECK: Shape = Shape(&[
    ("ID", As("CheckID")),
    ("Name", Same),
    ("Notes", Same),
    ("ServiceID", Same),
    ("Token", Drop),
    ("Status", Same),
    ("Interval", Same),
    ("Timeout", Same),
    ("TTL", Same),
    ("OutputMaxSize", Same),
    ("SuccessBeforePassing", Same),
    ("FailuresBeforeWarning", Same),
    ("FailuresBeforeCritical", Same),
    ("DeregisterCriticalServiceAfter", Same),
    ("Args", Same),
    ("ScriptArgs", Same),
    ("HTTP", Same),
    ("Method", Same),
    ("Header", Same),
    ("Body", Same),
    ("DisableRedirects", Same),
    ("TLSServerName", Same),
    ("TLSSkipVerify", Same),
    ("TCP", Same),
    ("TCPUseTLS", Same),
    ("UDP", Same),
    ("GRPC", Same),
    ("GRPCUseTLS", Same),
    ("H2PING", Same),
    ("H2PingUseTLS", Same),
    ("DockerContainerID", Same),
    ("Shell", Same),
    ("AliasNode", Same),
    ("AliasService", Same),
    ("OSService", Same),
]);

fn translate(value: &Value, shape: &Shape, path: &str, problems: &mut Vec<String>) -> Value {
    let Value::Object(object) = value else { return value.clone() };
    let mut translated = Map::new();
    for (key, value) in object {
        let path = format!("{path}.{key}");
        let Some((name, take)) = shape.0.iter().find(|(name, _)| same_key(name, key)) else {
            problems.push(format!("invalid config key {path}"));
            continue;
        };
        let list = matches!(take, List(_)) || LISTS.contains(name);
        let value = match (take, if list { value } else { only(value) }) {
            (_, Value::Null) | (Drop, _) => continue,
            (Same | As(_), value) => value.clone(),
            (Object(shape), value) => translate(value, shape, &path, problems),
            (List(shape), Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(n, item)| translate(item, shape, &format!("{path}[{n}]"), problems))
                .collect(),
            (List(shape), single) => Value::Array(vec![translate(single, shape, &path, problems)]),
            (Named(shape), Value::Object(entries)) => Value::Object(
                entries
                    .iter()
                    .map(|(k, v)| (k.clone(), translate(only(v), shape, &format!("{path}.{k}"), problems)))
                    .collect(),
            ),
            (Named(_), value) => value.clone(),
            (Mesh, _) => {
                problems
                    .push(format!("{path} belongs to the service mesh, which this build does not have yet"));
                continue;
            }
        };
        let name = if let As(other) = take { other } else { name };
        translated.insert((*name).to_owned(), value);
    }
    Value::Object(translated)
}

/// Whether `key` as written means `name`: letter case and underscores aside.
fn same_key(name: &str, key: &str) -> bool {
    let written = key.bytes().filter(|b| *b != b'_').map(|b| b.to_ascii_lowercase());
    name.bytes().map(|b| b.to_ascii_lowercase()).eq(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn json(text: &str) -> Source {
        Source { name: "a.json".into(), format: Format::Json, text: text.into() }
    }

    fn bodies_of(source: &Source) -> Vec<Value> {
        parse(source).expect("it can be read").into_iter().map(|d| Value::Object(d.body)).collect()
    }

    fn bodies(text: &str) -> Vec<Value> {
        bodies_of(&json(text))
    }

    #[test]
    fn hcl_defines_the_same_services() {
        let text = r#"
            services {
              name = "a"
              tags = ["one"]
              meta { k = "v" }
              weights { passing = 3 }
              tagged_addresses { lan { address = "1.2.3.4" port = 5 } }
              check { ttl = "10s" }
              checks { args = ["true"] interval = "1s" header { X = ["y"] } }
            }
            services { name = "b" }
            service { id = "c-1" name = "c" }"#;
        assert_eq!(
            bodies_of(&Source { name: "a.hcl".into(), format: Format::Hcl, text: text.into() }),
            [
                json!({
                    "Name": "a", "Tags": ["one"], "Meta": {"k": "v"}, "Weights": {"Passing": 3},
                    "TaggedAddresses": {"lan": {"Address": "1.2.3.4", "Port": 5}},
                    "Check": {"TTL": "10s"},
                    "Checks": [{"Args": ["true"], "Interval": "1s", "Header": {"X": ["y"]}}]
                }),
                json!({"Name": "b"}),
                json!({"ID": "c-1", "Name": "c"}),
            ]
        );
    }

    #[test]
    fn keys_are_translated_to_those_of_the_api_and_free_names_are_kept() {
        let text = r#"{"service": {"name": "web", "enable_tag_override": true, "Port": 80,
            "meta": {"a_b": "c"}, "weights": {"passing": 3},
            "tagged_addresses": {"my_lan": {"address": "1.2.3.4", "port": 5}},
            "check": {"id": "c", "http": "http://x", "tls_skip_verify": true, "header": {"x_y": ["z"]},
                      "deregister_critical_service_after": "90m", "h2ping_use_tls": false},
            "checks": [{"ttl": "10s"}, {"args": ["a"], "docker_container_id": "d", "interval": "1s"}]}}"#;
        assert_eq!(
            bodies(text),
            [json!({
                "Name": "web", "EnableTagOverride": true, "Port": 80,
                "Meta": {"a_b": "c"}, "Weights": {"Passing": 3},
                "TaggedAddresses": {"my_lan": {"Address": "1.2.3.4", "Port": 5}},
                "Check": {"CheckID": "c", "HTTP": "http://x", "TLSSkipVerify": true, "Header": {"x_y": ["z"]},
                          "DeregisterCriticalServiceAfter": "90m", "H2PingUseTLS": false},
                "Checks": [{"TTL": "10s"}, {"Args": ["a"], "DockerContainerID": "d", "Interval": "1s"}]
            })]
        );
    }

    #[test]
    fn lists_come_before_the_single_service_and_other_keys_are_not_looked_at() {
        let found = bodies(
            r#"{"server": true, "service": {"name": "c"}, "services": [{"name": "a"}, {"name": "b"}]}"#,
        );
        assert_eq!(found, [json!({"Name": "a"}), json!({"Name": "b"}), json!({"Name": "c"})]);
        assert!(bodies("").is_empty() && bodies("{}").is_empty());
    }

    #[test]
    fn unknown_keys_are_named_by_their_path() {
        let refused = |text: &str| parse(&json(text)).expect_err(text);
        assert_eq!(
            refused(r#"{"service": {"bogus": 1}, "services": [{"checks": [{"zip": 2}]}]}"#),
            "failed to parse a.json: 2 errors occurred:\n\t* invalid config key service.bogus\n\t* invalid config key services[0].checks[0].zip\n\n"
        );
        assert!(refused(r#"{"service": {"connect": {"native": true}}}"#).contains("service mesh"));
        assert_eq!(refused("{"), "failed to parse a.json: unexpected end of JSON input");
    }

    #[test]
    fn the_id_of_a_service_is_its_name_unless_given() {
        let ids: Vec<String> = parse(&json(r#"{"services": [{"name": "a"}, {"name": "b", "id": "b-1"}]}"#))
            .expect("valid")
            .iter()
            .map(Definition::id)
            .collect();
        assert_eq!(ids, ["a", "b-1"]);
    }
}
