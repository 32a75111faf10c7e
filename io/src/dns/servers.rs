//! On a client agent, and for other datacenters: what answers are made from is asked of servers, through the node.

use super::Client;
use crate::front::Replies;
use lictor_core::dns::{Need, Order, Remote, Told, Transport};
use lictor_core::ids::{CallId, FrontId};
use lictor_core::node::{Input, Request};
use lictor_core::rng::Rng;
use lictor_core::store::Store;
use lictor_core::time::{Instant, Now};
use lictor_core::view::View;
use std::collections::{BTreeMap, VecDeque};
use tokio::sync::mpsc;

/// The questions that wait, and the way to the node and back.
pub(super) struct Servers {
    from: FrontId,
    inbox: mpsc::Sender<Input>,
    replies: Replies,
    remote: Remote<Client>,
    next_call: u64,
    asked: BTreeMap<CallId, Need>,
    /// What the node had no room for.
    refused: VecDeque<Need>,
}

impl Servers {
    pub(super) fn new(from: FrontId, inbox: mpsc::Sender<Input>, replies: Replies) -> Servers {
        let (remote, asked, refused) = (Remote::default(), BTreeMap::new(), VecDeque::new());
        Servers { from, inbox, replies, remote, next_call: 0, asked, refused }
    }

    /// Takes a question; what it leads to.
    pub(super) fn ask(
        &mut self,
        view: &View,
        now: Now,
        rng: &mut Rng,
        question: (Client, &[u8], Transport),
    ) -> Vec<Order<Client>> {
        let orders = self.remote.ask(own(view), &view.config, now, rng, question);
        self.fetch(orders)
    }

    /// Takes in the next thing that servers told; `None` when there is none.
    pub(super) fn told(&mut self, view: &View, now: Now, rng: &mut Rng) -> Option<Vec<Order<Client>>> {
        let (need, reply) = match self.refused.pop_front() {
            Some(need) => (need, None),
            None => {
                let (call, reply) = self.replies.take()?;
                let Some(need) = self.asked.remove(&call) else { return Some(Vec::new()) };
                (need, Some(reply))
            }
        };
        let told = reply.as_ref().map_or(Told::Nothing, Told::of);
        let orders = self.remote.told(own(view), &view.config, now, rng, (&need, told));
        Some(self.fetch(orders))
    }

    /// When [`Servers::wake`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.remote.poll_timeout()
    }

    /// Answers those who have waited long enough.
    pub(super) fn wake(&mut self, view: &View, now: Now, rng: &mut Rng) -> Vec<Order<Client>> {
        let orders = self.remote.wake(own(view), &view.config, now, rng);
        self.fetch(orders)
    }

    /// Sends the calls among the orders on their way; the answers are left.
    fn fetch(&mut self, orders: Vec<Order<Client>>) -> Vec<Order<Client>> {
        let mut answers = Vec::new();
        for order in orders {
            let (need, ask) = match order {
                Order::Fetch { need, ask } => (need, ask),
                answer => {
                    answers.push(answer);
                    continue;
                }
            };
            self.next_call += 1;
            let call = CallId(self.next_call);
            let request = Request::Ask(ask);
            match self.inbox.try_send(Input::Call { from: self.from, call, request }) {
                Ok(()) => drop(self.asked.insert(call, need)),
                Err(_) => self.refused.push_back(need),
            }
        }
        answers
    }
}

/// A server has the catalog of its own datacenter.
fn own(view: &View) -> Option<&Store> {
    view.config.server.then_some(&view.store)
}
