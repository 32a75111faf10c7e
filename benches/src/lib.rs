//! What measures Lictor.
//!
//! `side-by-side` runs the built agent, a bare server that sends the same bytes, and (where `CONSUL_BIN`
//! names one) a Consul, drives them in turns with one load generator, and prints what each request cost
//! the server in CPU time. The turns are short and interleaved, so that whatever else the machine does
//! hits all of them alike: the ratios of one run hold, absolute numbers only on a quiet machine.
//!
//! `failover` runs three servers and a client agent, takes the leader away again and again, and prints for how long
//! no write through the agent was acknowledged.
//!
//! | module | what it is |
//! |---|---|
//! | [`built`] | the binary that is measured |
//! | [`subject`] | a server process under test: start, CPU time, memory, bytes written |
//! | [`floor`] | the bare servers: hyper, UDP, parked sockets, and raw flushes |
//! | [`load`] | closed-loop load over HTTP and DNS |
//! | [`workload`] | what is asked, and the catalog it is asked of |
//! | [`report`] | medians, ranges, tables |
//! | [`world`] | a node and a front in memory, for the criterion benchmarks of single functions |

pub mod built;
pub mod floor;
pub mod load;
pub mod report;
pub mod subject;
pub mod workload;
pub mod world;
