//! Packets and streams between members.

use lictor_core::gossip::wire::{Envelope, MAX_MESSAGES, MAX_UNFOLDED, Message, StreamMessage, StreamReader};

pub(crate) fn gossip(data: &[u8]) {
    if let Ok(message) = Message::decode(data) {
        assert_eq!(Message::decode(&message.encode()), Ok(message));
    }
    let envelope = Envelope::default();
    if let Ok(opened) = envelope.open(data) {
        assert!(opened.messages.len() <= MAX_MESSAGES);
        let size: usize = opened.messages.iter().map(|m| m.encode().len()).sum();
        assert!(size <= 8 * (MAX_UNFOLDED + data.len()), "{size} bytes from {}", data.len());
    }
    stream(data, &envelope);
}

/// However a stream is cut, it says the same.
fn stream(data: &[u8], envelope: &Envelope) {
    let whole = StreamReader::new(true).push(data, envelope);
    let mut reader = StreamReader::new(true);
    let (front, back) = data.split_at(data.len() / 2);
    let cut = match reader.push(front, envelope) {
        Ok(None) => reader.push(back, envelope),
        early => early,
    };
    if let (Ok(Some(whole)), Ok(Some(cut))) = (&whole, &cut) {
        assert_eq!(whole, cut);
    }
    if let Ok(Some(message)) = whole {
        let written = message.encode();
        let again = StreamReader::new(true).push(&written, envelope);
        let same = matches!(&again, Ok(Some(again)) if *again == message);
        assert!(same || matches!(message, StreamMessage::User(_)), "{message:?} became {again:?}");
    }
}
