//! Montage: channels as sums of others, with their signs.

/// The channels of a recipe before its first step and, where a bipolar step follows, the pairs after it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Montage {
    /// Channels before the first step; terms are indices of inputs.
    pub(crate) rows: Vec<Row>,
    /// Channels after the bipolar step; terms are indices of `rows`.
    pub(crate) pairs: Option<Vec<Row>>,
}

/// A channel as a sum of others.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// The name as the recipe writes it.
    pub(crate) name: String,
    /// Sign and index of what is added.
    pub(crate) terms: Vec<(f64, usize)>,
}
