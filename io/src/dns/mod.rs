//! DNS sockets: datagrams and TCP streams around the pure responder, on one thread for each address.

mod recursor;
mod servers;
mod tcp;

use crate::driver::SharedView;
use crate::front::FrontMailbox;
use crate::log::Log;
use crate::rpc::Refused;
use crate::rt::{Rt, TokioRt};
use lictor_core::dns::{self, Order, Outcome, Recursion, Transport};
use lictor_core::ids::FrontId;
use lictor_core::metrics::{Metric, Recorder};
use lictor_core::node::Input;
use lictor_core::rng::{Rng, Seed};
use lictor_core::time::Instant;
use lictor_core::view::View;
use mio::net::{TcpListener, UdpSocket};
use mio::{Events, Interest, Poll, Token, Waker};
use recursor::{Job, Purpose, Recursor, Told};
use servers::Servers;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tcp::Connections;
use tokio::sync::mpsc;

const UDP: Token = Token(0);
const TCP: Token = Token(1);
/// Servers have told something.
const TOLD: Token = Token(2);
/// Connections have the tokens from here.
const FIRST: usize = 3;
/// Datagrams answered before the streams get a turn.
const BURST: usize = 256;
/// How often idle streams are looked at.
const TICK: Duration = Duration::from_secs(1);

/// Answers on `address` over UDP and TCP until the process ends, and counts in `metrics`; `log` hears of connections
/// that are refused. On a client agent it asks servers through `inbox` as caller `from`, whose mailbox is returned.
///
/// # Errors
/// Only what binding and starting the thread report.
pub fn start(
    address: SocketAddr,
    view: SharedView,
    seed: Seed,
    metrics: Arc<Mutex<Recorder>>,
    from: FrontId,
    inbox: mpsc::Sender<Input>,
    log: Arc<Log>,
) -> io::Result<Arc<FrontMailbox>> {
    let mut udp = UdpSocket::bind(address)?;
    let mut listener = TcpListener::bind(address)?;
    let poll = Poll::new()?;
    poll.registry().register(&mut udp, UDP, Interest::READABLE)?;
    poll.registry().register(&mut listener, TCP, Interest::READABLE)?;
    let (mailbox, replies) = FrontMailbox::of_replies(Waker::new(poll.registry(), TOLD)?);
    let rng = Rng::new(seed);
    let recursor = Recursor::new(rng.fork("dns.recursor"));
    let responder = Responder {
        view,
        rng: rng.fork("dns.shuffle"),
        cache: dns::Cache::default(),
        reply: Vec::with_capacity(4096),
        waiting: Vec::new(),
        with_servers: 0,
        metrics,
        servers: Servers::new(from, inbox, replies),
        refused: Refused::default(),
        log,
    };
    std::thread::Builder::new().name("dns".into()).stack_size(1 << 20).spawn(move || {
        Server { poll, udp, listener, responder, recursor, connections: Connections::default() }.run();
    })?;
    Ok(Arc::new(mailbox))
}

/// Where an answer goes.
#[derive(Clone, Copy)]
enum Client {
    Datagram(SocketAddr),
    /// A connection by its token; it may be gone by then.
    Stream(usize),
}

/// The pure responder with what it needs.
struct Responder {
    view: SharedView,
    rng: Rng,
    cache: dns::Cache,
    reply: Vec<u8>,
    /// Questions that recursors are to be asked first.
    waiting: Vec<Job>,
    /// How many questions have had to wait for what servers tell, ever.
    with_servers: usize,
    /// A scrape takes a copy now and then; otherwise only this thread locks it.
    metrics: Arc<Mutex<Recorder>>,
    /// Who is asked on a client agent, and about other datacenters.
    servers: Servers,
    /// Who was sent away.
    refused: Refused,
    log: Arc<Log>,
}

impl Responder {
    /// The reply to one query; `None` when there is none, or none yet.
    fn answer(&mut self, query: &[u8], transport: Transport, client: Client) -> Option<&[u8]> {
        let view = self.view.load();
        if !view.config.server {
            return self.ask_servers(&Arc::clone(&view), query, transport, client);
        }
        let before = if view.config.recursors.is_empty() { None } else { Some(self.rng.clone()) };
        let from = TokioRt.now();
        let Responder { rng, cache, reply, .. } = self;
        let outcome = cache.answer(&view.store, &view.config, from, rng, query, transport, reply);
        if !view.raft.caught_up && outcome != Outcome::Recurse && outcome != Outcome::Drop {
            // An empty answer would be believed. Resolvers ask the next server.
            dns::server_failure(query, &mut self.reply);
            self.count(query, from.mono);
            return Some(&self.reply);
        }
        if outcome == Outcome::Elsewhere {
            return self.ask_servers(&Arc::clone(&view), query, transport, client);
        }
        self.count(query, from.mono);
        let purpose = match (outcome, before) {
            (Outcome::Drop, _) => return None,
            (Outcome::Reply | Outcome::Elsewhere, _) | (_, None) => return Some(&self.reply),
            (Outcome::Recurse, Some(_)) => Purpose::Forward,
            (Outcome::Resolve, Some(rng)) => {
                Purpose::Host { name: String::new(), recursion: Recursion::default(), rng: Box::new(rng) }
            }
        };
        drop(view);
        let patience = self.view.load().config.dns.recursor_timeout;
        let job = Job { client, query: query.to_vec(), transport, purpose, left: Vec::new(), patience };
        match self.next_step(job) {
            Some(job) => {
                self.waiting.push(job);
                None
            }
            None => Some(&self.reply),
        }
    }

