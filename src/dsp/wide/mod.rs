//! Wide: the kernels compiled a second time for processors with AVX2, chosen when they run.
//!
//! The clone does the same operations on the same numbers in the same order, only four lanes an instruction: there is no fused
//! multiply-add in AVX2, so the bytes are the same with and without. In it four lanes are one vector register
//! (`avx2`), which the compiler cannot take apart again. Transforms have a third clone for AVX-512 (`avx512`), where a complex
//! number of four lanes is one register. Beside the allocator of the program (`src/allocator.rs`) this is the only place with `unsafe`
//! code.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

#[cfg(target_arch = "x86_64")]
pub(crate) use {avx2::Register, avx512::Register as WideRegister};

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
                    plain::<<$lane as $crate::dsp::lane::Lane>::Wide>($(unsafe { $crate::dsp::wide::same($arg) }),*);
                }

                if $crate::dsp::wide::width() != $crate::dsp::wide::Width::Baseline {
                    #[expect(unsafe_code, reason = "a function for AVX2 is called where it was detected")]
                    // SAFETY: the processor has AVX2, which is all that `wide` asks for.
                    return unsafe { wide($($arg),*) };
                }
            }
            plain($($arg),*);
        }
    };
    // A kernel over the points of transforms: as above, and a third time for AVX-512.
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$point:ident: Point>($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name<$point: Point>($($arg: $type),*) {
            #[inline(always)]
            fn plain<$point: Point>($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn wide<$point: Point>($($arg: $type),*) {
                    #[expect(unsafe_code, reason = "points are passed on as what they are made of")]
                    // SAFETY: only `$point` changes, for a type of its size and alignment that takes any bits.
                    plain::<<$point as $crate::dsp::fft::Point>::Wide>($(unsafe { $crate::dsp::wide::same($arg) }),*);
                }

                #[target_feature(enable = "avx512f")]
                fn widest<$point: Point>($($arg: $type),*) {
                    #[expect(unsafe_code, reason = "points are passed on as what they are made of")]
                    // SAFETY: as above.
                    plain::<<$point as $crate::dsp::fft::Point>::Widest>($(unsafe { $crate::dsp::wide::same($arg) }),*);
                }

                #[expect(unsafe_code, reason = "a function for AVX is called where that was detected")]
                // SAFETY: the processor has AVX-512, or AVX2, which is all that the functions ask for.
                match $crate::dsp::wide::width() {
                    $crate::dsp::wide::Width::Avx512 => return unsafe { widest($($arg),*) },
                    $crate::dsp::wide::Width::Avx2 => return unsafe { wide($($arg),*) },
                    $crate::dsp::wide::Width::Baseline => {}
                }
            }
            plain($($arg),*);
        }
    };
    // Any other kernel.
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

                if $crate::dsp::wide::width() != $crate::dsp::wide::Width::Baseline {
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

/// What the processor can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "elsewhere there is the baseline alone"))]
pub(crate) enum Width {
    /// Any x86-64: two numbers an instruction.
    Baseline,
    /// Four.
    Avx2,
    /// Eight.
    Avx512,
}

/// Returns the widest instructions of this processor.
#[inline]
pub(crate) fn width() -> Width {
    #[cfg(test)]
    if let Some(width) = WIDTH.get() {
        return width;
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        return Width::Avx512;
    } else if std::arch::is_x86_feature_detected!("avx2") {
        return Width::Avx2;
    }
    Width::Baseline
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

#[cfg(test)]
thread_local! {
    static WIDTH: std::cell::Cell<Option<Width>> = const { std::cell::Cell::new(None) };
}

/// Runs a test with at most so wide instructions.
#[cfg(test)]
pub(crate) fn narrowed<T>(limit: Width, run: impl FnOnce() -> T) -> T {
    WIDTH.set(Some(width().min(limit)));
    let result = run();
    WIDTH.set(None);
    result
}
