//! `services register` and `services deregister`: services of the agent asked, from files or flags.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::service_file::{self, Definition};
use super::{Body, Command, Context, Outcome};
use crate::flags::{Flag, Parsed};
use crate::sets;
use lictor_core::plan::escape_path;

pub(super) static COMMAND: Command = Command {
    name: "services",
    synopsis: "Interact with services",
    usage: "<subcommand> [options] [args]",
    about: "
Registers and deregisters services of one agent. To see what is registered in
the whole datacenter, use `{prog} catalog`.

    $ {prog} services register -name=web -port=80
    $ {prog} services deregister -id=web",
    body: Body::Group(&[&DEREGISTER, &REGISTER]),
};

static REGISTER: Command = Command {
    name: "register",
    synopsis: "Register services with the local agent",
    usage: "[options] [FILE...]",
    about: "
Registers services with an agent, from configuration files or from flags. They
stay until they are deregistered, restarts included.

    $ {prog} services register web.json
    $ {prog} services register -name=web -port=80 -tag=v1",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[
            &[
                Flag::text("address", "address", "Address of the service.").or("that of the node"),
                Flag::text("id", "string", "ID of the service, unique on the agent.").or("the name"),
                Flag::text("kind", "string", "Kind of service; empty for all but parts of a mesh."),
                Flag::pairs("meta", "Metadata of the service."),
                Flag::text("name", "string", "Name of the service."),
                Flag::int("port", "Port of the service.").or("0"),
                Flag::text("socket", "path", "Unix socket of the service, in place of address and port."),
                Flag::list("tag", "tag", "Tag of the service."),
                Flag::pairs("tagged-address", "Address by a name of its own: lan=10.0.0.1:80."),
            ],
            sets::NAMESPACE,
            sets::PARTITION,
        ],
        run: register,
    },
};

static DEREGISTER: Command = Command {
    name: "deregister",
    synopsis: "Deregister services with the local agent",
    usage: "[options] [FILE...]",
    about: "
Removes services from the agent where they were registered: by ID, or those
that configuration files define.

    $ {prog} services deregister -id=web
    $ {prog} services deregister web.json",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[
            &[Flag::text("id", "string", "ID of the service to remove.")],
            sets::NAMESPACE,
            sets::PARTITION,
        ],
        run: deregister,
    },
};

fn register(cx: &mut Context<'_, '_>) -> Outcome {
    let named = cx.flags.text("name").is_some_and(|n| !n.is_empty());
    let definitions = match (named, cx.flags.args.is_empty()) {
        (false, true) => {
            return Err("Service registration requires at least one argument or flags.".to_owned());
        }
        (true, false) => return Err("Service registration requires arguments or -id, not both.".to_owned()),
        (true, true) => vec![Definition { body: from_flags(&cx.flags)? }],
        (false, false) => from_files(&cx.flags.args)?,
    };
    let client = cx.client()?;
    for definition in definitions {
        let name = definition.name();
        let body = serde_json::to_vec(&definition.body).map_err(|e| format!("Error: {e}"))?;
        client
            .put("/v1/agent/service/register", &[], Bytes::from(body))
            .map_err(|e| format!("Error registering service {name:?}: {e}"))?;
        cx.shell.say(format!("Registered service: {name}"));
    }
    Ok(0)
}

fn deregister(cx: &mut Context<'_, '_>) -> Outcome {
    let id = cx.flags.text("id").filter(|i| !i.is_empty());
    let ids = match (id, cx.flags.args.is_empty()) {
        (None, true) => {
            return Err("Service deregistration requires at least one argument or -id.".to_owned());
        }
        (Some(_), false) => {
            return Err("Service deregistration requires arguments or -id, not both.".to_owned());
        }
        // Of such a service the name is not known, and Consul says so.
        (Some(id), true) => vec![(id.to_owned(), String::new())],
        (None, false) => from_files(&cx.flags.args)?.iter().map(|d| (d.id(), d.name())).collect(),
    };
    let client = cx.client()?;
    for (id, name) in ids {
        client
            .put(&format!("/v1/agent/service/deregister/{}", escape_path(&id)), &[], Bytes::new())
            .map_err(|e| format!("Error deregistering service {name:?}: {e}"))?;
        cx.shell.say(format!("Deregistered service: {id}"));
    }
    Ok(0)
}

fn from_files(paths: &[String]) -> Result<Vec<Definition>, String> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(service_file::read(path).map_err(|e| format!("Error: {e}"))?);
    }
    Ok(all)
}

/// What the flags define; only what was given is sent.
fn from_flags(flags: &Parsed) -> Result<Map<String, Value>, String> {
    let mut body = Map::new();
    for (flag, field) in
        [("name", "Name"), ("id", "ID"), ("address", "Address"), ("socket", "SocketPath"), ("kind", "Kind")]
    {
        if let Some(text) = flags.text(flag).filter(|t| !t.is_empty()) {
            body.insert(field.to_owned(), json!(text));
        }
    }
    if flags.int("port") != 0 {
        body.insert("Port".to_owned(), json!(flags.int("port")));
    }
    let tags: Vec<&str> = flags.all("tag").collect();
    if !tags.is_empty() {
        body.insert("Tags".to_owned(), json!(tags));
    }
    let meta: Map<String, Value> = flags.pairs("meta").map(|(k, v)| (k.to_owned(), json!(v))).collect();
    if !meta.is_empty() {
        body.insert("Meta".to_owned(), Value::Object(meta));
    }
    let mut addresses = Map::new();
    for (name, address) in flags.pairs("tagged-address") {
        let (host, port) = host_port(address).map_err(|e| format!("Invalid Tagged Address: {e}"))?;
        addresses.insert(name.to_owned(), json!({"Address": host, "Port": port}));
    }
    if !addresses.is_empty() {
        body.insert("TaggedAddresses".to_owned(), Value::Object(addresses));
    }
    Ok(body)
}

/// `host:port` or `[v6]:port`, refused in Go's words.
fn host_port(text: &str) -> Result<(&str, i64), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => text.rsplit_once(':'),
    }
    .ok_or_else(|| format!("address {text}: missing port in address"))?;
    if host.contains(':') && !text.starts_with('[') {
        return Err(format!("address {text}: too many colons in address"));
    }
    let number = port.parse().map_err(|_| format!("strconv.Atoi: parsing {port:?}: invalid syntax"))?;
    Ok((host, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tagged_address_is_a_host_and_a_port() {
        assert_eq!(host_port("1.2.3.4:80"), Ok(("1.2.3.4", 80)));
        assert_eq!(host_port("[::1]:80"), Ok(("::1", 80)));
        assert_eq!(host_port("1.2.3.4"), Err("address 1.2.3.4: missing port in address".to_owned()));
        assert_eq!(host_port("::1:80"), Err("address ::1:80: too many colons in address".to_owned()));
        assert_eq!(host_port("h:x"), Err(r#"strconv.Atoi: parsing "x": invalid syntax"#.to_owned()));
    }
}
