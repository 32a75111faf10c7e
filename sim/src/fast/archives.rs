//! An operator saves archives, and puts them back later, whatever goes on.

use super::client::{Client, Role};
use super::event::Event;
use super::luck::Luck;
use super::marks::Mark;
use super::world::{MS, World};
use crate::oracle::{Call, Finally, Operation, Outcome, Saved, Write};
use bytes::Bytes;
use lictor_core::archive;
use lictor_core::front::Work;
use lictor_core::ids::ReqId;
use std::sync::Arc;

/// Archives that the operator keeps.
const KEPT: usize = 4;
/// How long a front's work takes at most.
const WORK_MS: u64 = 30;

/// What the operator has saved, the newest last.
#[derive(Debug, Default)]
pub(super) struct Archives {
    kept: Vec<Arc<Saved>>,
    asked: u32,
}

/// What a server gave as an archive, read. The header `X-Consul-Index` is `index`.
pub(super) fn read(bytes: &Bytes, index: u64) -> Result<Saved, String> {
    let read = archive::read(bytes).map_err(|why| why.to_string())?;
    if read.meta.index != index {
        return Err(format!("an archive of index {}, as which {index} was told", read.meta.index));
    }
    Ok(Saved { of: index, index, state: read.state.into(), archive: bytes.clone() })
}

/// The same as if the cluster that it comes from were further on.
fn further(saved: &Saved, by: u64) -> Saved {
    let Ok(mut read) = archive::read(&saved.archive) else { return saved.clone() };
    read.meta.index += by;
    let archive = archive::write(&read.meta, &read.state, 0).into();
    Saved { index: saved.index + by, archive, ..saved.clone() }
}

impl World {
    /// The server is asked for an archive.
    pub(super) fn save(&mut self, slot: usize, luck: &mut Luck) {
        let stale = luck.ratio(1, 4);
        let name = format!("q{}", self.archives.asked);
        // So that there is one more query in it than in the last one.
        self.ask_once(slot, [Call::Write(Write::CreateQuery { name }), Call::Save { stale }]);
    }

    /// The server is given one of those that were saved, mostly the newest.
    pub(super) fn restore(&mut self, slot: usize, further_by: u64, luck: &mut Luck) {
        let kept = &self.archives.kept;
        let Some(newest) = kept.last() else { return self.line(slot, || "no archive was saved".into()) };
        let saved = if luck.ratio(2, 3) { newest } else { luck.pick(kept) }.clone();
        let saved = if further_by > 0 { Arc::new(further(&saved, further_by)) } else { saved };
        self.ask_once(slot, [Call::Restore(saved)]);
    }

    /// These requests, by somebody who asks nothing else.
    fn ask_once<const N: usize>(&mut self, slot: usize, calls: [Call; N]) {
        if self.quiet {
            return;
        }
        self.archives.asked += 1;
        let number = 2000 + self.archives.asked;
        let client = self.clients.len();
        let luck = Luck::of(self.plan.seed, "archivist", u64::from(number));
        self.clients.push(Client::new(number, Role::Once(calls.into()), slot, luck));
        self.heap.push(self.now, Event::Next { client });
    }

    /// A front has work to do, on a thread of its own.
    pub(super) fn work(&mut self, slot: usize, req: ReqId, work: Work) {
        let at = self.now + Luck::of(self.plan.seed, "work", req.0).between(0, WORK_MS * MS);
        let life = self.servers[slot].life;
        self.heap.push(at, Event::Worked { slot, life, req, work: Box::new(work) });
    }

    /// What there is in the end, for the oracle.
    pub(super) fn look_at_the_end(&mut self) {
        for centre in 0..self.centres.len() {
            let leader = self.leader_of(centre).and_then(|slot| self.servers[slot].up.as_ref());
            self.centres[centre].run.finally = leader.map(|process| {
                let store = process.node.store();
                Finally {
                    sessions: store.sessions().map(|session| session.id.to_string()).collect(),
                    queries: store.queries().map(|query| query.name.to_string()).collect(),
                }
            });
        }
    }

    /// What came of saving or restoring.
    pub(super) fn on_archive(&mut self, centre: usize, operation: usize) {
        let Operation { call, outcome, server, .. } = &self.centres[centre].run.operations[operation];
        let led = self.servers[*server as usize].shown.leads;
        match (call, outcome) {
            (Call::Save { .. }, Outcome::Saved(saved)) => {
                self.archives.kept.push(saved.clone());
                if self.archives.kept.len() > KEPT {
                    self.archives.kept.remove(0);
                }
                self.marks.hit(Mark::Saved);
            }
            (Call::Restore(_), Outcome::Restored) if led => self.marks.hit(Mark::Restored),
            (Call::Restore(_), Outcome::Restored) => self.marks.hit(Mark::RestoredElsewhere),
            (Call::Restore(_), Outcome::Failed(why)) if why.contains("was cut off by") => {
                self.marks.hit(Mark::RestoreCutOff);
            }
            (Call::Restore(_), Outcome::Failed(why)) if why.contains("nearly full") => {
                self.marks.hit(Mark::RestoreFull);
            }
            _ => {}
        }
    }
}
