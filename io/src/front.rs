//! One front with its mailbox: the pure [`Front`], fed by connections, replies and changes.

mod summaries;
mod watched;

use crate::driver::SharedView;
use crate::log::{Log, LogFormat, Watcher};
use crate::rt::{Alarm, Rt};
use bytes::Bytes;
use lictor_core::config::RuntimeConfig;
use lictor_core::front::{
    Front, FrontInput, FrontOutput, HttpReply, HttpRequest, RpcCall, RpcReply, Stream, Worked,
};
use lictor_core::ids::{CallId, FrontId, ReqId};
use lictor_core::metrics::{Endpoint, Gauge, Metric, Report};
use lictor_core::node::{CallError, Input, Reply};
use lictor_core::time::{Instant, Now};
use lictor_core::view::View;
use lictor_core::watch::ChangeSet;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use tokio::sync::{Notify, mpsc, oneshot};
use watched::Watched;

/// Adds what other threads have counted, each under its lock.
pub type Measure = Arc<dyn Fn(&mut Report) + Send + Sync>;

/// Mail for a front, from the node.
enum Mail {
    Reply(CallId, Reply),
    /// What the node has counted; the rest is to be added.
    Report(CallId, Box<Report>, Measure),
    /// Work for a request is done.
    Worked(ReqId, Worked),
    /// Look into `changes`.
    Changed,
}

/// Where the node leaves replies and changes for one front. Never blocks the node.
#[derive(Debug)]
pub struct FrontMailbox {
    mail: mpsc::UnboundedSender<Mail>,
    /// Changes that the front has not seen yet, merged: a slow front costs one set, not a queue.
    changes: Arc<Mutex<Option<ChangeSet>>>,
    watched: Arc<Watched>,
    /// Wakes a reader that waits for events of the system.
    waker: Option<Arc<mio::Waker>>,
}

/// The replies to calls of something that is no front.
#[derive(Debug)]
pub struct Replies(mpsc::UnboundedReceiver<Mail>);

impl Replies {
    /// The next reply that is here; what else comes is for fronts.
    pub fn take(&mut self) -> Option<(CallId, Reply)> {
        loop {
            match self.0.try_recv().ok()? {
                Mail::Reply(call, reply) => return Some((call, reply)),
                Mail::Report(..) | Mail::Worked(..) | Mail::Changed => {}
            }
        }
    }
}

impl FrontMailbox {
    /// A mailbox for replies alone, whose reader `waker` wakes.
    pub fn of_replies(waker: mio::Waker) -> (FrontMailbox, Replies) {
        let (mail, replies) = mpsc::unbounded_channel();
        let (changes, watched) = (Arc::default(), Arc::default());
        (FrontMailbox { mail, changes, watched, waker: Some(Arc::new(waker)) }, Replies(replies))
    }

    /// Delivers a reply. The number of calls in flight bounds the queue.
    pub fn reply(&self, call: CallId, reply: Reply) {
        let _ = self.mail.send(Mail::Reply(call, reply));
        if let Some(waker) = &self.waker {
            // Fails for a reader that is gone.
            let _ = waker.wake();
        }
    }

    /// Delivers a report that the front completes with `measure`.
    pub fn report(&self, call: CallId, report: Box<Report>, measure: Measure) {
        let _ = self.mail.send(Mail::Report(call, report, measure));
    }

    /// Tells of a view that has been published, if anything in the front waits for one.
    pub fn changed(&self, changes: &ChangeSet) {
        if !self.watched.get() {
            return;
        }
        let mut pending = lock(&self.changes);
        match &mut *pending {
            Some(set) => set.merge(changes),
            None => {
                *pending = Some(changes.clone());
                let _ = self.mail.send(Mail::Changed);
            }
        }
    }
}

/// A front that connections on one thread share.
pub struct FrontCell<R: Rt> {
    rt: R,
    id: FrontId,
    view: SharedView,
    watched: Arc<Watched>,
    inbox: mpsc::Sender<Input>,
    /// Where work that was done elsewhere goes; it keeps no front alive.
    worked: mpsc::WeakUnboundedSender<Mail>,
    state: Mutex<State>,
    /// Wakes the timer task when the earliest deadline may have moved forward.
    sooner: Notify,
    log: Arc<Log>,
}

