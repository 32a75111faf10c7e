//! What must hold at every moment of every run. Each rule is a function of its own that cites its source.
//!
//! | file | rules |
//! |---|---|
//! | `raft` | election safety, one vote per term, log matching, leader completeness, commits for ever and on a quorum of disks, nothing runs backwards |
//! | `promise` | votes and acknowledgements rest on the disk, one lease at a time |
//! | `store` | equal stores at equal indexes |
//! | `watch` | no lost wake-up, nothing is forgotten, queues are bounded |
//! | `cluster` | founded once; gossip, catalog and agents agree when it is quiet |
//! | `fleet` | agents answer their owners without servers, and do not storm servers |
//! | `client` | an index is never 0 and never runs backwards for a client |

pub(super) mod client;
pub(super) mod cluster;
pub(super) mod fleet;
pub(super) mod promise;
pub(super) mod raft;
pub(super) mod store;
pub(super) mod watch;

use super::verdict::Violation;

/// What a check says.
pub(super) type Checked = Result<(), Violation>;

/// Fails with the rule's name and what was seen.
macro_rules! hold {
    ($cond:expr, $rule:literal, $($what:tt)+) => {
        if !$cond {
            return Err($crate::fast::verdict::Violation::invariant($rule, format!($($what)+)));
        }
    };
}
pub(super) use hold;
