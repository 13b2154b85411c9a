//! L1, pure: layers of YAML text become one checked `Settings` with its Recipe, or every problem at once.
//!
//! This module never opens a file and reads no environment: `ops::load` hands it texts and a map. The
//! way is `Layer` (one origin, values with places) → `node` (figment merges, every value keeps its place) →
//! one reader a section (each notes problems and goes on) → `Resolution`.

mod annotations;
mod cache;
mod check;
mod dataset;
mod expand;
mod labels;
mod layer;
mod node;
mod outline;
mod paths;
mod recipe;
mod resolve;
mod sections;
mod spans;
mod spelling;
mod splits;
mod steps;
mod suggest;
mod yaml;

pub use expand::Environment;
pub use layer::{Layer, LayerKind};
pub use outline::{Claim, Outline, Setting};
pub use resolve::{Resolution, Surroundings, dataset_name, defaults, resolve, shown_path};
pub use suggest::{did_you_mean, quoted};