    /// A count that rises by one with each query whose reply comes later.
    fn unfinished(&self) -> usize {
        self.waiting.len() + self.with_servers
    }

    /// Answers with what servers told; `None` when they have to be asked first.
    fn ask_servers(
        &mut self,
        view: &View,
        query: &[u8],
        transport: Transport,
        client: Client,
    ) -> Option<&[u8]> {
        let now = TokioRt.now();
        let orders = self.servers.ask(view, now, &mut self.rng, (client, query, transport));
        self.count(query, now.mono);
        let answered = orders.iter().any(|order| matches!(order, Order::Answer { .. }));
        self.with_servers += usize::from(!answered);
        // Nothing else is answered by a question.
        self.carry_out(orders).pop().map(|_| &*self.reply)
    }

    /// The clients whose answer is ready: that of the last one lies in `reply`.
    fn carry_out(&mut self, orders: Vec<Order<Client>>) -> Vec<(Client, Vec<u8>)> {
        let mut ready = Vec::new();
        for order in orders {
            let Order::Answer { to, query, transport, outcome, packet } = order else { continue };
            match outcome {
                Outcome::Drop => {}
                Outcome::Reply | Outcome::Resolve | Outcome::Elsewhere => ready.push((to, packet)),
                Outcome::Recurse => {
                    let patience = self.view.load().config.dns.recursor_timeout;
                    let (purpose, left) = (Purpose::Forward, Vec::new());
                    let job = Job { client: to, query, transport, purpose, left, patience };
                    match self.next_step(job) {
                        Some(job) => self.waiting.push(job),
                        None => ready.push((to, packet)),
                    }
                }
            }
        }
        if let Some((_, packet)) = ready.last() {
            self.reply.clone_from(packet);
        }
        ready
    }

    /// Counts a query and how long it took to answer it, or to see that recursors are to be asked.
    fn count(&self, query: &[u8], from: Instant) {
        let Some(asked) = dns::asked(query) else { return };
        let now = TokioRt.now();
        let took = now.mono.since(from);
        let metric = if asked.reverse { Metric::DnsPtrQuery } else { Metric::DnsDomainQuery };
        // Nothing panics while it is held.
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.time_dns(now, asked.kind, took);
        metrics.time(now, metric, took);
    }

    /// There was no room for a connection.
    fn refused(&self, from: SocketAddr) {
        let now = TokioRt.now();
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.count(now, Metric::DnsConnRefused);
        drop(metrics);
        self.refused.tell_of("agent.dns", now.mono, from, "too many connections", &self.log);
    }

    /// Sets the job up to ask recursors; `None` when its answer is in `reply`.
    fn next_step(&mut self, mut job: Job) -> Option<Job> {
        let view = self.view.load();
        if let Purpose::Host { name, recursion, rng } = &mut job.purpose {
            let (now, mut rng) = (TokioRt.now(), rng.clone());
            let outcome = dns::answer_knowing(
                &view,
                now,
                &mut rng,
                &job.query,
                job.transport,
                recursion,
                &mut self.reply,
            );
            match recursion.wanted().first() {
                Some(wanted) if outcome == Outcome::Resolve => name.clone_from(wanted),
                _ => return None,
            }
        }
        let config = &view.config;
        job.left = recursor::addresses(&config.recursors, config.dns.recursor_random, &mut self.rng);
        Some(job)
    }

    /// Takes in what recursors told; the job, when there is more to ask.
    fn told(&mut self, mut job: Job, told: &Told) -> Option<Job> {
        match (&mut job.purpose, told) {
            (Purpose::Forward, Told::Reply(reply)) => {
                self.reply.clear();
                self.reply.extend_from_slice(reply);
                // The number is the client's again.
                if let (Some(ours), Some(theirs)) =
                    (self.reply.first_chunk_mut::<2>(), job.query.first_chunk::<2>())
                {
                    *ours = *theirs;
                }
                None
            }
            (Purpose::Forward, Told::Nothing) => {
                dns::server_failure(&job.query, &mut self.reply);
                None
            }
            (Purpose::Host { name, recursion, .. }, told) => {
                match told {
                    Told::Reply(reply) => recursion.learn(name, reply),
                    Told::Nothing => recursion.give_up(name),
                }
                self.next_step(job)
            }
        }
    }
}

