//! Lane: the number type of every kernel, one channel (`f64`) or four side by side (`Quad`).
//!
//! All operations work element by element, so what comes out of a channel never depends on its neighbours in
//! the lanes, on the processor's vector width or on threads. There is no fused multiply-add.

use crate::dsp::fft::Point;
use crate::dsp::group::Stored;
use std::ops::{Add, Div, Mul, Sub};

/// One or several channels' samples at one instant.
pub(crate) trait Lane:
    Copy
    + Default
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Mul<f64, Output = Self>
{
    /// The same channels as functions compiled for AVX2 hold them; same layout.
    type Wide: Lane;
    /// A complex number of them as functions compiled for AVX-512 hold it; same layout.
    type Widest: Point;
    /// Number of channels.
    const WIDTH: usize;

    /// Returns a lane that holds `value` for every channel.
    fn splat(value: f64) -> Self;

    /// Returns a lane of the value of every channel.
    fn from_channels(value: impl Fn(usize) -> f64) -> Self;

    /// Returns the value of a channel.
    fn get(&self, channel: usize) -> f64;

    /// Sets the value of a channel.
    fn set(&mut self, channel: usize, value: f64);

    /// Turns four samples of every channel, channel by channel, into four lanes.
    #[inline(always)]
    fn side_by_side(channels: [[f64; 4]; 4]) -> [Self; 4] {
        std::array::from_fn(|sample| Self::from_channels(|channel| channels[channel][sample]))
    }

    /// The way back of `side_by_side`; channels beyond the width are zero.
    #[inline(always)]
    fn apart(four: [Self; 4]) -> [[f64; 4]; 4] {
        let mut channels = [[0.0; 4]; 4];
        for (channel, samples) in channels.iter_mut().enumerate().take(Self::WIDTH) {
            *samples = four.map(|sample| sample.get(channel));
        }
        channels
    }

    /// As `apart`, rounded to single precision; what is not finite then becomes 0.
    #[inline(always)]
    fn apart_as_floats(four: [Self; 4]) -> [[f32; 4]; 4] {
        Self::apart(four).map(|samples| samples.map(f32::of))
    }

    /// Applies `f` to every channel.
    #[must_use]
    fn map(self, f: impl Fn(f64) -> f64) -> Self;

    /// Limits every channel to ±limit; what is no number stays.
    #[must_use]
    fn limited(self, limit: f64) -> Self;
}

impl Lane for f64 {
    type Wide = Self;
    type Widest = [Self; 2];
    const WIDTH: usize = 1;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn from_channels(value: impl Fn(usize) -> f64) -> Self {
        value(0)
    }

    #[inline(always)]
    fn get(&self, _: usize) -> f64 {
        *self
    }

    #[inline(always)]
    fn set(&mut self, _: usize, value: f64) {
        *self = value;
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        f(self)
    }

    #[inline(always)]
    fn limited(self, limit: f64) -> Self {
        limited(self, limit)
    }
}

/// Four channels. The alignment lets a vector register of 256 bits load it whole.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(align(32))]
pub(crate) struct Quad(pub(crate) [f64; 4]);

macro_rules! elementwise {
    ($trait:ident $function:ident $operator:tt) => {
        impl $trait for Quad {
            type Output = Self;

            #[inline(always)]
            fn $function(self, other: Self) -> Self {
                let (a, b) = (self.0, other.0);
                Self([a[0] $operator b[0], a[1] $operator b[1], a[2] $operator b[2], a[3] $operator b[3]])
            }
        }
    };
}

elementwise!(Add add +);
elementwise!(Sub sub -);
elementwise!(Mul mul *);
elementwise!(Div div /);

impl Mul<f64> for Quad {
    type Output = Self;

    #[inline(always)]
    fn mul(self, factor: f64) -> Self {
        let a = self.0;
        Self([a[0] * factor, a[1] * factor, a[2] * factor, a[3] * factor])
    }
}

impl Lane for Quad {
    #[cfg(target_arch = "x86_64")]
    type Wide = crate::dsp::wide::Register;
    #[cfg(target_arch = "x86_64")]
    type Widest = crate::dsp::wide::WideRegister;
    #[cfg(not(target_arch = "x86_64"))]
    type Wide = Self;
    #[cfg(not(target_arch = "x86_64"))]
    type Widest = [Self; 2];
    const WIDTH: usize = 4;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    fn from_channels(value: impl Fn(usize) -> f64) -> Self {
        Self([value(0), value(1), value(2), value(3)])
    }

    #[inline(always)]
    fn get(&self, channel: usize) -> f64 {
        self.0[channel]
    }

    #[inline(always)]
    fn set(&mut self, channel: usize, value: f64) {
        self.0[channel] = value;
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let a = self.0;
        Self([f(a[0]), f(a[1]), f(a[2]), f(a[3])])
    }

    #[inline(always)]
    fn limited(self, limit: f64) -> Self {
        let a = self.0;
        Self([limited(a[0], limit), limited(a[1], limit), limited(a[2], limit), limited(a[3], limit)])
    }
}

/// `f64::clamp` in a form that becomes two instructions.
#[inline(always)]
fn limited(x: f64, limit: f64) -> f64 {
    let above = if x < -limit { -limit } else { x };
    if above > limit { limit } else { above }
}
