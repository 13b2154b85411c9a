//! One message schedule for two states, with the instructions for SHA (Intel, "SHA Extensions", 2013).
//!
//! Each state waits for its own last rounds, so the rounds of the other one fill the gap.

#![expect(unsafe_code, reason = "unaligned loads of bytes that are there")]

use super::BLOCK;
use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_loadu_si128, _mm_set_epi64x,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
    _mm_storeu_si128,
};

/// FIPS 180-4, section 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes.
static CONSTANTS: [[u32; 4]; 16] = [
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
    [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
    [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
    [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
    [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
    [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
    [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
    [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
    [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
];

/// A state as the instructions want it: words a, b, e, f and c, d, g, h, the first one uppermost.
type State = [__m128i; 2];

/// Four rounds of both states.
macro_rules! four_rounds {
    ($sixteen:ident, $at:literal, $words:ident, $first:ident, $second:ident) => {
        if $sixteen > 0 {
            $words[$at] = scheduled($words, $at);
        }
        let both = _mm_add_epi32($words[$at], load_words(&CONSTANTS[4 * $sixteen + $at]));
        let upper = _mm_shuffle_epi32::<0b00_00_11_10>(both);
        $first[1] = _mm_sha256rnds2_epu32($first[1], $first[0], both);
        $second[1] = _mm_sha256rnds2_epu32($second[1], $second[0], both);
        $first[0] = _mm_sha256rnds2_epu32($first[0], $first[1], upper);
        $second[0] = _mm_sha256rnds2_epu32($second[0], $second[1], upper);
    };
}

/// Compresses the blocks into both states.
#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn compress([one, two]: [&mut [u32; 8]; 2], blocks: &[[u8; BLOCK]]) {
    let [mut first, mut second] = [load(one), load(two)];
    for block in blocks {
        let before = [first, second];
        let mut words = words(block);
        for sixteen in 0..4 {
            // Written out, so that the words stay in registers.
            four_rounds!(sixteen, 0, words, first, second);
            four_rounds!(sixteen, 1, words, first, second);
            four_rounds!(sixteen, 2, words, first, second);
            four_rounds!(sixteen, 3, words, first, second);
        }
        first = [_mm_add_epi32(first[0], before[0][0]), _mm_add_epi32(first[1], before[0][1])];
        second = [_mm_add_epi32(second[0], before[1][0]), _mm_add_epi32(second[1], before[1][1])];
    }
    store(first, one);
    store(second, two);
}

/// The next four words of the schedule, out of the sixteen before them, the oldest of which are those at `at`.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn scheduled(words: [__m128i; 4], at: usize) -> __m128i {
    let [oldest, old, new, newest] =
        [words[at], words[(at + 1) % 4], words[(at + 2) % 4], words[(at + 3) % 4]];
    let sum = _mm_add_epi32(_mm_sha256msg1_epu32(oldest, old), _mm_alignr_epi8::<4>(newest, new));
    _mm_sha256msg2_epu32(sum, newest)
}

/// The big-endian words of a block.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn words(block: &[u8; BLOCK]) -> [__m128i; 4] {
    let reversed = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    // SAFETY: the block has four times sixteen bytes.
    [0, 1, 2, 3]
        .map(|part| unsafe { _mm_loadu_si128(block.as_ptr().add(16 * part).cast()) })
        .map(|part| _mm_shuffle_epi8(part, reversed))
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn load_words(words: &[u32; 4]) -> __m128i {
    // SAFETY: there are sixteen bytes.
    unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn load(state: &[u32; 8]) -> State {
    // SAFETY: a state has twice sixteen bytes.
    let [dcba, hgfe] = [0, 4].map(|word| unsafe { _mm_loadu_si128(state.as_ptr().add(word).cast()) });
    let (cdab, efgh) = (_mm_shuffle_epi32::<0b10_11_00_01>(dcba), _mm_shuffle_epi32::<0b00_01_10_11>(hgfe));
    [_mm_alignr_epi8::<8>(cdab, efgh), _mm_blend_epi16::<0b1111_0000>(efgh, cdab)]
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn store([abef, cdgh]: State, state: &mut [u32; 8]) {
    let (feba, dchg) = (_mm_shuffle_epi32::<0b00_01_10_11>(abef), _mm_shuffle_epi32::<0b10_11_00_01>(cdgh));
    let halves = [_mm_blend_epi16::<0b1111_0000>(feba, dchg), _mm_alignr_epi8::<8>(dchg, feba)];
    for (word, half) in [0, 4].into_iter().zip(halves) {
        // SAFETY: as in `load`.
        unsafe { _mm_storeu_si128(state.as_mut_ptr().add(word).cast(), half) };
    }
}
