//! Who signs the mesh's certificates, and what each provider is told.
//!
//! The settings are read as by a lenient decoder: numbers may be texts, and keys that a provider does not know are
//! passed over. So it is what a known key holds that is judged, in Consul's order and words.

use super::super::tree::{self, Tree};
use crate::duration;
use crate::strconv;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::{Map, Value};

/// What a setting is, and its name in Go and in files.
struct Setting {
    go: &'static str,
    /// Empty: only Go's name is known.
    file: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Duration,
    Float,
    Int,
    Text,
}

const fn setting(go: &'static str, file: &'static str, kind: Kind) -> Setting {
    Setting { go, file, kind }
}

/// What every provider is told.
static COMMON: &[Setting] = &[
    setting("CSRMaxConcurrent", "csr_max_concurrent", Kind::Int),
    setting("CSRMaxPerSecond", "csr_max_per_second", Kind::Float),
    setting("IntermediateCertTTL", "intermediate_cert_ttl", Kind::Duration),
    setting("LeafCertTTL", "leaf_cert_ttl", Kind::Duration),
    setting("PrivateKeyBits", "private_key_bits", Kind::Int),
    setting("PrivateKeyType", "private_key_type", Kind::Text),
    setting("RootCertTTL", "root_cert_ttl", Kind::Duration),
    setting("SkipValidate", "", Kind::Bool),
];

static CONSUL: &[Setting] = &[
    setting("DisableCrossSigning", "", Kind::Bool),
    setting("PrivateKey", "private_key", Kind::Text),
    setting("RootCert", "root_cert", Kind::Text),
];

static VAULT: &[Setting] = &[
    setting("Address", "address", Kind::Text),
    setting("CAFile", "ca_file", Kind::Text),
    setting("CAPath", "ca_path", Kind::Text),
    setting("CertFile", "cert_file", Kind::Text),
    setting("IntermediatePKINamespace", "intermediate_pki_namespace", Kind::Text),
    setting("IntermediatePKIPath", "intermediate_pki_path", Kind::Text),
    setting("KeyFile", "key_file", Kind::Text),
    setting("Namespace", "namespace", Kind::Text),
    setting("RootPKINamespace", "root_pki_namespace", Kind::Text),
    setting("RootPKIPath", "root_pki_path", Kind::Text),
    setting("TLSServerName", "tls_server_name", Kind::Text),
    setting("TLSSkipVerify", "tls_skip_verify", Kind::Bool),
    setting("Token", "token", Kind::Text),
];

static VAULT_LOGIN: &[Setting] =
    &[setting("MountPath", "mount_path", Kind::Text), setting("Type", "type", Kind::Text)];

static AWS: &[Setting] = &[
    setting("DeleteOnExit", "delete_on_exit", Kind::Bool),
    setting("ExistingARN", "existing_arn", Kind::Text),
];

const HOUR: i64 = 3_600_000_000_000;
const YEAR: i64 = 365 * 24 * HOUR;

/// The first thing that is wrong.
pub(super) fn judge(tree: &Tree) -> Result<(), String> {
    let provider = tree::text(tree, "connect.ca_provider").unwrap_or("");
    let own = match provider {
        "" => return Ok(()),
        "consul" => CONSUL,
        "vault" => VAULT,
        "aws-pca" => AWS,
        other => return Err(format!("{other} is not a valid CA provider")),
    };
    let empty = Map::new();
    let given = match tree::get(tree, "connect.ca_config") {
        Some(Value::Object(given)) => given,
        _ => &empty,
    };
    let mut settings = Settings::default();
    settings.read(COMMON, given, "");
    settings.read(own, given, "");
    let login = if provider == "vault" { settings.login(given) } else { false };
    settings.wrong.sort();
    if !settings.wrong.is_empty() {
        let (count, lines) = (settings.wrong.len(), settings.wrong.join("\n"));
        return Err(format!("error decoding config: {count} error(s) decoding:\n\n{lines}"));
    }
    match provider {
        "consul" => {
            if settings.has("RootCert") && !settings.has("PrivateKey") {
                return Err("must provide a private key when providing a root cert".into());
            }
            settings.common()
        }
        "vault" => {
            match (settings.has("Token"), login) {
                (false, false) => {
                    return Err("must provide a Vault token or configure a Vault auth method".into());
                }
                (true, true) => {
                    let why = "only one of Vault token or Vault auth method can be provided, but not both";
                    return Err(why.into());
                }
                _ => {}
            }
            if !settings.has("RootPKIPath") {
                return Err("must provide a valid path to a root PKI backend".into());
            }
            if !settings.has("IntermediatePKIPath") {
                return Err("must provide a valid path for the intermediate PKI backend".into());
            }
            settings.common()
        }
        _ => {
            settings.common()?;
            settings.aws()
        }
    }
}

