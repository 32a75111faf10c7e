//! Configuration files: found, read, and handed to the pure loader.

use crate::go_error;
use lictor_core::config::{self, DataDirectory, Flags, Format, HostFacts, Interface, RuntimeConfig, Source};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// A configuration file larger than this is a mistake.
const MAX_FILE: u64 = 64 << 20;

/// Where the configuration is, and the flags that lie over it.
#[derive(Clone, Debug, Default)]
pub struct ConfigFiles {
    /// Files and directories in the order given.
    pub paths: Vec<String>,
    /// `json` or `hcl` for every file; `None`: by extension.
    pub format: Option<String>,
    /// Everything else from the command line.
    pub flags: Flags,
}

/// Reads every file and loads the configuration.
///
/// # Errors
/// The message as Consul prints it, possibly of several lines; names the file.
pub fn load(files: &ConfigFiles) -> Result<RuntimeConfig, String> {
    let sources = sources(files)?;
    let mut host = host();
    if let Some(path) = config::data_dir(&sources, &files.flags) {
        host.data_dir = look_at(Path::new(&path));
    }
    config::load(&sources, &files.flags, &host).map_err(|e| e.to_string())
}

/// What is at a path that is to be the data directory.
fn look_at(path: &Path) -> DataDirectory {
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => DataDirectory::Other,
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => DataDirectory::Unreadable(go_error::cause(&e)),
        Ok(_) if path.join("mdb").exists() => DataDirectory::BeforeRaft,
        _ => DataDirectory::Usable,
    }
}

/// The files in the order in which they are merged: a directory gives its `.json` and `.hcl` files
/// sorted by name, not those below it.
fn sources(files: &ConfigFiles) -> Result<Vec<Source>, String> {
    let mut sources = Vec::new();
    for path in &files.paths {
        let path = Path::new(path);
        let kind = fs::metadata(path).map_err(|e| {
            let (path, cause) = (path.display(), go_error::cause(&e));
            format!("config: Open failed on {path}. open {path}: {cause}")
        })?;
        if !kind.is_dir() {
            sources.push(read(path, format_of(path, files)?)?);
            continue;
        }
        for file in directory(path)? {
            if let Ok(format) = format_of(&file, files) {
                sources.push(read(&file, format)?);
            }
        }
    }
    Ok(sources)
}

fn directory(path: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |e: std::io::Error| format!("config: Readdir failed on {}. {e}", path.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        // Follows links: Kubernetes mounts a ConfigMap's keys as links.
        if fs::metadata(&file).map_err(failed)?.is_file() {
            // Errors name files of the working directory without `./`, as in Consul.
            files.push(file.components().filter(|part| *part != Component::CurDir).collect());
        }
    }
    files.sort();
    Ok(files)
}

fn format_of(path: &Path, files: &ConfigFiles) -> Result<Format, String> {
    match files.format.as_deref() {
        Some("json") => return Ok(Format::Json),
        Some("hcl") => return Ok(Format::Hcl),
        _ => {}
    }
    match path.extension().and_then(|e| e.to_str()) {
        Some("json") => Ok(Format::Json),
        Some("hcl") => Ok(Format::Hcl),
        _ => Err(format!(
            "config: file {} has unknown extension; must be .hcl or .json, or config format must be set",
            path.display()
        )),
    }
}

fn read(path: &Path, format: Format) -> Result<Source, String> {
    let failed = |e: String| format!("config: failed to read {}: {e}", path.display());
    let size = fs::metadata(path).map_err(|e| failed(e.to_string()))?.len();
    if size > MAX_FILE {
        return Err(failed(format!("it has {size} bytes, more than the {MAX_FILE} allowed")));
    }
    let text = fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    Ok(Source { name: path.display().to_string(), format, text })
}

/// What the configuration needs to know about this machine.
pub fn host() -> HostFacts {
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let default = default_route();
    let mut found = if_addrs::get_if_addrs().unwrap_or_default();
    // As Go lists them.
    found.sort_by_key(|i| (i.index, i.ip().is_ipv6()));
    let interfaces = found.into_iter().map(|i| {
        let flags = flags(&i);
        Interface {
            address: i.ip(),
            length: match &i.addr {
                if_addrs::IfAddr::V4(v4) => v4.prefixlen,
                if_addrs::IfAddr::V6(v6) => v6.prefixlen,
            },
            up: flags & 0x1 != 0,
            broadcast: flags & 0x2 != 0,
            loopback: flags & 0x8 != 0,
            point_to_point: flags & 0x10 != 0,
            multicast: flags & 0x1000 != 0,
            running: i.is_oper_up(),
            default_route: default.as_deref() == Some(&i.name),
            index: i.index.unwrap_or(0),
            mtu: told(&i.name, "mtu").and_then(|text| text.parse().ok()).unwrap_or(0),
            hardware: told(&i.name, "address")
                .filter(|text| text.bytes().any(|b| !matches!(b, b'0' | b':')))
                .unwrap_or_default(),
            name: i.name,
        }
    });
    HostFacts { hostname, interfaces: interfaces.collect(), ..HostFacts::default() }
}

/// What the system tells of an interface under this name (Linux).
fn told(interface: &str, what: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/sys/class/net/{interface}/{what}")).ok()?;
    Some(text.trim().to_owned())
}

/// The interface's flags in Linux's numbers; elsewhere put together from what the system tells otherwise.
fn flags(interface: &if_addrs::Interface) -> u32 {
    let told = told(&interface.name, "flags");
    let told = told.and_then(|text| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok());
    told.unwrap_or_else(|| {
        let kind = match (interface.is_loopback(), interface.is_p2p()) {
            (true, _) => 0x8,
            (false, true) => 0x1010,
            (false, false) => 0x1002,
        };
        kind | u32::from(interface.is_oper_up())
    })
}

/// The interface of the default route, where the system tells (Linux).
fn default_route() -> Option<String> {
    let table = fs::read_to_string("/proc/net/route").ok()?;
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        (words.next()? == "00000000" && words.next()? != "00000000").then(|| name.to_owned())
    })
}
