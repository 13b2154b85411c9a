//! The recordings that a profile demands, as names with their splits.

use crate::model::id::Split;
use crate::model::inventory::Inventory;
use crate::model::manifest::{Manifest, Member};
use crate::model::settings::Settings;
use crate::store::ManifestState;

/// Recordings by name, sorted; each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(Vec<Member>);

impl Members {
    /// The members of the dataset, or those recorded where it cannot be reached.
    #[must_use]
    pub fn new(settings: &Settings, inventory: Option<&Inventory>, manifest: &ManifestState) -> Self {
        match (inventory, manifest) {
            (Some(inventory), _) => {
                let member = |(name, split): (&str, Split)| Member { name: name.to_owned(), split };
                Self::sorted(inventory.profile().iter().map(|r| (r.name(), r.split)).map(member).collect())
            }
            (None, ManifestState::Read(manifest)) => Self::recorded(settings, manifest),
            (None, _) => Self::default(),
        }
    }

    /// The recordings that a manifest was made for, of the splits in force.
    #[must_use]
    pub fn recorded(settings: &Settings, manifest: &Manifest) -> Self {
        let members = manifest.membership.iter().filter(|member| settings.splits.contains(&member.split));
        Self::sorted(members.cloned().collect())
    }

    fn sorted(mut members: Vec<Member>) -> Self {
        members.sort();
        members.dedup_by(|a, b| a.name == b.name);
        Self(members)
    }

    /// The split of a member; nothing for what is none.
    #[must_use]
    pub fn split(&self, name: &str) -> Option<Split> {
        let found = self.0.binary_search_by(|member| member.name.as_str().cmp(name));
        found.ok().map(|index| self.0[index].split)
    }

    /// True where `name` is a member.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.split(name).is_some()
    }

    /// The members in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.0.iter()
    }

    /// Their names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|member| member.name.as_str())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