struct State {
    front: Front,
    next_req: u64,
    waiting: BTreeMap<ReqId, Waiting>,
    deadline: Option<Instant>,
    /// The node is gone: whoever asks is told so.
    ended: bool,
    /// What the request that is being taken in turned out to want.
    stream: Option<Stream>,
}

/// A request or call that waits.
enum Waiting {
    /// A request: who for, since when, and where it went.
    Http { reply: oneshot::Sender<HttpReply>, since: Instant, routed: Option<Endpoint> },
    /// A call: whom to tell, and by which number of theirs.
    Rpc { answers: Answers, tag: u32 },
}

/// Where the answers to a connection's calls go, each with the number that the connection gave it. The
/// number of calls under way bounds the queue.
pub type Answers = mpsc::UnboundedSender<(u32, RpcReply)>;

/// How a call went in.
pub enum Called {
    /// Answered at once.
    Now(RpcReply),
    /// Parked; [`FrontCell::give_up`] tells the front that nobody waits any more.
    Later(ReqId),
    /// The process is ending.
    Never,
}

/// The answer to who is asking.
enum Answer {
    Http(HttpReply),
    Rpc(RpcReply),
}

/// A front, its mailbox, and the mail that [`run`] will deliver.
pub struct FrontParts<R: Rt> {
    /// For connections.
    pub cell: Arc<FrontCell<R>>,
    /// For the node.
    pub mailbox: Arc<FrontMailbox>,
    mail: MailQueue,
}

/// The front's end of its mailbox. It keeps no sender, so that the front ends with the node.
struct MailQueue {
    mail: mpsc::UnboundedReceiver<Mail>,
    changes: Arc<Mutex<Option<ChangeSet>>>,
}

/// Makes a front around the shared view.
pub fn front<R: Rt>(
    rt: R,
    id: FrontId,
    front: Front,
    view: SharedView,
    inbox: mpsc::Sender<Input>,
    log: Arc<Log>,
) -> FrontParts<R> {
    let (tx, rx) = mpsc::unbounded_channel();
    let changes = Arc::new(Mutex::new(None));
    let watched = Arc::new(Watched::default());
    let state =
        State { front, next_req: 0, waiting: BTreeMap::new(), deadline: None, ended: false, stream: None };
    FrontParts {
        cell: Arc::new(FrontCell {
            rt,
            id,
            view,
            watched: watched.clone(),
            inbox,
            worked: tx.downgrade(),
            state: Mutex::new(state),
            sooner: Notify::new(),
            log,
        }),
        mailbox: Arc::new(FrontMailbox { mail: tx, changes: changes.clone(), watched, waker: None }),
        mail: MailQueue { mail: rx, changes },
    }
}

/// Delivers mail and deadlines to the front until the node is gone; then tells everybody who waits.
pub async fn run<R: Rt>(parts: FrontParts<R>) {
    let FrontParts { cell, mailbox, mail: MailQueue { mut mail, changes } } = parts;
    drop(mailbox);
    let mut alarm = Alarm::new(cell.rt.clone());
    loop {
        alarm.set(lock(&cell.state).deadline.unwrap_or(Instant::FAR_FUTURE));
        tokio::select! {
            biased;
            letter = mail.recv() => match letter {
                Some(Mail::Reply(call, reply)) => cell.step(FrontInput::Reply { call, reply }),
                Some(Mail::Report(call, mut report, measure)) => {
                    // Without the lock of this front, which is among those that are taken.
                    measure(&mut report);
                    cell.step(FrontInput::Reply { call, reply: Reply::Metrics(report) });
                }
                Some(Mail::Worked(req, worked)) => cell.step(FrontInput::Worked { req, worked }),
                Some(Mail::Changed) => {
                    let set = lock(&changes).take();
                    if let Some(set) = set {
                        cell.step(FrontInput::Changed(Arc::new(set)));
                    }
                }
                None => return cell.end(),
            },
            () = cell.sooner.notified() => {}
            () = alarm.rings() => cell.step(FrontInput::Wake),
        }
    }
}

