//! L0, the words of the project: values that every layer speaks in.
//!
//! Nothing here touches the world and nothing here imports another module of ours. A value that
//! could be built wrongly has a fallible constructor and no setter; after that it is trusted.

pub mod artifact;
pub mod canonical;
pub mod channel;
pub mod code;
pub mod dataset;
pub mod failure;
pub mod id;
pub mod inventory;
pub mod manifest;
pub mod order;
pub mod quality;
pub mod recipe;
pub mod recording;
pub mod settings;
pub mod shard;
pub mod stem;
pub mod units;
pub mod window;

pub use failure::{Failure, FailureClass, Note};
pub use id::{Digest, ProfileName, RecordingId, Split, VersionName};
pub use recipe::Recipe;
pub use units::{Rate, Seconds};
