//! Many client agents, and what they may ask of few servers.

use super::{Checked, hold};

/// When servers come back, agents compare themselves with the catalog at random moments within three seconds, not all at
/// once (docs/anti-entropy.md). All of twelve within one second would be one time in twenty thousand, and eighteen of
/// twenty rarer still; eleven of twelve, one time in a thousand, is luck that a sweep has now and then.
pub(in crate::fast) fn comes_back_spread_out(crowd: usize, agents: usize) -> Checked {
    hold!(
        agents < 12 || crowd * 4 <= agents * 3 + 10,
        "a fleet comes back spread out",
        "{crowd} of {agents} agents compare themselves with the catalog within one second"
    );
    Ok(())
}

/// An agent that finds no server goes on trying, in measure: each call goes round all servers, after pauses that grow, for
/// seven seconds; a handful of calls under way are some connections to each server in ten seconds (docs/client.md).
pub(in crate::fast) fn knocks_in_measure(slot: usize, dials: usize, servers: usize) -> Checked {
    hold!(
        dials <= MOST_DIALS * servers,
        "agents knock in measure",
        "n{} has opened {dials} connections to {servers} servers within ten seconds",
        slot + 1
    );
    Ok(())
}

/// Connections to each server that one agent may open in ten seconds.
const MOST_DIALS: usize = 60;

/// What a program asks of its own agent is answered without any server (docs/anti-entropy.md).
pub(in crate::fast) fn own_api_waits_for_nobody(name: &str, waited: u64, bound: u64) -> Checked {
    hold!(
        waited <= bound,
        "an agent answers its owner without servers",
        "{name} has not answered a request about its own services for {:.1} s",
        waited as f64 / 1e9
    );
    Ok(())
}
