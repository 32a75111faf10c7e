//! TTL checks: a service reports, and is critical when it stops.

use super::Runner;
use crate::Str;
use crate::agent::{Agent, AgentError, AgentReply, Timer};
use crate::duration;
use crate::event::Level;
use crate::time::Now;
use crate::types::status;
use alloc::format;
use alloc::string::String;

impl Agent {
    /// `PUT /v1/agent/check/{pass,warn,fail,update}`. Always restarts the timer; thresholds do not
    /// apply to TTL checks.
    pub(in crate::agent) fn update_ttl(
        &mut self,
        now: Now,
        id: &str,
        new: &'static str,
        output: String,
    ) -> AgentReply {
        let id = Str::from(id);
        let Some(state) = self.checks.get_mut(&id) else {
            return Err(AgentError::NotFound(super::super::register::unknown_check(&id)));
        };
        let output_max = output_max(self.config.check_output_max_size, state.definition.output_max_size);
        let Runner::Ttl { ttl, last_output } = &mut state.runner else {
            return Err(AgentError::Failed(format!("CheckID {id:?} does not have associated TTL")));
        };
        let output = cut(output, output_max);
        *last_output = output.clone();
        let ttl = *ttl;
        self.timers.set(Timer::Check(id.clone()), now.mono + ttl);
        self.event(Level::Debug, "Check status updated", &[("check", &id), ("status", new)]);
        self.persist_check_state(now, &id, new, &output, ttl);
        self.set_check_status(now, &id, new, output);
        Ok(())
    }

    /// The service did not report in time.
    pub(in crate::agent) fn on_ttl_expired(&mut self, now: Now, id: &Str) {
        let Some(state) = self.checks.get(id) else { return };
        let Runner::Ttl { last_output, .. } = &state.runner else { return };
        let output = match last_output.as_str() {
            "" => String::from("TTL expired"),
            last => format!("TTL expired (last output before timeout follows): {last}"),
        };
        self.log_check(Level::Warn, "Check missed TTL, is now critical", id);
        self.set_check_status(now, id, status::CRITICAL, output);
    }
}

/// Bytes of output to keep: the agent's limit, or the check's if that is smaller.
pub(in crate::agent) fn output_max(agent: usize, check: i64) -> usize {
    let agent = if agent == 0 { 4096 } else { agent };
    match usize::try_from(check) {
        Ok(own) if own > 0 => own.min(agent),
        _ => agent,
    }
}

/// Cuts a reported output as Consul does, never within a character.
fn cut(mut output: String, max: usize) -> String {
    let total = output.len();
    if total <= max {
        return output;
    }
    truncate(&mut output, max);
    format!("{output} ... (captured {max} of {total} bytes)")
}

/// Cuts to at most `max` bytes, never within a character.
pub(super) fn truncate(text: &mut String, max: usize) {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

/// Nanoseconds as registered; negative counts as none.
pub(in crate::agent) fn nanos(n: i64) -> core::time::Duration {
    core::time::Duration::from_nanos(n.max(0) as u64)
}

/// A duration as Go prints it.
pub(in crate::agent) fn text(d: core::time::Duration) -> String {
    duration::format(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}
