//! The one integration test binary.

mod edf_writer;
mod formats;
mod shared;
