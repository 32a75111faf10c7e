//! `version`: what this binary is, and which Consul it stands in for.

use serde_json::{Value, json};

use super::{Body, Command, Context, Outcome};
use crate::flags::Flag;
use crate::shell::Shell;

/// The Consul release whose behaviour this binary reproduces.
pub(super) const CONSUL: &str = "1.21.5";

/// Consul's serf protocol line: agents of both kinds meet on these versions.
const PROTOCOL: &str = "Protocol 2 spoken by default, understands 2 to 3 \
    (agent will automatically use protocol >2 when speaking to compatible agents)";

pub(super) static COMMAND: Command = Command {
    name: "version",
    synopsis: "Prints the version",
    usage: "[options]",
    about: "
Prints the version of this binary and of the Consul release it is compatible
with. Tools that ask a Consul binary for its version read the JSON form:

    $ {prog} version -format=json",
    body: Body::Leaf {
        api: &[],
        own: &[&[Flag::text("format", "string", "Output format: pretty or json.").or("pretty")]],
        run,
    },
};

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    match cx.flags.text("format").unwrap_or("pretty") {
        "pretty" => print(cx.shell),
        "json" => cx.shell.say(indented(&facts())),
        other => return Err(format!("Unknown format: {other}")),
    }
    Ok(0)
}

/// Prints the human form: under the name `consul` the first line is Consul's, so that scripts which
/// read only that line find what they look for.
pub(super) fn print(shell: &mut Shell<'_>) {
    let ours = env!("CARGO_PKG_VERSION");
    let head = if shell.program == "consul" {
        format!("Consul v{CONSUL}\nServed by Lictor v{ours}")
    } else {
        format!("Lictor v{ours}\nCompatible with Consul v{CONSUL}")
    };
    shell.say(format!("{head}\n{PROTOCOL}\n"));
}

/// Consul's keys, and one of our own behind them. `Version` is Consul's: the Go SDK's test harness
/// decides by it which configuration keys to write.
fn facts() -> Vec<(&'static str, Value)> {
    vec![
        ("Version", json!(CONSUL)),
        ("Revision", json!("")),
        ("Prerelease", json!("")),
        ("BuildDate", json!("1970-01-01T00:00:01Z")),
        ("RPC", json!({"Default": 2, "Min": 2, "Max": 3})),
        ("Lictor", json!(env!("CARGO_PKG_VERSION"))),
    ]
}

/// A JSON object with three spaces of indent and the keys in the order given, as Consul prints it.
fn indented(facts: &[(&str, Value)]) -> String {
    let lines: Vec<String> = facts
        .iter()
        .map(|(key, value)| match value {
            Value::Object(_) => {
                let inner = ["Default", "Min", "Max"].map(|k| format!("      \"{k}\": {}", value[k]));
                format!("   \"{key}\": {{\n{}\n   }}", inner.join(",\n"))
            }
            plain => format!("   \"{key}\": {plain}"),
        })
        .collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}
