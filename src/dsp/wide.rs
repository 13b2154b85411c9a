//! Wide: the kernels compiled a second time for processors with AVX2, chosen when they run.
//!
//! The clone does the same operations on the same numbers in the same order, only four lanes an instruction: there is no fused
//! multiply-add in AVX2, so the bytes are the same with and without. In it four lanes are one vector register (`Register`), which
//! the compiler cannot take apart again. This is the only place of the program with `unsafe` code.

/// Defines a function twice, for every processor and for those with AVX2; whoever calls it gets the one that fits.
///
/// What it calls must be `#[inline(always)]`, or that part stays as narrow as before.
macro_rules! wide {
    // A kernel over lanes: its arguments mean the same whether four lanes are an array or a register.
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$lane:ident: Lane>($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name<$lane: Lane>($($arg: $type),*) {
            #[inline(always)]
            fn plain<$lane: Lane>($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn wide<$lane: Lane>($($arg: $type),*) {
                    #[expect(unsafe_code, reason = "lanes are passed on as what they are made of")]
                    // SAFETY: only `$lane` changes, for a type of its size and alignment that takes any bits.
                    plain::<$lane::Wide>($(unsafe { $crate::dsp::wide::same($arg) }),*);
                }

                if $crate::dsp::wide::is_available() {
                    #[expect(unsafe_code, reason = "a function for AVX2 is called where it was detected")]
                    // SAFETY: the processor has AVX2, which is all that `wide` asks for.
                    return unsafe { wide($($arg),*) };
                }
            }
            plain($($arg),*);
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$($generic:ident: $bound:path),*>($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name<$($generic: $bound),*>($($arg: $type),*) {
            #[inline(always)]
            fn plain<$($generic: $bound),*>($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn wide<$($generic: $bound),*>($($arg: $type),*) {
                    plain($($arg),*);
                }

                if $crate::dsp::wide::is_available() {
                    #[expect(unsafe_code, reason = "a function for AVX2 is called where it was detected")]
                    // SAFETY: the processor has AVX2, which is all that `wide` asks for.
                    return unsafe { wide($($arg),*) };
                }
            }
            plain($($arg),*);
        }
    };
}

pub(crate) use wide;

/// True where the processor has AVX2.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn is_available() -> bool {
    #[cfg(test)]
    if NARROW.get() {
        return false;
    }
    std::arch::is_x86_feature_detected!("avx2")
}

/// Returns the same bits as another type: a slice of lanes as one of registers, or what has no lanes in it as itself.
///
/// # Safety
///
/// Both types must have one layout, and every value of the first must be one of the second.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[expect(unsafe_code, reason = "see above")]
pub(crate) unsafe fn same<A, B>(value: A) -> B {
    const { assert!(size_of::<A>() == size_of::<B>() && align_of::<A>() == align_of::<B>()) };
    // SAFETY: the caller's promise; the original is never dropped.
    unsafe { std::mem::transmute_copy(&std::mem::ManuallyDrop::new(value)) }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use register::Register;

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "intrinsics of AVX, in functions compiled for AVX2 only")]
mod register {
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

    impl Lane for Register {
        type Wide = Self;
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
}

#[cfg(test)]
thread_local! {
    /// Makes this thread do without AVX2.
    pub(crate) static NARROW: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}
