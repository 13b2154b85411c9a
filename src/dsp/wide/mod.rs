//! Wide: the kernels compiled again for processors with AVX2 and with AVX-512, chosen when they run.
//!
//! The clones do the same operations on the same numbers in the same order, only four lanes an instruction, and never a multiplication
//! and an addition as one: so the bytes are the same with and without. In them four lanes are one vector register
//! (`avx2`), which the compiler cannot take apart again. With AVX-512 there are twice as many of these registers, and in
//! transforms a complex number of four lanes is one register (`avx512`).
//!
//! `unsafe` code stands here, in the innermost loop of the transforms (`fft/radix`), and outside of `dsp` in the allocator of the program
//! and in `store/sha256`.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

#[cfg(target_arch = "x86_64")]
pub(crate) use {avx2::Register, avx512::Register as WideRegister};

/// Defines a function for every processor, again for those with AVX2 and for those with AVX-512; whoever calls it gets the one that fits.
///
/// What it calls must be `#[inline(always)]`, or that part stays as narrow as before.
macro_rules! wide {
    // A kernel over lanes, behind a semicolon another type: its arguments mean the same whether four lanes are an array or a register.
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$lane:ident: Lane $(, const $constant:ident: $kind:ty)* $(; $generic:ident: $bound:path)?>($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name<$lane: Lane $(, const $constant: $kind)* $(, $generic: $bound)?>($($arg: $type),*) {
            #[inline(always)]
            fn plain<$lane: Lane $(, const $constant: $kind)* $(, $generic: $bound)?>($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn wide<$lane: Lane $(, const $constant: $kind)* $(, $generic: $bound)?>($($arg: $type),*) {
                    #[expect(unsafe_code, reason = "lanes are passed on as what they are made of")]
                    // SAFETY: only `$lane` changes, for a type of its size and alignment that takes any bits.
                    plain::<<$lane as $crate::dsp::lane::Lane>::Wide $(, $constant)* $(, $generic)?>($(unsafe { $crate::dsp::wide::same($arg) }),*);
                }

                // The same registers, but twice as many of them.
                #[target_feature(enable = "avx512f,avx512vl")]
                fn widest<$lane: Lane $(, const $constant: $kind)* $(, $generic: $bound)?>($($arg: $type),*) {
                    #[expect(unsafe_code, reason = "lanes are passed on as what they are made of")]
                    // SAFETY: as above.
                    plain::<<$lane as $crate::dsp::lane::Lane>::Wide $(, $constant)* $(, $generic)?>($(unsafe { $crate::dsp::wide::same($arg) }),*);
                }

                #[expect(unsafe_code, reason = "a function for AVX is called where that was detected")]
                // SAFETY: the processor has AVX-512, or AVX2, which is all that the functions ask for.
                match $crate::dsp::wide::width() {
                    $crate::dsp::wide::Width::Avx512 => return unsafe { widest::<$lane $(, $constant)* $(, $generic)?>($($arg),*) },
                    $crate::dsp::wide::Width::Avx2 => return unsafe { wide::<$lane $(, $constant)* $(, $generic)?>($($arg),*) },
                    $crate::dsp::wide::Width::Baseline => {}
                }
            }
            plain::<$lane $(, $constant)* $(, $generic)?>($($arg),*);
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

                #[target_feature(enable = "avx512f,avx512vl")]
                fn widest<$($generic: $bound),*>($($arg: $type),*) {
                    plain($($arg),*);
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
}

pub(crate) use wide;

/// Runs a block for 0..N, N up to 8, written out: what is indexed stays in registers, which a loop would not promise.
macro_rules! each {
    ($count:ident, $index:ident, $body:block) => {
        const { assert!($count <= 8, "only so many are written out") };
        each!(@ $count, $index, $body, 0 1 2 3 4 5 6 7)
    };
    (@ $count:ident, $index:ident, $body:block, $($number:literal)*) => {
        $(
            if $number < $count {
                #[allow(clippy::erasing_op, clippy::identity_op, reason = "the index is a literal")]
                {
                    let $index = $number;
                    $body
                }
            }
        )*
    };
}

pub(crate) use each;

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
    if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512vl") {
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
