//! What the agent keeps in the data directory: services and checks registered over HTTP, and the
//! last report of each TTL check.
//!
//! One JSON record per key: `service/<id>`, `check/<id>`, `check-state/<id>`. A record that cannot
//! be read is moved to `corrupt/<key>` and the agent starts without it.

use super::Agent;
use super::LocalWrite;
use super::checks::{CheckState, Runner};
use super::validate::{self, Source};
use crate::Str;
use crate::event::Level;
use crate::time::{Now, WallTime};
use crate::types::{CheckDefinition, HealthCheck, ServiceDefinition, status};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The only version of the records so far.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct ServiceRecord<D = ServiceDefinition> {
    format: u32,
    definition: D,
}

#[derive(Serialize, Deserialize)]
struct CheckRecord<D = CheckDefinition> {
    format: u32,
    definition: D,
    /// Came with its service.
    #[serde(default)]
    with_service: bool,
    /// A maintenance mode; has no kind.
    #[serde(default)]
    maintenance: bool,
}

#[derive(Serialize, Deserialize)]
struct StateRecord {
    format: u32,
    status: String,
    output: String,
    /// When the report runs out, on the wall clock: it must mean something after a reboot.
    expires: WallTime,
}

/// The records of one data directory, read.
#[derive(Default)]
struct Records {
    services: BTreeMap<Str, ServiceRecord>,
    checks: BTreeMap<Str, CheckRecord>,
    states: BTreeMap<Str, StateRecord>,
}

impl Agent {
    pub(super) fn persist_service(&mut self, id: &Str) {
        let Some(state) = self.services.get(id) else { return };
        let record = ServiceRecord { format: FORMAT, definition: &state.definition };
        put_record(&mut self.writes, format!("service/{id}"), &record);
    }

    pub(super) fn persist_check(&mut self, id: &Str) {
        let Some(state) = self.checks.get(id) else { return };
        let record = CheckRecord {
            format: FORMAT,
            definition: &*state.definition,
            with_service: state.with_service,
            maintenance: matches!(state.runner, Runner::Maintenance),
        };
        put_record(&mut self.writes, format!("check/{id}"), &record);
    }

    pub(super) fn persist_check_state(
        &mut self,
        now: Now,
        id: &Str,
        status: &str,
        output: &str,
        ttl: Duration,
    ) {
        if self.disk_full {
            return;
        }
        let ttl = i64::try_from(ttl.as_nanos()).unwrap_or(i64::MAX);
        let record = StateRecord {
            format: FORMAT,
            status: status.to_string(),
            output: output.to_string(),
            expires: WallTime(now.wall.0.saturating_add(ttl)),
        };
        put_record(&mut self.writes, format!("check-state/{id}"), &record);
    }

    pub(super) fn forget_service(&mut self, id: &str) {
        self.writes.push(LocalWrite::Delete { key: format!("service/{id}") });
    }

    pub(super) fn forget_check(&mut self, id: &str) {
        self.writes.push(LocalWrite::Delete { key: format!("check/{id}") });
    }

    pub(super) fn forget_check_state(&mut self, id: &str) {
        self.writes.push(LocalWrite::Delete { key: format!("check-state/{id}") });
    }

    /// Takes up what the data directory holds, after the configuration files: these win over records
    /// of the same ID, which are then removed.
    pub(super) fn load(&mut self, now: Now, records: &[(String, Bytes)]) {
        let records = self.read_records(records);
        let mut refused = BTreeSet::new();
        for (id, record) in records.services {
            if self.services.get(&id).is_some_and(|s| s.source == Source::File) {
                self.forget_service(&id);
                self.event(
                    Level::Debug,
                    "service is defined in a file, dropping the stored one",
                    &[("service", &id)],
                );
            } else if let Err(why) = self.install_service(now, record.definition, Source::Http) {
                // The record stays: another configuration may allow it again.
                refused.insert(id.clone());
                let why = why.to_string();
                self.event(Level::Warn, "stored service is not valid", &[("service", &id), ("error", &why)]);
            }
        }
        for (id, record) in records.checks {
            let waits = refused.contains(record.definition.service_id.as_str());
            self.load_check(now, &id, record, waits);
        }
        for (id, record) in records.states {
            self.load_check_state(now, &id, record);
        }
    }

