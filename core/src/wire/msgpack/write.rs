//! The serializer.

use super::Error;
use alloc::vec::Vec;
use serde::ser::{self, Error as _, Serialize};

/// Writes one value.
pub(super) struct Encoder<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) sparse: Option<Sparse>,
}

/// Which fields are left out when they are zero, false, nil or the empty string.
#[derive(Clone, Copy)]
pub(super) struct Sparse {
    /// By the name of their struct; of these structs no length is known in advance.
    pub(super) structs: fn(&'static str) -> bool,
    /// And by their own name.
    pub(super) fields: fn(&'static str) -> bool,
}

/// Nil, the empty string, zero, false.
const NOTHING: [u8; 4] = [0xc0, 0xa0, 0x00, 0xc2];

/// A length that the format cannot say; nothing in memory gets there.
fn length(len: usize) -> Result<u32, Error> {
    u32::try_from(len).map_err(|_| Error::custom("too long for msgpack"))
}

fn put_uint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=0x7f => out.push(value as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, value as u8]),
        0x100..=0xffff => {
            out.push(0xcd);
            out.extend_from_slice(&(value as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend_from_slice(&(value as u32).to_be_bytes());
        }
        _ => {
            out.push(0xcf);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

fn put_int(out: &mut Vec<u8>, value: i64) {
    match value {
        0.. => put_uint(out, value as u64),
        -32..0 => out.push(value as i8 as u8),
        -0x80..-32 => out.extend_from_slice(&[0xd0, value as i8 as u8]),
        -0x8000..-0x80 => {
            out.push(0xd1);
            out.extend_from_slice(&(value as i16).to_be_bytes());
        }
        -0x8000_0000..-0x8000 => {
            out.push(0xd2);
            out.extend_from_slice(&(value as i32).to_be_bytes());
        }
        _ => {
            out.push(0xd3);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// A length head in its three widths: in the type byte (below `fix_limit`), 16 bits, 32 bits.
fn put_head(out: &mut Vec<u8>, len: u32, fix: u8, fix_limit: u32, wide16: u8, wide32: u8) {
    if len < fix_limit {
        out.push(fix | len as u8);
    } else if let Ok(len) = u16::try_from(len) {
        out.push(wide16);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(wide32);
        out.extend_from_slice(&len.to_be_bytes());
    }
}

fn put_raw(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Error> {
    put_head(out, length(bytes.len())?, 0xa0, 32, 0xda, 0xdb);
    out.extend_from_slice(bytes);
    Ok(())
}

fn put_array_head(out: &mut Vec<u8>, len: u32) {
    put_head(out, len, 0x90, 16, 0xdc, 0xdd);
}

fn put_map_head(out: &mut Vec<u8>, len: u32) {
    put_head(out, len, 0x80, 16, 0xde, 0xdf);
}

/// Writes the items of an array or a map.
pub(super) struct Items<'a> {
    out: &'a mut Vec<u8>,
    sparse: Option<Sparse>,
    /// Set when the length was not known: where the head goes, and the items so far.
    open: Option<(usize, u32)>,
}

impl<'a> Items<'a> {
    fn new(to: Encoder<'a>, len: Option<usize>, head: fn(&mut Vec<u8>, u32)) -> Result<Self, Error> {
        let Encoder { out, sparse } = to;
        let open = match len {
            Some(len) => {
                head(out, length(len)?);
                None
            }
            None => Some((out.len(), 0)),
        };
        Ok(Items { out, sparse, open })
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if let Some((_, count)) = &mut self.open {
            *count = length(*count as usize + 1)?;
        }
        self.value(value)
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(Encoder { out: self.out, sparse: self.sparse })
    }

    /// A field of a struct. Only a sparse one has an open length; one byte of room is for its head.
    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        let start = self.out.len();
        put_raw(self.out, key.as_bytes())?;
        let behind = self.out.len();
        self.value(value)?;
        if let Some((_, count)) = &mut self.open {
            match self.out.get(behind..) {
                Some([byte]) if NOTHING.contains(byte) && self.sparse.is_some_and(|s| (s.fields)(key)) => {
                    self.out.truncate(start);
                }
                _ => *count += 1,
            }
        }
        Ok(())
    }

    /// Writes the head of a sparse struct, for which a byte was left.
    fn close_struct(self) -> Result<(), Error> {
        match self.open {
            Some((at, count @ 0..16)) => self.out[at - 1] = 0x80 | count as u8,
            Some((at, count)) => {
                let mut head = Vec::new();
                put_map_head(&mut head, count);
                self.out.splice(at - 1..at, head);
            }
            None => {}
        }
        Ok(())
    }

    fn close(self, head: fn(&mut Vec<u8>, u32)) -> Result<(), Error> {
        if let Some((at, count)) = self.open {
            let mut bytes = Vec::new();
            head(&mut bytes, count);
            self.out.splice(at..at, bytes);
        }
        Ok(())
    }
}

impl<'a> ser::Serializer for Encoder<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Items<'a>;
    type SerializeStruct = Items<'a>;
    type SerializeStructVariant = Items<'a>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, v: bool) -> Result<(), Error> {
        self.out.push(if v { 0xc3 } else { 0xc2 });
        Ok(())
    }
    fn serialize_i8(self, v: i8) -> Result<(), Error> {
        self.serialize_i64(v.into())
    }
    fn serialize_i16(self, v: i16) -> Result<(), Error> {
        self.serialize_i64(v.into())
    }
    fn serialize_i32(self, v: i32) -> Result<(), Error> {
        self.serialize_i64(v.into())
    }
    fn serialize_i64(self, v: i64) -> Result<(), Error> {
        put_int(self.out, v);
        Ok(())
    }
    fn serialize_u8(self, v: u8) -> Result<(), Error> {
        self.serialize_u64(v.into())
    }
    fn serialize_u16(self, v: u16) -> Result<(), Error> {
        self.serialize_u64(v.into())
    }
    fn serialize_u32(self, v: u32) -> Result<(), Error> {
        self.serialize_u64(v.into())
    }
    fn serialize_u64(self, v: u64) -> Result<(), Error> {
        put_uint(self.out, v);
        Ok(())
    }
    fn serialize_f32(self, v: f32) -> Result<(), Error> {
        self.out.push(0xca);
        self.out.extend_from_slice(&v.to_be_bytes());
        Ok(())
    }
    fn serialize_f64(self, v: f64) -> Result<(), Error> {
        self.out.push(0xcb);
        self.out.extend_from_slice(&v.to_be_bytes());
        Ok(())
    }
    fn serialize_char(self, v: char) -> Result<(), Error> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }
    fn serialize_str(self, v: &str) -> Result<(), Error> {
        put_raw(self.out, v.as_bytes())
    }
    fn serialize_bytes(self, v: &[u8]) -> Result<(), Error> {
        put_raw(self.out, v)
    }
    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Error> {
        self.out.push(0xc0);
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        put_map_head(self.out, 1);
        put_raw(self.out, variant.as_bytes())?;
        value.serialize(self)
    }
    fn serialize_seq(self, len: Option<usize>) -> Result<Items<'a>, Error> {
        Items::new(self, len, put_array_head)
    }
    fn serialize_tuple(self, len: usize) -> Result<Items<'a>, Error> {
        self.serialize_seq(Some(len))
    }
    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Items<'a>, Error> {
        self.serialize_seq(Some(len))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Items<'a>, Error> {
        put_map_head(self.out, 1);
        put_raw(self.out, variant.as_bytes())?;
        self.serialize_seq(Some(len))
    }
    fn serialize_map(self, len: Option<usize>) -> Result<Items<'a>, Error> {
        Items::new(self, len, put_map_head)
    }
    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Items<'a>, Error> {
        if !self.sparse.is_some_and(|sparse| (sparse.structs)(name)) {
            return self.serialize_map(Some(len));
        }
        self.out.push(0);
        self.serialize_map(None)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Items<'a>, Error> {
        put_map_head(self.out, 1);
        put_raw(self.out, variant.as_bytes())?;
        self.serialize_map(Some(len))
    }
}

impl ser::SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = Error;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }
    fn end(self) -> Result<(), Error> {
        self.close(put_array_head)
    }
}

impl ser::SerializeTuple for Items<'_> {
    type Ok = ();
    type Error = Error;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.value(value)
    }
    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

impl ser::SerializeTupleStruct for Items<'_> {
    type Ok = ();
    type Error = Error;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.value(value)
    }
    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

impl ser::SerializeTupleVariant for Items<'_> {
    type Ok = ();
    type Error = Error;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.value(value)
    }
    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

impl ser::SerializeMap for Items<'_> {
    type Ok = ();
    type Error = Error;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.item(key)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.value(value)
    }
    fn end(self) -> Result<(), Error> {
        self.close(put_map_head)
    }
}

impl ser::SerializeStruct for Items<'_> {
    type Ok = ();
    type Error = Error;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.field(key, value)
    }
    fn end(self) -> Result<(), Error> {
        self.close_struct()
    }
}

impl ser::SerializeStructVariant for Items<'_> {
    type Ok = ();
    type Error = Error;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        put_raw(self.out, key.as_bytes())?;
        self.value(value)
    }
    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}
