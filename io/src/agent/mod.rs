//! The life of the process: files, lock, threads, signals.

mod banner;
mod consul_files;
mod data_dir;
mod pid_file;
mod ports;
mod process;
mod refusals;
mod run;
mod signals;
mod sockets;
mod systemd;

pub use run::{Launch, run};
