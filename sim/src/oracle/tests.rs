//! The judges themselves judged: right histories pass, planted violations are found.

mod build;
mod indexed;
mod linear;
mod restore;
mod watch;