/// How a request went in.
pub enum Asked<R: Rt> {
    /// Answered at once.
    Now(HttpReply),
    /// With an answer that has no end.
    Lines(Lines),
    /// Parked; dropping the ticket tells the front that the client is gone.
    Later(Parked<R>),
}

/// A parked request.
pub struct Parked<R: Rt> {
    cell: Arc<FrontCell<R>>,
    req: ReqId,
    reply: oneshot::Receiver<HttpReply>,
    done: bool,
}

impl<R: Rt> Parked<R> {
    /// The reply; `None` when the process is ending.
    pub fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Option<HttpReply>> {
        let reply = ready!(Pin::new(&mut self.reply).poll(cx)).ok();
        self.done = true;
        Poll::Ready(reply)
    }
}

/// An answer without an end, in parts. Dropping it ends what makes them.
pub enum Lines {
    /// The log, line by line.
    Log(Watcher),
    /// The metrics of every interval.
    Metrics(mpsc::Receiver<Bytes>),
}

impl Lines {
    /// The next part; `None` when the process ends.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self {
            Lines::Log(watcher) => watcher.poll_next(cx),
            Lines::Metrics(parts) => parts.poll_recv(cx),
        }
    }
}

impl<R: Rt> Drop for Parked<R> {
    fn drop(&mut self) {
        if !self.done {
            let mut state = lock(&self.cell.state);
            state.waiting.remove(&self.req);
            drop(state);
            self.cell.step(FrontInput::Gone { req: self.req });
        }
    }
}

impl<R: Rt> FrontCell<R> {
    /// Hands a request to the front.
    pub fn ask(self: &Arc<Self>, request: HttpRequest) -> Asked<R> {
        self.take_request(|req| FrontInput::Http { req, request })
    }

    /// Hands over one that came by the server port.
    pub fn ask_handed(self: &Arc<Self>, request: HttpRequest) -> Asked<R> {
        self.take_request(|req| FrontInput::Handed { req, request })
    }

    fn take_request(self: &Arc<Self>, input: impl FnOnce(ReqId) -> FrontInput) -> Asked<R> {
        let mut state = lock(&self.state);
        state.next_req += 1;
        let req = ReqId(state.next_req);
        if state.ended {
            // Without a sender: the client hears that the agent is shutting down.
            let (_, reply) = oneshot::channel();
            return Asked::Later(Parked { cell: self.clone(), req, reply, done: false });
        }
        let now = self.rt.now();
        let since = now.mono;
        let answer = self.step_locked(&mut state, now, input(req), Some(req));
        let routed = state.front.routed();
        match state.stream.take() {
            Some(Stream::Log { level, json }) => {
                let format = if json { LogFormat::Json } else { LogFormat::Text };
                return Asked::Lines(Lines::Log(self.log.watch(level, format)));
            }
            Some(Stream::Metrics) => return Asked::Lines(Lines::Metrics(summaries::follow(self))),
            None => {}
        }
        if let Some(Answer::Http(reply)) = answer {
            if let Some(endpoint) = routed {
                let now = self.rt.now();
                state.front.metrics().answered(now, endpoint, reply.status, now.mono.since(since));
            }
            return Asked::Now(reply);
        }
        let (tx, reply) = oneshot::channel();
        state.waiting.insert(req, Waiting::Http { reply: tx, since, routed });
        Asked::Later(Parked { cell: self.clone(), req, reply, done: false })
    }

    /// Hands a call to the front. If it is not answered at once, the answer goes to `answers` with `tag`.
    pub fn call(&self, call: RpcCall, answers: &Answers, tag: u32) -> Called {
        self.take_call(|req| FrontInput::Rpc { req, call }, answers, tag)
    }

    /// Waits until the index of a service is another one than `index`, or long enough. The answer says nothing.
    pub fn follow(&self, service: String, index: u64, answers: &Answers) -> Called {
        self.take_call(|req| FrontInput::Follow { req, service, index }, answers, 0)
    }

