//! The life of the process: files, lock, threads, signals.

mod banner;
mod consul_files;
mod data_dir;
mod ports;
mod process;
mod run;
mod signals;
mod sockets;

pub use run::{Launch, run};
