//! The deserializer.

use super::{Error, MAX_DEPTH};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// What a type byte and its length announce.
enum Head<'de> {
    Nil,
    Bool(bool),
    Uint(u64),
    Int(i64),
    F32(f32),
    F64(f64),
    Raw(&'de [u8]),
    Array(usize),
    Map(usize),
}

/// Reads values off the front of a byte slice.
pub(super) struct Decoder<'de> {
    rest: &'de [u8],
    depth: usize,
}

impl<'de> Decoder<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Decoder { rest: bytes, depth: 0 }
    }

    pub(super) fn rest(self) -> &'de [u8] {
        self.rest
    }

    fn take(&mut self, len: usize) -> Result<&'de [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn len8(&mut self) -> Result<usize, Error> {
        Ok(usize::from(self.fixed::<1>()?[0]))
    }

    fn len16(&mut self) -> Result<usize, Error> {
        Ok(usize::from(u16::from_be_bytes(self.fixed()?)))
    }

    fn len32(&mut self) -> Result<usize, Error> {
        usize::try_from(u32::from_be_bytes(self.fixed()?)).map_err(|_| Error::Truncated)
    }

    /// An item takes at least one byte, so a longer array is a lie.
    fn array(&self, len: usize) -> Result<Head<'de>, Error> {
        if len > self.rest.len() { Err(Error::Truncated) } else { Ok(Head::Array(len)) }
    }

    fn map(&self, len: usize) -> Result<Head<'de>, Error> {
        if len > self.rest.len() / 2 { Err(Error::Truncated) } else { Ok(Head::Map(len)) }
    }

    fn raw(&mut self, len: usize) -> Result<Head<'de>, Error> {
        Ok(Head::Raw(self.take(len)?))
    }

    fn head(&mut self) -> Result<Head<'de>, Error> {
        let [marker] = self.fixed()?;
        match marker {
            0x00..=0x7f => Ok(Head::Uint(marker.into())),
            0x80..=0x8f => self.map(usize::from(marker & 0x0f)),
            0x90..=0x9f => self.array(usize::from(marker & 0x0f)),
            0xa0..=0xbf => self.raw(usize::from(marker & 0x1f)),
            0xc0 => Ok(Head::Nil),
            0xc2 => Ok(Head::Bool(false)),
            0xc3 => Ok(Head::Bool(true)),
            0xc4 | 0xd9 => {
                let len = self.len8()?;
                self.raw(len)
            }
            0xc5 | 0xda => {
                let len = self.len16()?;
                self.raw(len)
            }
            0xc6 | 0xdb => {
                let len = self.len32()?;
                self.raw(len)
            }
            0xca => Ok(Head::F32(f32::from_be_bytes(self.fixed()?))),
            0xcb => Ok(Head::F64(f64::from_be_bytes(self.fixed()?))),
            0xcc => Ok(Head::Uint(u8::from_be_bytes(self.fixed()?).into())),
            0xcd => Ok(Head::Uint(u16::from_be_bytes(self.fixed()?).into())),
            0xce => Ok(Head::Uint(u32::from_be_bytes(self.fixed()?).into())),
            0xcf => Ok(Head::Uint(u64::from_be_bytes(self.fixed()?))),
            0xd0 => Ok(Head::Int(i8::from_be_bytes(self.fixed()?).into())),
            0xd1 => Ok(Head::Int(i16::from_be_bytes(self.fixed()?).into())),
            0xd2 => Ok(Head::Int(i32::from_be_bytes(self.fixed()?).into())),
            0xd3 => Ok(Head::Int(i64::from_be_bytes(self.fixed()?))),
            0xdc => {
                let len = self.len16()?;
                self.array(len)
            }
            0xdd => {
                let len = self.len32()?;
                self.array(len)
            }
            0xde => {
                let len = self.len16()?;
                self.map(len)
            }
            0xdf => {
                let len = self.len32()?;
                self.map(len)
            }
            0xe0..=0xff => Ok(Head::Int((marker as i8).into())),
            0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => Err(Error::Marker(marker)),
        }
    }

    /// Takes a nil if one is next.
    fn nil(&mut self) -> bool {
        match self.rest {
            [0xc0, rest @ ..] => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Passes over one value of any depth, without recursion.
    pub(super) fn skip_value(&mut self) -> Result<(), Error> {
        let mut left: u64 = 1;
        while left > 0 {
            left -= 1;
            // Lengths are below the bytes that are left, so the sum cannot overflow.
            match self.head()? {
                Head::Array(len) => left += len as u64,
                Head::Map(len) => left += 2 * len as u64,
                _ => {}
            }
        }
        Ok(())
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth == MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        self.depth += 1;
        let out = read(self);
        self.depth -= 1;
        out
    }

    /// Hands an array to the visitor, and skips what the visitor leaves.
    fn visit_array<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.nested(|decoder| {
            let mut items = Items { decoder, left: len };
            let out = visitor.visit_seq(&mut items)?;
            for _ in 0..items.left {
                items.decoder.skip_value()?;
            }
            Ok(out)
        })
    }

    fn visit_map<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.nested(|decoder| {
            let mut items = Items { decoder, left: len };
            let out = visitor.visit_map(&mut items)?;
            for _ in 0..items.left {
                items.decoder.skip_value()?;
                items.decoder.skip_value()?;
            }
            Ok(out)
        })
    }

    fn visit<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.head()? {
            Head::Nil => visitor.visit_unit(),
            Head::Bool(value) => visitor.visit_bool(value),
            Head::Uint(value) => visitor.visit_u64(value),
            Head::Int(value) => visitor.visit_i64(value),
            Head::F32(value) => visitor.visit_f32(value),
            Head::F64(value) => visitor.visit_f64(value),
            Head::Raw(bytes) => match core::str::from_utf8(bytes) {
                Ok(text) => visitor.visit_borrowed_str(text),
                Err(_) => visitor.visit_borrowed_bytes(bytes),
            },
            Head::Array(len) => self.visit_array(len, visitor),
            Head::Map(len) => self.visit_map(len, visitor),
        }
    }
}

