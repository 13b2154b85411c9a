//! From raw integers to the processed signal: channels are matched, missing ones interpolated, and the recipe's steps run
//! in the written order.
//!
//! Arithmetic is double, sample values enter as float32 µV and leave as float32 (`EEG_FACTS` section 1). The result is the
//! same to the last bit for every number of threads and on every processor: no transcendental function of the
//! standard library, no fused multiply-add, every sum in an order that depends on lengths only. Nothing here sees a
//! path or a file. Each algorithm names the function of `SciPy` or MNE that it reproduces; `tests/golden` holds it to that.

#![expect(
    clippy::inline_always,
    reason = "kernels must be inlined into loops over lanes to be vectorised, in every crate that calls them"
)]

mod apply;
mod buffer;
mod design;
mod early;
mod electrodes;
mod fft;
mod filter;
mod folded;
mod fourier;
mod group;
mod halved;
mod interpolate;
mod lane;
mod memory;
mod montage;
mod quality;
mod resample;
mod roots;
mod scale;
mod select;
mod settle;
mod shape;
mod step;
#[cfg(test)]
mod test_memory;
#[cfg(test)]
mod test_recordings;
mod wide;

pub use apply::{Lanes, apply, apply_in, apply_in_double, apply_to_channel};
pub use electrodes::has_position;
pub use memory::{Pieces, peak_bytes};
pub use quality::quality;
pub use select::{Selection, select};
pub use shape::{Shape, Usable, files, shape, usable};
pub use step::output_length;