/// What was read: numbers, times in nanoseconds and switches as numbers, and texts.
#[derive(Default)]
struct Settings {
    numbers: Vec<(&'static str, i64)>,
    texts: Vec<(&'static str, String)>,
    wrong: Vec<String>,
}

impl Settings {
    fn read(&mut self, known: &'static [Setting], given: &Map<String, Value>, path: &str) {
        for setting in known {
            let Some(value) = find(given, setting).filter(|value| !value.is_null()) else { continue };
            let name = format!("{path}{}", setting.go);
            match value_of(setting.kind, &name, value) {
                Ok(Read::Number(n)) => self.numbers.push((setting.go, n)),
                Ok(Read::Text(text)) => self.texts.push((setting.go, text)),
                Err(why) => self.wrong.push(format!("* {why}")),
            }
        }
    }

    /// Vault's way to log in; whether there is one.
    fn login(&mut self, given: &Map<String, Value>) -> bool {
        let method = setting("AuthMethod", "auth_method", Kind::Text);
        match find(given, &method) {
            None | Some(Value::Null) => false,
            Some(Value::Array(none)) if none.is_empty() => false,
            Some(Value::Object(login)) => {
                self.read(VAULT_LOGIN, login, "AuthMethod.");
                let params = setting("Params", "params", Kind::Text);
                match find(login, &params) {
                    None | Some(Value::Null | Value::Object(_)) => {}
                    Some(Value::Array(none)) if none.is_empty() => {}
                    Some(other) => {
                        let kind = go_kind(other);
                        self.wrong.push(format!("* 'AuthMethod.Params' expected a map, got '{kind}'"));
                    }
                }
                true
            }
            Some(other) => {
                self.wrong.push(format!("* 'AuthMethod' expected a map, got '{}'", go_kind(other)));
                false
            }
        }
    }

    fn has(&self, go: &str) -> bool {
        self.texts.iter().any(|(name, text)| *name == go && !text.is_empty())
    }

    fn number(&self, go: &str, default: i64) -> i64 {
        self.numbers.iter().find(|(name, _)| *name == go).map_or(default, |(_, n)| *n)
    }

    fn leaf(&self) -> i64 {
        self.number("LeafCertTTL", 72 * HOUR)
    }

    fn key(&self) -> (&str, i64) {
        let kind =
            self.texts.iter().find(|(name, _)| *name == "PrivateKeyType").map(|(_, text)| text.as_str());
        (kind.unwrap_or("ec"), self.number("PrivateKeyBits", 256))
    }

    /// The rules that all providers have.
    fn common(&self) -> Result<(), String> {
        if self.number("SkipValidate", 0) != 0 {
            return Ok(());
        }
        let leaf = self.leaf();
        if leaf < HOUR {
            return Err("leaf cert TTL must be greater or equal than 1h0m0s".into());
        }
        if leaf > YEAR {
            return Err("leaf cert TTL must be less than 8760h0m0s".into());
        }
        let intermediate = self.number("IntermediateCertTTL", YEAR);
        let root = self.number("RootCertTTL", 10 * YEAR);
        if root < intermediate {
            let (root, intermediate) = (duration::format(root), duration::format(intermediate));
            return Err(format!(
                "root cert TTL is set and is not greater than intermediate cert ttl. root cert ttl: {root}, \
                 intermediate cert ttl: {intermediate}"
            ));
        }
        if intermediate < 3 * HOUR {
            return Err("Intermediate Cert TTL must be greater or equal than 3h".into());
        }
        if intermediate < 3 * leaf {
            let least = duration::format(3 * leaf);
            return Err(format!(
                "Intermediate Cert TTL must be greater or equal than 3 * LeafCertTTL (>={least})."
            ));
        }
        match self.key() {
            ("ec", 224 | 256 | 384 | 521) | ("rsa", 2048 | 4096) => Ok(()),
            ("ec", _) => Err("EC key length must be one of (224, 256, 384, 521) bits".into()),
            ("rsa", _) => Err("RSA key length must be 2048 or 4096 bits".into()),
            _ => Err("private key type must be either 'ec' or 'rsa'".into()),
        }
    }

    /// What Amazon's authority cannot do.
    fn aws(&self) -> Result<(), String> {
        if let ("ec", bits) = self.key()
            && bits != 256
        {
            return Err(format!("AWS PCA only supports P256 EC curve, keyBits of {bits} configured"));
        }
        let leaf = self.leaf();
        if leaf < 24 * HOUR {
            let leaf = duration::format(leaf);
            return Err(format!(
                "AWS PCA doesn't support certificates that are valid for less than 24 hours, LeafTTL of {leaf} \
                 configured"
            ));
        }
        Ok(())
    }
}

/// The value under Go's name or, where that is not given, under the name of files; letter case does not count.
fn find<'t>(given: &'t Map<String, Value>, setting: &Setting) -> Option<&'t Value> {
    let under = |wanted: &str| {
        let found = given.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value)
    };
    under(setting.go).or_else(|| under(setting.file).filter(|_| !setting.file.is_empty()))
}