    fn take_call(&self, input: impl FnOnce(ReqId) -> FrontInput, answers: &Answers, tag: u32) -> Called {
        let mut state = lock(&self.state);
        if state.ended {
            return Called::Never;
        }
        state.next_req += 1;
        let req = ReqId(state.next_req);
        let now = self.rt.now();
        match self.step_locked(&mut state, now, input(req), Some(req)) {
            Some(Answer::Rpc(reply)) => Called::Now(reply),
            _ => {
                state.waiting.insert(req, Waiting::Rpc { answers: answers.clone(), tag });
                Called::Later(req)
            }
        }
    }

    /// Nobody waits for the answer to this call any more.
    pub fn give_up(&self, req: ReqId) {
        lock(&self.state).waiting.remove(&req);
        self.step(FrontInput::Gone { req });
    }

    /// Counts one more of something that happened outside the front.
    pub fn count(&self, metric: Metric) {
        let now = self.rt.now();
        lock(&self.state).front.metrics().count(now, metric);
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<RuntimeConfig> {
        self.view.load().config.clone()
    }

    /// The newest view.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// The log that this front writes to.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Adds what this front has counted.
    pub fn measure(&self, report: &mut Report) {
        let mut state = lock(&self.state);
        report.gauge(Gauge::new(Metric::RpcQueriesBlocking, state.front.parked() as f64));
        report.add(state.front.metrics());
    }

    /// How many requests wait for an answer.
    pub fn pending(&self) -> usize {
        lock(&self.state).front.pending()
    }

    /// Dropping the senders is the message.
    fn end(&self) {
        let mut state = lock(&self.state);
        state.ended = true;
        state.waiting.clear();
    }

    /// How long a body of this request may say it is, where its endpoint has a limit of its own.
    pub fn most_of_declared_body(&self, method: &str, target: &str) -> Option<usize> {
        Front::most_of_declared_body(method, target, &self.view.load().config)
    }

    /// The answer to a request whose body is not read because it is too large.
    pub fn body_too_large(&self, target: &str, len: u64, limit: usize) -> HttpReply {
        Front::body_too_large(target, len, limit, &self.view.load().config)
    }

    fn step(&self, input: FrontInput) {
        self.step_locked(&mut lock(&self.state), self.rt.now(), input, None);
    }

    /// Hands over one input and carries out the outputs; the reply to `asking`, if there is one already.
    fn step_locked(
        &self,
        state: &mut State,
        now: Now,
        input: FrontInput,
        asking: Option<ReqId>,
    ) -> Option<Answer> {
        let mut answer = None;
        self.watched.raise();
        let view = self.view.load();
        let mut next = Some(input);
        let mut refused = Vec::new();
        // All who waited for the same are answered at the same time.
        let mut ended = None;
        while let Some(input) = next {
            state.front.handle(now, &view, input);
            while let Some(output) = state.front.poll_output() {
                match output {
                    FrontOutput::HttpReply { req, reply } if asking == Some(req) => {
                        answer = Some(Answer::Http(reply));
                    }
                    FrontOutput::RpcReply { req, reply } if asking == Some(req) => {
                        answer = Some(Answer::Rpc(reply));
                    }
                    FrontOutput::RpcReply { req, reply } => {
                        if let Some(Waiting::Rpc { answers, tag }) = state.waiting.remove(&req) {
                            // The connection may have ended: then nobody wants the answer.
                            let _ = answers.send((tag, reply));
                        }
                    }
                    FrontOutput::HttpReply { req, reply } => {
                        if let Some(Waiting::Http { reply: waiting, since, routed }) =
                            state.waiting.remove(&req)
                        {
                            if let Some(endpoint) = routed {
                                let now = ended.get_or_insert_with(|| self.rt.now());
                                let took = now.mono.since(since);
                                state.front.metrics().answered(*now, endpoint, reply.status, took);
                            }
                            // The client may have gone: then nobody wants the reply.
                            let _ = waiting.send(reply);
                        }
                    }
                    FrontOutput::Work { req, work } => {
                        let worked = self.worked.clone();
                        self.rt.offload(move || {
                            let result = work.run();
                            if let Some(mail) = worked.upgrade() {
                                // The front may have ended.
                                let _ = mail.send(Mail::Worked(req, result));
                            }
                        });
                    }
                    FrontOutput::Event(event) => self.log.write(&event),
                    FrontOutput::Stream { req, stream } => {
                        state.waiting.remove(&req);
                        state.stream = Some(stream);
                    }
                    FrontOutput::Call { call, request } => {
                        if self.inbox.try_send(Input::Call { from: self.id, call, request }).is_err() {
                            refused.push(call);
                        }
                    }
                }
            }
            next =
                refused.pop().map(|call| FrontInput::Reply { call, reply: Reply::Failed(CallError::Busy) });
        }
        let deadline = state.front.poll_timeout();
        if deadline.is_some_and(|new| state.deadline.is_none_or(|old| new < old)) {
            self.sooner.notify_one();
        }
        state.deadline = deadline;
        if state.front.parked() == 0 {
            self.watched.lower();
        }
        answer
    }
}

/// A panic aborts the process in release; in tests the poisoned state is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::TokioRt;
    use arc_swap::ArcSwap;
    use lictor_core::Str;
    use lictor_core::node::{Boot, DiskImage, Node};
    use lictor_core::rng::Rng;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A front of a node without a leader, with the view that it reads.
    fn parts() -> FrontParts<TokioRt> {
        let boot = Boot {
            config: Arc::new(RuntimeConfig { server: true, ..RuntimeConfig::default() }),
            node_id: Str::from("11111111-2222-3333-4444-555555555555"),
            disk: DiskImage::default(),
            bootstrap: None,
            addresses: BTreeMap::new(),
            seed: TokioRt.entropy(),
        };
        let node = Node::boot(boot, TokioRt.now()).expect("it starts");
        let mut shown = View::clone(node.view());
        shown.raft.caught_up = true;
        let view = Arc::new(ArcSwap::from_pointee(shown));
        let (inbox, _inputs) = mpsc::channel(1);
        let core = Front::new(FrontId(0), Rng::new(TokioRt.entropy()));
        front(TokioRt, FrontId(0), core, view, inbox, Arc::new(Log::of_events(|_| {})))
    }

