//! `invariant!`: our own broken assumptions stop the node, in release builds too.

/// Panics when an assumption of ours does not hold. Never used on a peer's or a user's input.
///
/// A half-dead node is worse than a dead one: the driver turns the panic into an abort, and the
/// next start recovers from disk.
#[macro_export]
macro_rules! invariant {
    ($cond:expr $(,)?) => {
        if !$cond {
            panic!(concat!("invariant broken: ", stringify!($cond)));
        }
    };
    ($cond:expr, $($arg:tt)+) => {
        if !$cond {
            panic!("invariant broken: {}: {}", stringify!($cond), format_args!($($arg)+));
        }
    };
}
