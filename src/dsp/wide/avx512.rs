//! Complex numbers of four channels in a vector register of 512 bits: real parts below, imaginary parts above.
//!
//! Every result is the same to the last bit as with two registers: a difference is the sum with what has the other sign.

#![expect(unsafe_code, reason = "intrinsics of AVX-512, in functions compiled for AVX-512 only")]

use crate::dsp::fft::{Complex, Point};
use crate::dsp::lane::Quad;
use std::arch::x86_64 as avx;

/// A point of a transform. It exists within functions compiled for AVX-512 only; its layout is that of `Complex<Quad>`.
#[derive(Clone, Copy)]
#[repr(C, packed(32))]
pub(crate) struct Register(avx::__m512d);

const _: () = assert!(
    size_of::<Register>() == size_of::<Complex<Quad>>()
        && align_of::<Register>() == align_of::<Complex<Quad>>()
);

/// Exchanges the halves of a register.
const EXCHANGE: i32 = 0b01_00_11_10;

impl Register {
    /// Returns w in the upper half and −w in the lower one.
    #[inline(always)]
    fn signed(w: f64) -> Self {
        // SAFETY: whoever asks for a register was called where AVX-512 was detected.
        Self(unsafe { avx::_mm512_set_pd(w, w, w, w, -w, -w, -w, -w) })
    }

    /// Returns i times itself.
    #[inline(always)]
    fn by_i(self) -> Self {
        let sign = Self::signed_zero();
        // SAFETY: as above.
        Self(unsafe {
            let exchanged = avx::_mm512_castpd_si512(avx::_mm512_shuffle_f64x2::<EXCHANGE>(self.0, self.0));
            avx::_mm512_castsi512_pd(avx::_mm512_xor_si512(exchanged, avx::_mm512_castpd_si512(sign.0)))
        })
    }

    #[inline(always)]
    fn signed_zero() -> Self {
        Self::signed(0.0)
    }
}

impl Default for Register {
    #[inline(always)]
    fn default() -> Self {
        // SAFETY: as above.
        Self(unsafe { avx::_mm512_setzero_pd() })
    }
}

impl Point for Register {
    type Wide = Self;
    type Widest = Self;
    type Turn = [Self; 2];

    #[inline(always)]
    fn turn([cos, sin]: [f64; 2]) -> [Self; 2] {
        // SAFETY: as above.
        [Self(unsafe { avx::_mm512_set1_pd(cos) }), Self::signed(sin)]
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { avx::_mm512_add_pd(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { avx::_mm512_sub_pd(self.0, other.0) })
    }

    #[inline(always)]
    fn cross(self, other: Self) -> [Self; 2] {
        let turned = other.by_i();
        [self.sub(turned), self.add(turned)]
    }

    #[inline(always)]
    fn times(self, [cos, sin]: [Self; 2]) -> Self {
        // SAFETY: as above.
        Self(unsafe {
            avx::_mm512_add_pd(
                avx::_mm512_mul_pd(self.0, cos.0),
                avx::_mm512_mul_pd(self.exchanged().0, sin.0),
            )
        })
    }

    #[inline(always)]
    fn scaled(self, factor: f64) -> Self {
        // SAFETY: as above.
        Self(unsafe { avx::_mm512_mul_pd(self.0, avx::_mm512_set1_pd(factor)) })
    }

    #[inline(always)]
    fn exchanged(self) -> Self {
        // SAFETY: as above.
        Self(unsafe { avx::_mm512_shuffle_f64x2::<EXCHANGE>(self.0, self.0) })
    }
}