    /// `waits`: its service is stored too, but the configuration does not allow it.
    fn load_check(&mut self, now: Now, id: &Str, record: CheckRecord, waits: bool) {
        let definition = record.definition;
        let orphan =
            !definition.service_id.is_empty() && self.local.service(&definition.service_id).is_none();
        if orphan && !waits {
            self.forget_check(id);
            self.event(Level::Warn, "stored check has lost its service, dropping it", &[("check", id)]);
        } else if orphan {
            self.event(Level::Warn, "stored check waits for its service", &[("check", id)]);
        } else if self.checks.get(id).is_some_and(|c| c.source == Source::File) {
            self.forget_check(id);
            self.event(Level::Debug, "check is defined in a file, dropping the stored one", &[("check", id)]);
        } else if record.maintenance {
            self.install_maintenance(now, definition, Source::Http);
        } else if let Err(why) = validate::check(&definition, Source::Http, &self.abilities()) {
            let why = why.to_string();
            self.event(Level::Warn, "stored check is not valid", &[("check", id), ("error", &why)]);
        } else {
            self.install_check(now, definition, Source::Http, record.with_service);
        }
    }

    /// The last report counts unless it has run out while the agent was away.
    fn load_check_state(&mut self, now: Now, id: &Str, record: StateRecord) {
        let Some(CheckState { runner: Runner::Ttl { last_output, .. }, critical_since, .. }) =
            self.checks.get_mut(id).filter(|_| now.wall < record.expires)
        else {
            self.forget_check_state(id);
            return;
        };
        let status = match record.status.as_str() {
            status::PASSING => status::PASSING,
            status::WARNING => status::WARNING,
            _ => status::CRITICAL,
        };
        *last_output = record.output.clone();
        *critical_since = (status == status::CRITICAL).then_some(now.mono);
        let Some(old) = self.local.check(id) else { return };
        let check = HealthCheck {
            status: Str::from(status),
            output: Str::from(record.output),
            ..HealthCheck::clone(old)
        };
        self.put_check(check);
        self.check_changed(id);
    }

    fn read_records(&mut self, raw: &[(String, Bytes)]) -> Records {
        let mut records = Records::default();
        for (key, value) in raw {
            let read = match key.split_once('/') {
                Some(("service", id)) => read(value, |r: &ServiceRecord| (r.format, r.definition.id == id))
                    .map(|r| drop(records.services.insert(Str::from(id), r))),
                Some(("check", id)) => read(value, |r: &CheckRecord| (r.format, r.definition.id == id))
                    .map(|r| drop(records.checks.insert(Str::from(id), r))),
                Some(("check-state", id)) => read(value, |r: &StateRecord| (r.format, true))
                    .map(|r| drop(records.states.insert(Str::from(id), r))),
                _ => continue,
            };
            if let Err(why) = read {
                self.event(
                    Level::Error,
                    "stored record is unreadable, setting it aside",
                    &[("record", key), ("error", &why)],
                );
                self.writes.push(LocalWrite::Put { key: format!("corrupt/{key}"), value: value.clone() });
                self.writes.push(LocalWrite::Delete { key: key.clone() });
            }
        }
        records
    }
}

fn put_record<T: Serialize>(writes: &mut Vec<LocalWrite>, key: String, record: &T) {
    let value = serde_json::to_vec(record).expect("our own records always encode");
    writes.push(LocalWrite::Put { key, value: Bytes::from(value) });
}

/// Reads one record; `check` tells its format and whether it belongs to its key.
fn read<T: for<'a> Deserialize<'a>>(value: &[u8], check: impl Fn(&T) -> (u32, bool)) -> Result<T, String> {
    let record: T = serde_json::from_slice(value).map_err(|e| e.to_string())?;
    match check(&record) {
        (FORMAT, true) => Ok(record),
        (FORMAT, false) => Err(String::from("the record belongs to another key")),
        (format, _) => Err(format!("format {format} is newer than this version")),
    }
}
