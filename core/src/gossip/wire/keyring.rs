//! The keys of a cluster, and the AES-GCM envelope made with them.
//!
//! A sealed payload is a version byte, a random nonce of 12 bytes, the ciphertext and a tag of 16.
//! Version 1 is what is sent; version 0, whose content is padded to 16 (PKCS #7), is read as well.
//! The first key of the ring seals, any key opens: that is how keys are rotated without a stop.

use super::WireError;
use crate::rng::Rng;
use aes_gcm::aead::array::Array;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::aes::Aes192;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

const NONCE: usize = 12;
const TAG: usize = 16;
const BLOCK: usize = 16;
/// The version that is sent: no padding.
const VERSION: u8 = 1;
const PADDED_VERSION: u8 = 0;
/// Bytes that sealing adds.
pub(super) const SEAL_OVERHEAD: usize = 1 + NONCE + TAG;
/// The most keys in a ring.
const MAX_KEYS: usize = 64;

#[derive(Clone)]
enum Cipher {
    Aes128(Box<Aes128Gcm>),
    Aes192(Box<AesGcm<Aes192, U12>>),
    Aes256(Box<Aes256Gcm>),
}

/// One key: 16, 24 or 32 bytes, for AES-128, AES-192 or AES-256.
#[derive(Clone)]
pub struct Key {
    bytes: Vec<u8>,
    cipher: Cipher,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Key {}

/// Why the keyring stays as it is. The texts are those that memberlist's operators see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Not 16, 24 or 32 bytes.
    Size,
    /// There are 64 keys already.
    TooMany,
    /// No such key.
    Unknown,
    /// The key that seals cannot be removed: use another one first.
    Primary,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyError::Size => "key size must be 16, 24 or 32 bytes",
            KeyError::TooMany => "the keyring holds 64 keys already: remove one first",
            KeyError::Unknown => "Requested key is not in the keyring",
            KeyError::Primary => "Removing the primary key is not allowed",
        })
    }
}

impl core::error::Error for KeyError {}

impl Key {
    /// A key from its bytes.
    pub fn new(bytes: &[u8]) -> Result<Key, KeyError> {
        let cipher = match bytes.len() {
            16 => Aes128Gcm::new_from_slice(bytes).map(|c| Cipher::Aes128(Box::new(c))),
            24 => AesGcm::<Aes192, U12>::new_from_slice(bytes).map(|c| Cipher::Aes192(Box::new(c))),
            32 => Aes256Gcm::new_from_slice(bytes).map(|c| Cipher::Aes256(Box::new(c))),
            _ => return Err(KeyError::Size),
        };
        let cipher = cipher.map_err(|_| KeyError::Size)?;
        Ok(Key { bytes: bytes.to_vec(), cipher })
    }

    /// The secret itself, for the keyring file and the answers to operators.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn seal(&self, nonce: &[u8; NONCE], payload: Payload<'_, '_>) -> Option<Vec<u8>> {
        let nonce = Array::from(*nonce);
        match &self.cipher {
            Cipher::Aes128(cipher) => cipher.encrypt(&nonce, payload),
            Cipher::Aes192(cipher) => cipher.encrypt(&nonce, payload),
            Cipher::Aes256(cipher) => cipher.encrypt(&nonce, payload),
        }
        .ok()
    }

    fn open(&self, nonce: &[u8; NONCE], payload: Payload<'_, '_>) -> Option<Vec<u8>> {
        let nonce = Array::from(*nonce);
        match &self.cipher {
            Cipher::Aes128(cipher) => cipher.decrypt(&nonce, payload),
            Cipher::Aes192(cipher) => cipher.decrypt(&nonce, payload),
            Cipher::Aes256(cipher) => cipher.decrypt(&nonce, payload),
        }
        .ok()
    }
}

/// The keys; the first one seals. Empty: no encryption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyring {
    keys: Vec<Key>,
}

impl Keyring {
    /// A ring of these keys, the first one primary. Doubles are dropped.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Result<Keyring, KeyError> {
        let mut ring = Keyring::default();
        for key in keys {
            ring.install(key)?;
        }
        Ok(ring)
    }

    /// Whether there is no encryption.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys, the primary one first.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Adds a key, which opens from now on. A known key changes nothing.
    pub fn install(&mut self, key: Key) -> Result<(), KeyError> {
        if self.keys.contains(&key) {
            return Ok(());
        }
        if self.keys.len() == MAX_KEYS {
            return Err(KeyError::TooMany);
        }
        self.keys.push(key);
        Ok(())
    }

    /// Makes a known key the one that seals.
    pub fn use_key(&mut self, bytes: &[u8]) -> Result<(), KeyError> {
        let at = self.keys.iter().position(|key| key.bytes == bytes).ok_or(KeyError::Unknown)?;
        let key = self.keys.remove(at);
        self.keys.insert(0, key);
        Ok(())
    }

    /// Forgets a key that does not seal. An unknown key changes nothing.
    pub fn remove(&mut self, bytes: &[u8]) -> Result<(), KeyError> {
        if self.keys.first().is_some_and(|primary| primary.bytes == bytes) {
            return Err(KeyError::Primary);
        }
        self.keys.retain(|key| key.bytes != bytes);
        Ok(())
    }

    /// Appends the sealed form of `plain`; `aad` is authenticated with it.
    ///
    /// # Panics
    /// If the ring is empty, or `plain` beyond what AES-GCM can seal (64 GiB).
    pub(super) fn seal(&self, plain: &[u8], aad: &[u8], rng: &mut Rng, out: &mut Vec<u8>) {
        let mut nonce = [0; NONCE];
        nonce[..8].copy_from_slice(&rng.next_u64().to_le_bytes());
        nonce[8..].copy_from_slice(&rng.next_u64().to_le_bytes()[..4]);
        let sealed = self.keys.first().and_then(|key| key.seal(&nonce, Payload { msg: plain, aad }));
        invariant!(sealed.is_some(), "sealing {} bytes with {} keys", plain.len(), self.keys.len());
        out.push(VERSION);
        out.extend(nonce);
        out.extend(sealed.unwrap_or_default());
    }

    /// The content of a sealed payload.
    pub(super) fn open(&self, sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, WireError> {
        let (&version, rest) = sealed.split_first().ok_or(WireError::Empty)?;
        if version > VERSION {
            return Err(WireError::Encryption(version));
        }
        let (nonce, msg) = rest.split_first_chunk::<NONCE>().ok_or(WireError::Truncated)?;
        if msg.len() < TAG {
            return Err(WireError::Truncated);
        }
        let mut plain =
            self.keys.iter().find_map(|key| key.open(nonce, Payload { msg, aad })).ok_or(WireError::NoKey)?;
        if version == PADDED_VERSION {
            unpad(&mut plain)?;
        }
        Ok(plain)
    }
}

/// Takes the padding off: as many bytes as the last one says, 1 to 16.
fn unpad(plain: &mut Vec<u8>) -> Result<(), WireError> {
    let padding = plain.last().map_or(0, |last| usize::from(*last));
    if padding == 0 || padding > BLOCK || padding > plain.len() {
        return Err(WireError::Field("the padding of an encrypted message is damaged"));
    }
    plain.truncate(plain.len() - padding);
    Ok(())
}
