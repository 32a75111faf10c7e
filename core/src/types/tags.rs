//! The tags of a service instance.

use crate::Str;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Tags in the order given; cloning is a reference count.
///
/// None at all and an empty list are two values, as in Go: an agent that registered one and gets the other
/// back registers anew.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tags(Option<Arc<[Str]>>);

impl Tags {
    /// The tags, to be changed in place, if nobody else holds them.
    pub(crate) fn get_mut(&mut self) -> Option<&mut [Str]> {
        Arc::get_mut(self.0.as_mut()?)
    }
}

impl Tags {
    /// The same list, be it empty.
    pub fn of(tags: Option<Vec<Str>>) -> Tags {
        Tags(tags.map(Into::into))
    }

    /// Whether there is no list at all.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl Deref for Tags {
    type Target = [Str];
    fn deref(&self) -> &[Str] {
        self.0.as_deref().unwrap_or(&[])
    }
}

impl FromIterator<Str> for Tags {
    /// Of nothing: none at all.
    fn from_iter<I: IntoIterator<Item = Str>>(tags: I) -> Tags {
        let tags: Vec<Str> = tags.into_iter().collect();
        Tags((!tags.is_empty()).then(|| tags.into()))
    }
}

impl From<Vec<Str>> for Tags {
    fn from(tags: Vec<Str>) -> Tags {
        tags.into_iter().collect()
    }
}

impl<const N: usize> From<[Str; N]> for Tags {
    fn from(tags: [Str; N]) -> Tags {
        tags.into_iter().collect()
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&**self).finish()
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.as_deref().serialize(s)
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Tags, D::Error> {
        Ok(Tags(Option::<Arc<[Str]>>::deserialize(d)?))
    }
}
