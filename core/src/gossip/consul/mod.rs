//! What Consul makes of a pool: roles in tags, whom it lets in, what it shows of a member.

mod rules;
mod server;
mod show;
mod tags;
#[cfg(test)]
mod tests;

pub use rules::LanRules;
pub(super) use rules::admit_wan;
pub use server::{Build, Server};
pub use show::{Row, row};
pub use tags::{ClientTags, NO_CLUSTER, ServerTags, wan_name};
