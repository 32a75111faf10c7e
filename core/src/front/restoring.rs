//! An archive on its way into raft's log, part by part: each is written when the one before it is applied.
//!
//! The store takes them for nothing until the last is there, so that a restore that ends in between, with whoever
//! drives it or with a leader, has changed nothing.

use super::Front;
use super::errors::HttpError;
use super::message::{FrontOutput, HttpReply};
use super::pending::Pending;
use super::respond;
use super::work::{Outcome, Permit, State, Task, Work, Worked};
use crate::call;
use crate::command::{Command, RestorePart};
use crate::ids::ReqId;
use crate::rng::Rng;
use crate::store::Applied;
use alloc::boxed::Box;
use alloc::format;

/// Bytes of a part: less than an entry may have, and soon on every disk.
pub(super) const PART: usize = 1 << 20;

/// One restore.
#[derive(Debug)]
pub(super) struct Restoring {
    /// Drawn, so that the store tells its parts from those of others.
    id: u64,
    state: State,
    /// Bytes of a part.
    part: usize,
    /// Parts that are applied.
    done: u64,
    /// The answer when all are.
    reply: HttpReply,
    /// That of the work that read it: no other archive is worked on until this ends, however it does.
    _permit: Permit,
}

impl Restoring {
    fn begin(state: State, part: usize, reply: HttpReply, permit: Permit, rng: &mut Rng) -> Restoring {
        Restoring { id: rng.next_u64(), state, part, done: 0, reply, _permit: permit }
    }

    fn parts(&self) -> u64 {
        self.state.bytes.len().div_ceil(self.part).max(1) as u64
    }

    fn next(&self) -> Command {
        let len = self.state.bytes.len();
        let begin = (self.done as usize * self.part).min(len);
        let data = self.state.bytes.slice(begin..(begin + self.part).min(len));
        let (id, number, index) = (self.id, self.done, self.state.index);
        Command::Restore(RestorePart { id, number, of: self.parts(), index, data })
    }
}

impl Front {
    /// Has the work done; its result is heard of as [`super::FrontInput::Worked`]. A result that nobody waits for any
    /// more finds nobody. Refused while the process works on another archive.
    pub(super) fn start_work(&mut self, req: ReqId, reply: HttpReply, task: Task) {
        let Some(permit) = self.archives.permit() else {
            return self.answer(req, respond::error(&HttpError::ArchivesBusy));
        };
        let work = Work { task, permit };
        self.pending.insert(req, Pending::Working { reply: Box::new(reply) });
        self.outputs.push_back(FrontOutput::Work { req, work });
    }

    pub(super) fn on_worked(&mut self, req: ReqId, worked: Worked) {
        let Some(Pending::Working { .. }) = self.pending.get(&req) else { return };
        let Some(Pending::Working { reply }) = self.pending.remove(&req) else { return };
        match worked.outcome {
            Outcome::Packed(Ok(bytes)) => self.answer(req, HttpReply { body: bytes, ..*reply }),
            Outcome::Unpacked(Ok(state)) => {
                let restoring =
                    Box::new(Restoring::begin(state, self.part, *reply, worked.permit, &mut self.rng));
                self.write_part(req, restoring);
            }
            Outcome::Packed(Err(text)) | Outcome::Unpacked(Err(text)) => {
                self.answer(req, respond::error(&HttpError::Failed(text)))
            }
        }
    }

    fn write_part(&mut self, req: ReqId, restoring: Box<Restoring>) {
        let request = call::Request::Write(restoring.next());
        match self.call(req, request) {
            Ok(call) => {
                self.pending.insert(req, Pending::Restoring { call, restoring });
            }
            Err(error) => self.answer(req, respond::error(&error)),
        }
    }

    /// A part is applied, or is not.
    pub(super) fn on_part(&mut self, req: ReqId, mut restoring: Box<Restoring>, reply: call::Reply) {
        let error = match reply {
            call::Reply::Applied { result: Applied::Ok, .. } => {
                restoring.done += 1;
                return match restoring.done == restoring.parts() {
                    true => self.answer(req, restoring.reply),
                    false => self.write_part(req, restoring),
                };
            }
            call::Reply::Applied { result: Applied::Error(text), .. } => {
                HttpError::Failed(format!("Raft error when restoring snapshot: {text}"))
            }
            call::Reply::Failed(error) => HttpError::Call(error),
            other => super::api::unexpected(other),
        };
        self.answer(req, respond::error(&error));
    }
}
