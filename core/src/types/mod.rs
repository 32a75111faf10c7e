//! Placeholder: the module lands with its first part.