struct Server {
    poll: Poll,
    udp: UdpSocket,
    listener: TcpListener,
    responder: Responder,
    recursor: Recursor,
    connections: Connections,
}

impl Server {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        // Set when the socket may hold more than one burst: do not wait then.
        let mut more = false;
        loop {
            let wait = if more { Some(Duration::ZERO) } else { self.wait() };
            if let Err(e) = self.poll.poll(&mut events, wait)
                && e.kind() != ErrorKind::Interrupted
            {
                // Nothing but a broken kernel interface: try again without spinning.
                std::thread::sleep(TICK);
            }
            let now = TokioRt.now().mono;
            let mut datagrams = more;
            for event in &events {
                match event.token() {
                    UDP => datagrams = true,
                    TCP => {
                        for from in self.connections.accept(&self.listener, self.poll.registry(), now) {
                            self.responder.refused(from);
                        }
                    }
                    TOLD => {}
                    Token(id) if Recursor::owns(id) => {
                        if let Some((job, told)) = self.recursor.ready(id, self.poll.registry(), now) {
                            self.finish(job, told, now);
                        }
                    }
                    Token(id) => self.connections.ready(id, &mut self.responder, self.poll.registry(), now),
                }
            }
            more = datagrams && self.datagrams();
            self.told(now);
            for (job, told) in self.recursor.expire(self.poll.registry(), now) {
                self.finish(job, told, now);
            }
            self.ask_recursors(now);
            self.connections.close_idle(now);
        }
    }

    /// Answers those who waited for what servers have told, or have waited long enough.
    fn told(&mut self, now: Instant) {
        loop {
            let view = Arc::clone(&self.responder.view.load());
            let Responder { servers, rng, .. } = &mut self.responder;
            let (told, at) = (servers.told(&view, TokioRt.now(), rng), TokioRt.now());
            let late = servers.next_deadline().is_some_and(|due| due <= at.mono);
            let orders = match told {
                Some(orders) => orders,
                None if late => servers.wake(&view, at, rng),
                None => return,
            };
            drop(view);
            for (client, packet) in self.responder.carry_out(orders) {
                self.responder.reply.clone_from(&packet);
                self.deliver(client, now);
            }
        }
    }

    /// How long nothing can happen by itself; `None` when only others can make something happen.
    fn wait(&self) -> Option<Duration> {
        let now = TokioRt.now().mono;
        let streams = (!self.connections.is_empty()).then_some(TICK);
        let deadlines =
            self.recursor.next_deadline().into_iter().chain(self.responder.servers.next_deadline());
        deadlines.map(|deadline| deadline.since(now)).chain(streams).min()
    }

    /// Leaves none waiting: an answer to one query of a connection may let its next one in.
    fn ask_recursors(&mut self, now: Instant) {
        while !self.responder.waiting.is_empty() {
            for job in std::mem::take(&mut self.responder.waiting) {
                if let Some(job) = self.recursor.ask(job, self.poll.registry(), now) {
                    self.finish(job, Told::Nothing, now);
                }
            }
        }
    }

    /// Sends the answer, or asks on.
    fn finish(&mut self, mut job: Job, mut told: Told, now: Instant) {
        loop {
            let client = job.client;
            match self.responder.told(job, &told) {
                None => return self.deliver(client, now),
                Some(next) => match self.recursor.ask(next, self.poll.registry(), now) {
                    None => return,
                    Some(back) => (job, told) = (back, Told::Nothing),
                },
            }
        }
    }

    fn deliver(&mut self, client: Client, now: Instant) {
        match client {
            Client::Datagram(to) => drop(self.udp.send_to(&self.responder.reply, to)),
            Client::Stream(id) => {
                let reply = std::mem::take(&mut self.responder.reply);
                self.connections.deliver(id, &reply, &mut self.responder, self.poll.registry(), now);
                self.responder.reply = reply;
            }
        }
    }

    /// Answers what waits, up to one burst; whether there may be more.
    fn datagrams(&mut self) -> bool {
        // The largest query that can matter: EDNS queries are far below this.
        let mut query = [0u8; 4096];
        for _ in 0..BURST {
            match self.udp.recv_from(&mut query) {
                Ok((n, from)) => {
                    let client = Client::Datagram(from);
                    if let Some(reply) = self.responder.answer(&query[..n], Transport::Udp, client) {
                        // A full send buffer loses the reply, as the network may: clients ask again.
                        let _ = self.udp.send_to(reply, from);
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return false,
                // An earlier reply was refused by its receiver (ICMP): not our trouble.
                Err(_) => {}
            }
        }
        true
    }
}
