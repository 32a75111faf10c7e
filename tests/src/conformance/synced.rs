//! Whether the catalog holds what the agent holds. An agent answers a registration before the catalog has it;
//! what the next step answers would depend on how busy the machine is.

use super::subject::Subject;
use crate::http::request;
use serde_json::{Map, Value, json};

/// What an agent brings to the catalog. The output of a check comes with a delay, and tags may be the catalog's.
const OF_SERVICE: [&str; 5] = ["Service", "Port", "Address", "Meta", "Weights"];
const OF_CHECK: [&str; 4] = ["Name", "Status", "Notes", "ServiceID"];

impl Subject {
    /// What of the node, its services and its checks the catalog has not got from the agent yet. Nothing as well
    /// where an answer is refused, so that it cannot be told.
    pub fn behind(&self) -> Option<String> {
        let get = |target: &str| match request(self.http, "GET", target, b"") {
            Ok(reply) if reply.status == 200 => Some(reply.json()),
            _ => None,
        };
        let (own, services, checks) =
            (get("/v1/agent/self")?, get("/v1/agent/services")?, get("/v1/agent/checks")?);
        let (node, health) = (get("/v1/catalog/node/n1")?, get("/v1/health/node/n1")?);
        if node["Node"]["Meta"] != own["Meta"] {
            return Some(format!("the node: {node}, {own}"));
        }
        let by_id = |check: &Value| Some((check["CheckID"].as_str()?.to_owned(), check.clone()));
        let health: Map<String, Value> = health.as_array().into_iter().flatten().filter_map(by_id).collect();
        let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
        difference(&object(&services), object(&node["Services"]), "consul", &OF_SERVICE)
            .or_else(|| difference(&object(&checks), health, "serfHealth", &OF_CHECK))
    }
}

/// `leaders`: what the leader registers by itself.
fn difference(
    agent: &Map<String, Value>,
    mut catalog: Map<String, Value>,
    leaders: &str,
    fields: &[&str],
) -> Option<String> {
    catalog.remove(leaders);
    // One of them leaves out what the other writes as nothing.
    let nothing = [json!(null), json!({}), json!(0), json!("")];
    let said = |value: &Value| Some(value.clone()).filter(|value| !nothing.contains(value));
    for (id, a) in agent {
        let b = catalog.remove(id).unwrap_or_default();
        if fields.iter().any(|field| said(&a[*field]) != said(&b[*field])) {
            return Some(format!("{id}: {b} of {a}"));
        }
    }
    catalog.into_iter().next().map(|(id, left)| format!("{id} is gone, and left {left}"))
}
