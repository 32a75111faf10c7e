//! Rules of `ui_config`.

use super::super::tree::{self, Tree};
use super::{basic_name, url};
use crate::strconv;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use serde_json::Value;

/// The first rule of the section that is broken; that about `dir` comes later, see [`directory`].
pub(super) fn judge(tree: &Tree) -> Result<(), String> {
    let text = |key: &str| tree::text(tree, key).unwrap_or("");
    let quote = |text: &str| strconv::quote(text.as_bytes());
    content_path(text("ui_config.content_path"))?;
    basic_name("ui_config.metrics_provider", text("ui_config.metrics_provider"), true)?;
    let options = text("ui_config.metrics_provider_options_json");
    if !options.is_empty() && !matches!(serde_json::from_str(options), Ok(Value::Object(_) | Value::Null)) {
        return Err(format!(
            "ui_config.metrics_provider_options_json must be empty or a string containing a valid JSON object. \
             received: {}",
            quote(options)
        ));
    }
    let base = text("ui_config.metrics_proxy.base_url");
    if !base.is_empty() && !url::is_http(base) {
        return Err(format!(
            "ui_config.metrics_proxy.base_url must be a valid http or https URL. received: {}",
            quote(base)
        ));
    }
    for path in tree::texts(tree, "ui_config.metrics_proxy.path_allowlist") {
        if !url::is_absolute_path(&path) {
            let path = quote(&path);
            return Err(format!(
                "ui_config.metrics_proxy.path_allowlist: path {path} is not an absolute path"
            ));
        }
    }
    let templates: BTreeMap<String, String> = tree::text_map(tree, "ui_config.dashboard_url_templates");
    for (name, template) in templates {
        basic_name("ui_config.dashboard_url_templates key names", &name, false)?;
        if !url::is_http(&template) {
            // It shows the other URL, as Consul does.
            return Err(format!(
                "ui_config.dashboard_url_templates values must be a valid http or https URL. received: {}",
                quote(base)
            ));
        }
    }
    Ok(())
}

/// The path without its slashes at both ends, and one put to each.
fn content_path(given: &str) -> Result<(), String> {
    let inner = if given.is_empty() { "ui" } else { given.trim_matches('/') };
    let path = || strconv::quote(format!("/{inner}/").as_bytes());
    if !inner.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_/".contains(&b)) {
        return Err(format!(
            "ui-content-path can only contain alphanumeric, -, _, or /. received: {}",
            path()
        ));
    }
    match inner.strip_prefix('v') {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Err(format!("ui-content-path cannot have 'v[0-9]'. received: {}", path()))
        }
        _ => Ok(()),
    }
}

/// One's own pages and those of the binary exclude each other.
pub(super) fn directory(tree: &Tree) -> Result<(), String> {
    let dir = tree::text(tree, "ui_config.dir").is_some_and(|dir| !dir.is_empty());
    if dir && tree::flag(tree, "ui_config.enabled").unwrap_or(false) {
        return Err(
            "Both the ui_config.enabled and ui_config.dir (or -ui and -ui-dir) were specified, please \
                    provide only one.\nIf trying to use your own web UI resources, use ui_config.dir or the \
                    -ui-dir flag.\nThe web UI is included in the binary so use ui_config.enabled or the -ui \
                    flag to enable it"
                .into(),
        );
    }
    Ok(())
}