    #[test]
    fn a_front_is_woken_for_a_view_only_while_something_in_it_waits() {
        let mut parts = parts();
        let changes = ChangeSet { nodes: true, ..ChangeSet::default() };
        parts.mailbox.changed(&changes);
        assert!(parts.mail.mail.try_recv().is_err(), "woken for nobody");
        let request = HttpRequest {
            method: "GET".into(),
            target: "/v1/catalog/nodes?stale&index=1000".into(),
            headers: Vec::new(),
            body: bytes::Bytes::new(),
            remote: Some(std::net::SocketAddr::from(([127, 0, 0, 1], 1))),
        };
        let Asked::Later(waiting) = parts.cell.ask(request) else { panic!("it does not wait") };
        parts.mailbox.changed(&changes);
        assert!(matches!(parts.mail.mail.try_recv(), Ok(Mail::Changed)), "not woken");
        drop(waiting);
        assert!(!parts.cell.watched.get(), "nothing waits any more");
    }

    #[test]
    fn a_report_is_completed_by_the_front_that_gets_it_so_that_the_node_waits_for_no_front() {
        let now = TokioRt.now();
        let parts = parts();
        let (cell, seen) = (parts.cell.clone(), Arc::new(AtomicBool::new(false)));
        let measured = seen.clone();
        let measure: Measure = Arc::new(move |report| {
            cell.measure(report);
            measured.store(true, Ordering::Relaxed);
        });
        parts.mailbox.report(CallId(1), Box::new(Report::new(now, now)), measure);
        assert!(!seen.load(Ordering::Relaxed), "the sender measured");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // The mailbox goes with it, so it ends after its mail.
        runtime.block_on(run(parts));
        assert!(seen.load(Ordering::Relaxed), "nobody measured");
    }
}
