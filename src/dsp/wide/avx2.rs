//! Four channels in a vector register of 256 bits.
//!
//! Nothing here is a closure: outside of release builds one stays a function of its own, compiled without AVX.

#![expect(unsafe_code, reason = "intrinsics of AVX, in functions compiled for AVX2 only")]

use super::same;
use crate::dsp::lane::{Lane, Quad};
use std::arch::x86_64 as avx;
use std::ops::{Add, Div, Mul, Sub};

/// Four channels in a vector register. It exists within functions compiled for AVX2 only.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Register(avx::__m256d);

const _: () =
    assert!(size_of::<Register>() == size_of::<Quad>() && align_of::<Register>() == align_of::<Quad>());

macro_rules! in_register {
    ($trait:ident $function:ident $intrinsic:ident) => {
        impl $trait for Register {
            type Output = Self;

            #[inline(always)]
            fn $function(self, other: Self) -> Self {
                // SAFETY: whoever holds a register was called where AVX2 was detected.
                Self(unsafe { avx::$intrinsic(self.0, other.0) })
            }
        }
    };
}

in_register!(Add add _mm256_add_pd);
in_register!(Sub sub _mm256_sub_pd);
in_register!(Mul mul _mm256_mul_pd);
in_register!(Div div _mm256_div_pd);

impl Mul<f64> for Register {
    type Output = Self;

    #[inline(always)]
    fn mul(self, factor: f64) -> Self {
        self * Self::splat(factor)
    }
}

impl Default for Register {
    #[inline(always)]
    fn default() -> Self {
        Self::splat(0.0)
    }
}

impl Register {
    #[inline(always)]
    fn quad(self) -> Quad {
        // SAFETY: both are four numbers of double precision, aligned alike.
        unsafe { same(self) }
    }

    #[inline(always)]
    fn of(quad: Quad) -> Self {
        // SAFETY: as above.
        unsafe { same(quad) }
    }
}

/// Exchanges rows and columns.
#[inline(always)]
fn transposed([a, b, c, d]: [Register; 4]) -> [Register; 4] {
    /// The lower halves of both, the upper halves of both.
    const LOWER: i32 = 0x20;
    const UPPER: i32 = 0x31;
    // SAFETY: as for the operators.
    unsafe {
        let (ab, cd) = (avx::_mm256_unpacklo_pd(a.0, b.0), avx::_mm256_unpacklo_pd(c.0, d.0));
        let (ab_odd, cd_odd) = (avx::_mm256_unpackhi_pd(a.0, b.0), avx::_mm256_unpackhi_pd(c.0, d.0));
        [
            Register(avx::_mm256_permute2f128_pd::<LOWER>(ab, cd)),
            Register(avx::_mm256_permute2f128_pd::<LOWER>(ab_odd, cd_odd)),
            Register(avx::_mm256_permute2f128_pd::<UPPER>(ab, cd)),
            Register(avx::_mm256_permute2f128_pd::<UPPER>(ab_odd, cd_odd)),
        ]
    }
}

/// Rounds to single precision; what is not finite then becomes 0.
#[inline(always)]
fn finite(register: Register) -> avx::__m128 {
    // SAFETY: as for the operators.
    unsafe {
        let floats = avx::_mm256_cvtpd_ps(register.0);
        let magnitude = avx::_mm_andnot_ps(avx::_mm_set1_ps(-0.0), floats);
        avx::_mm_and_ps(floats, avx::_mm_cmplt_ps(magnitude, avx::_mm_set1_ps(f32::INFINITY)))
    }
}

#[inline(always)]
fn floats(register: avx::__m128) -> [f32; 4] {
    // SAFETY: a register of 128 bits is four numbers of single precision.
    unsafe { std::mem::transmute(register) }
}

impl Lane for Register {
    type Wide = Self;
    type Widest = [Self; 2];
    const WIDTH: usize = 4;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        // SAFETY: registers are asked for within functions compiled for AVX2 only.
        Self(unsafe { avx::_mm256_set1_pd(value) })
    }

    #[inline(always)]
    fn from_channels(value: impl Fn(usize) -> f64) -> Self {
        // SAFETY: as for `splat`.
        Self(unsafe { avx::_mm256_set_pd(value(3), value(2), value(1), value(0)) })
    }

    #[inline(always)]
    fn get(&self, channel: usize) -> f64 {
        self.quad().get(channel)
    }

    #[inline(always)]
    fn set(&mut self, channel: usize, value: f64) {
        let mut quad = self.quad();
        quad.set(channel, value);
        *self = Self::of(quad);
    }

    #[inline(always)]
    fn side_by_side([a, b, c, d]: [[f64; 4]; 4]) -> [Self; 4] {
        transposed([Self::of(Quad(a)), Self::of(Quad(b)), Self::of(Quad(c)), Self::of(Quad(d))])
    }

    #[inline(always)]
    fn apart(four: [Self; 4]) -> [[f64; 4]; 4] {
        let [a, b, c, d] = transposed(four);
        [a.quad().0, b.quad().0, c.quad().0, d.quad().0]
    }

    #[inline(always)]
    fn apart_as_floats([a, b, c, d]: [Self; 4]) -> [[f32; 4]; 4] {
        let (a, b, c, d) = (finite(a), finite(b), finite(c), finite(d));
        // SAFETY: as for the operators.
        unsafe {
            let (ab, cd) = (avx::_mm_unpacklo_ps(a, b), avx::_mm_unpacklo_ps(c, d));
            let (ab_later, cd_later) = (avx::_mm_unpackhi_ps(a, b), avx::_mm_unpackhi_ps(c, d));
            [
                floats(avx::_mm_movelh_ps(ab, cd)),
                floats(avx::_mm_movehl_ps(cd, ab)),
                floats(avx::_mm_movelh_ps(ab_later, cd_later)),
                floats(avx::_mm_movehl_ps(cd_later, ab_later)),
            ]
        }
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self::of(self.quad().map(f))
    }

    #[inline(always)]
    fn limited(self, limit: f64) -> Self {
        let (low, high) = (Self::splat(-limit), Self::splat(limit));
        // SAFETY: as for the operators. Where one operand is no number, both instructions return the second.
        Self(unsafe { avx::_mm256_min_pd(high.0, avx::_mm256_max_pd(low.0, self.0)) })
    }
}
