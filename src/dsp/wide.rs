//! Wide: the kernels compiled a second time for processors with AVX2, chosen when they run.
//!
//! The clone does the same operations on the same numbers in the same order, only four lanes an instruction: there is no fused
//! multiply-add in AVX2, so the bytes are the same with and without. This is the only place of the program with `unsafe` code.

/// Defines a function twice, for every processor and for those with AVX2; whoever calls it gets the one that fits.
///
/// What it calls must be `#[inline(always)]`, or that part stays as narrow as before.
macro_rules! wide {
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

#[cfg(test)]
thread_local! {
    /// Makes this thread do without AVX2.
    pub(crate) static NARROW: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}