enum Read {
    Number(i64),
    Text(String),
}

fn value_of(kind: Kind, name: &str, value: &Value) -> Result<Read, String> {
    let cannot = |go: &str, why: String| format!("cannot parse '{name}' as {go}: {why}");
    Ok(match (kind, value) {
        (Kind::Text, Value::String(text)) => Read::Text(text.clone()),
        (Kind::Text, Value::Bool(on)) => Read::Text(u8::from(*on).to_string()),
        (Kind::Text, Value::Number(n)) => Read::Text(n.to_string()),
        (Kind::Duration, Value::String(text)) => {
            let nanos = duration::parse(text);
            Read::Number(nanos.map_err(|why| format!("error decoding '{name}': {why}"))?)
        }
        (Kind::Int, Value::String(text)) if !text.is_empty() => {
            Read::Number(strconv::int(text.as_bytes(), 64, true).map_err(|why| cannot("int", why))?)
        }
        (Kind::Float, Value::String(text)) if !text.is_empty() => match text.parse::<f64>() {
            Ok(n) => Read::Number(n as i64),
            Err(_) => {
                let text = strconv::quote(text.as_bytes());
                let why = format!("strconv.ParseFloat: parsing {text}: invalid syntax");
                return Err(cannot("float", why));
            }
        },
        (Kind::Bool, Value::String(text)) if !text.is_empty() => {
            Read::Number(strconv::bool(text.as_bytes()).map_err(|why| cannot("bool", why))?.into())
        }
        (_, Value::String(_)) => Read::Number(0),
        (_, Value::Bool(on)) => Read::Number((*on).into()),
        (_, Value::Number(n)) => Read::Number(n.as_i64().unwrap_or(n.as_f64().unwrap_or(0.0) as i64)),
        (kind, value) => {
            let go = match kind {
                Kind::Bool => "bool",
                Kind::Duration => "time.Duration",
                Kind::Float => "float32",
                Kind::Int => "int",
                Kind::Text => "string",
            };
            let (got, shown) = (go_type(value), go_shown(value));
            return Err(format!(
                "'{name}' expected type '{go}', got unconvertible type '{got}', value: '{shown}'"
            ));
        }
    })
}

fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::Bool(_) => "bool",
        _ => "string",
    }
}

fn go_type(value: &Value) -> &'static str {
    if value.is_array() { "[]interface {}" } else { "map[string]interface {}" }
}

/// `%v`.
fn go_shown(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_shown).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(entries) => {
            let entries: Vec<String> = entries.iter().map(|(k, v)| format!("{k}:{}", go_shown(v))).collect();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
}
