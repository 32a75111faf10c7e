//! Entries of gateways.

use super::Entry;
use crate::strconv::quote;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub(super) fn ingress(entry: &Entry<'_>) -> Result<(), String> {
    let mut ports = Vec::new();
    for listener in entry.list("Listeners") {
        let port = listener.number("Port");
        if ports.contains(&port) {
            return Err(format!("port {port} declared on two listeners"));
        }
        ports.push(port);
        let protocol = Some(listener.text("Protocol")).filter(|text| !text.is_empty());
        let protocol = protocol.unwrap_or_else(|| "tcp".into());
        if !matches!(protocol.as_str(), "tcp" | "http" | "http2" | "grpc") {
            return Err(format!(
                "protocol must be 'tcp', 'http', 'http2', or 'grpc'. '{protocol}' is an unsupported protocol"
            ));
        }
        let services = listener.list("Services");
        let on = format!("(listener on port {port})");
        if services.is_empty() {
            return Err(format!("No service declared for listener with port {port}"));
        }
        if services.len() > 1 && protocol == "tcp" {
            return Err(format!(
                "Multiple services per listener are only supported for L7 protocols, 'http', 'grpc' and 'http2' {on}"
            ));
        }
        for service in services {
            match service.text("Name").as_str() {
                "*" if protocol != "http" => {
                    return Err(format!("Wildcard service name is only valid for protocol = 'http' {on}"));
                }
                "*" if !service.items("Hosts").is_empty() => {
                    return Err(format!("Associating hosts to a wildcard service is not supported {on}"));
                }
                "" => return Err(format!("Service name cannot be blank {on}")),
                _ => {}
            }
        }
    }
    Ok(())
}

pub(super) fn terminating(entry: &Entry<'_>) -> Result<(), String> {
    let mut seen: Vec<String> = Vec::new();
    for service in entry.list("Services") {
        let name = service.text("Name");
        if name.is_empty() {
            return Err("Service name cannot be blank.".into());
        }
        let shown = quote(name.as_bytes());
        if seen.contains(&name) {
            return Err(format!("Service {shown} was specified more than once within a namespace"));
        }
        seen.push(name);
        let given = |key: &str| !service.text(key).is_empty();
        let [authority, certificate, key] =
            ["CAFile=ca_file", "CertFile=cert_file", "KeyFile=key_file"].map(given);
        if certificate != key || (certificate && !authority) {
            return Err(format!(
                "Service {shown} must have a CertFile, CAFile, and KeyFile specified for TLS origination"
            ));
        }
    }
    Ok(())
}

pub(super) fn api(entry: &Entry<'_>) -> Result<(), String> {
    let listeners = entry.list("Listeners");
    if listeners.is_empty() {
        return Err("api gateway must have at least one listener".into());
    }
    let mut names: Vec<String> = Vec::new();
    for listener in listeners {
        let name = listener.text("Name");
        let shown = quote(name.as_bytes());
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(format!(
                "listener name {shown} is invalid, must be at least 1 character and contain only letters, numbers, or \
                 dashes"
            ));
        }
        if names.contains(&name) {
            return Err(format!("found multiple listeners with the name {shown}"));
        }
        names.push(name);
        let port = listener.number("Port");
        if !(1.0..=65535.0).contains(&port) {
            return Err(format!("listener port {port} not in the range 1-65535"));
        }
    }
    Ok(())
}
