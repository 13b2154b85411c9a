//! The canonical encoding that fingerprints are hashed over. Written by hand, never serde output.
//!
//! Rules: a text or a list is preceded by its length (u64, little-endian); an enum is one numbered
//! byte, then its fields; a float is its IEEE 754 bits with −0 written as 0; a rate is its reduced
//! fraction. A struct is a sequence of (field number, value) closed by field number 0, so a field that is
//! added later is encoded only when it differs from the value that reproduces the old bytes.

use crate::model::id::Digest;
use crate::model::units::{Rate, Seconds};

/// A value with one and only one encoding.
pub trait Canonical {
    /// Appends the encoding of `self`.
    fn encode(&self, encoder: &mut Encoder);
}

/// Collects canonical bytes.
#[derive(Debug, Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    /// Starts an encoding for one purpose; two purposes never share a digest.
    #[must_use]
    pub fn new(purpose: &str) -> Self {
        let mut encoder = Self::default();
        encoder.text(purpose);
        encoder
    }

    /// Returns the digest of everything encoded so far.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// The number of an enum's variant.
    pub fn tag(&mut self, number: u8) {
        self.0.push(number);
    }

    /// A whole number.
    pub fn number(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A float by its bits. NaN has been refused where the recipe was made.
    pub fn float(&mut self, value: f64) {
        debug_assert!(!value.is_nan(), "NaN in a recipe");
        let value = if value == 0.0 { 0.0 } else { value };
        self.number(value.to_bits());
    }

    /// A text with its length in bytes.
    pub fn text(&mut self, value: &str) {
        self.number(value.len() as u64);
        self.0.extend_from_slice(value.as_bytes());
    }

    /// A list with its length.
    pub fn list<T: Canonical>(&mut self, values: impl ExactSizeIterator<Item = T>) {
        self.number(values.len() as u64);
        values.for_each(|value| value.encode(self));
    }

    /// A field of a struct.
    pub fn field(&mut self, number: u8, value: &impl Canonical) {
        debug_assert!(number > 0, "field number 0 closes a struct");
        self.tag(number);
        value.encode(self);
    }

    /// Closes a struct.
    pub fn end(&mut self) {
        self.tag(0);
    }
}

impl<T: Canonical + ?Sized> Canonical for &T {
    fn encode(&self, encoder: &mut Encoder) {
        (**self).encode(encoder);
    }
}

impl Canonical for str {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.text(self);
    }
}

impl Canonical for String {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.text(self);
    }
}

impl Canonical for f64 {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.float(*self);
    }
}

impl Canonical for u64 {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.number(*self);
    }
}

impl Canonical for Rate {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.number(self.numerator());
        encoder.number(self.denominator());
    }
}

impl Canonical for Seconds {
    fn encode(&self, encoder: &mut Encoder) {
        let (numerator, denominator) = self.as_fraction();
        encoder.text(&format!("{numerator}/{denominator}"));
    }
}

impl<T: Canonical> Canonical for Option<T> {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.tag(u8::from(self.is_some()));
        if let Some(value) = self {
            value.encode(encoder);
        }
    }
}

impl<T: Canonical> Canonical for Vec<T> {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.list(self.iter());
    }
}

impl<A: Canonical, B: Canonical> Canonical for (A, B) {
    fn encode(&self, encoder: &mut Encoder) {
        self.0.encode(encoder);
        self.1.encode(encoder);
    }
}

impl<K: Canonical, V: Canonical> Canonical for std::collections::BTreeMap<K, V> {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.list(self.iter());
    }
}

impl<T: Canonical> Canonical for std::collections::BTreeSet<T> {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.list(self.iter());
    }
}