/// Reads integers of any width; nil is zero, and a float is refused by the visitor.
macro_rules! integers {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            if self.nil() { visitor.visit_u64(0) } else { self.visit(visitor) }
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = Error;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit(visitor)
    }

    integers!(deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64);
    integers!(deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64);

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.nil() { visitor.visit_bool(false) } else { self.visit(visitor) }
    }
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.nil() { visitor.visit_f32(0.0) } else { self.visit(visitor) }
    }
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.nil() { visitor.visit_f64(0.0) } else { self.visit(visitor) }
    }
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.nil() { visitor.visit_borrowed_str("") } else { self.visit(visitor) }
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.head()? {
            Head::Nil => visitor.visit_borrowed_bytes(&[]),
            Head::Raw(bytes) => visitor.visit_borrowed_bytes(bytes),
            Head::Array(len) => self.visit_array(len, visitor),
            _ => Err(Error::custom("expected a byte string")),
        }
    }
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.nil() { visitor.visit_none() } else { visitor.visit_some(self) }
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.nil() { self.visit_array(0, visitor) } else { self.visit(visitor) }
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.nil() { self.visit_map(0, visitor) } else { self.visit(visitor) }
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.rest.first() {
            Some(0x81) => {
                self.rest = &self.rest[1..];
                self.nested(|decoder| visitor.visit_enum(Variant { decoder, content: true }))
            }
            _ => visitor.visit_enum(Variant { decoder: self, content: false }),
        }
    }
    /// The name of a field or variant. A key that is not text names nothing of ours.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let before = self.rest;
        match self.head()? {
            Head::Raw(bytes) => visitor.visit_borrowed_bytes(bytes),
            _ => {
                self.rest = before;
                self.skip_value()?;
                visitor.visit_borrowed_bytes(&[])
            }
        }
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip_value()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { i128 u128 char unit unit_struct tuple tuple_struct }
}

/// The items of an array or a map that are still to be read.
struct Items<'d, 'de> {
    decoder: &'d mut Decoder<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(&mut *self.decoder)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// An enum: its name, and the content if it came as a map of one.
struct Variant<'d, 'de> {
    decoder: &'d mut Decoder<'de>,
    content: bool,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let name = seed.deserialize(&mut *self.decoder)?;
        Ok((name, self))
    }
}

impl<'de> Variant<'_, 'de> {
    fn need_content(&self) -> Result<(), Error> {
        if self.content { Ok(()) } else { Err(de::Error::custom("the variant lacks its content")) }
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        if self.content { self.decoder.skip_value() } else { Ok(()) }
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.need_content()?;
        seed.deserialize(&mut *self.decoder)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.need_content()?;
        self.decoder.deserialize_seq(visitor)
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.need_content()?;
        self.decoder.deserialize_map(visitor)
    }
}
