//! `keygen`: a key for gossip encryption.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Body, Command, Context, Outcome};
use crate::client::reason;

pub(super) static COMMAND: Command = Command {
    name: "keygen",
    synopsis: "Generates a new encryption key",
    usage: "",
    about: "
Prints a new 32-byte key in base 64, in the form that `encrypt` of the agent's
configuration wants.

    $ {prog} keygen",
    body: Body::Leaf { api: &[], own: &[], run },
};

/// Length that selects AES-256 for gossip.
const KEY_BYTES: usize = 32;

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    let mut key = [0u8; KEY_BYTES];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut f| f.read_exact(&mut key))
        .map_err(|e| format!("Error reading random data: /dev/urandom: {}", reason(&e)))?;
    cx.shell.say(BASE64.encode(key));
    Ok(0)
}
