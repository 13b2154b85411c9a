//! SHA-256 of a file and of an array in it at once.
//!
//! An array begins in its file where a block of both hashes does, so both work on the same blocks and differ in their states alone.
//! The message schedule, the greater half of the work, depends on the block only: on processors with instructions
//! for SHA it is computed once for both (`pair`). Everything else is the library's compression function under the padding of
//! FIPS 180-4, section 5.1.1.

#[cfg(target_arch = "x86_64")]
mod pair;

use crate::model::id::Digest;
use sha2::block_api::compress256;

/// Bytes of a block.
const BLOCK: usize = 64;
/// FIPS 180-4, section 5.3.3: the first 32 bits of the fractional parts of the square roots of the first eight primes.
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A hash in the making.
#[derive(Debug, Clone)]
pub(super) struct Sha256 {
    state: [u32; 8],
    /// The beginning of a block that is not complete yet.
    begun: [u8; BLOCK],
    bytes: u64,
}

impl Sha256 {
    /// Begins with nothing.
    pub(super) fn new() -> Self {
        Self { state: INITIAL, begun: [0; BLOCK], bytes: 0 }
    }

    /// Number of bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn filled(&self) -> usize {
        (self.bytes % BLOCK as u64) as usize
    }

    /// Takes bytes in.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        let filled = self.filled();
        self.bytes += bytes.len() as u64;
        if filled > 0 {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - filled));
            self.begun[filled..filled + now.len()].copy_from_slice(now);
            if filled + now.len() < BLOCK {
                return;
            }
            compress256(&mut self.state, &[self.begun]);
            bytes = later;
        }
        let (blocks, rest) = bytes.as_chunks();
        compress256(&mut self.state, blocks);
        self.begun[..rest.len()].copy_from_slice(rest);
    }

    /// Returns the digest of all bytes.
    pub(super) fn finish(mut self) -> Digest {
        let bits = 8 * self.bytes;
        // A one, zeros up to 8 bytes before the end of a block, the number of bits.
        let zeros = (2 * BLOCK - 9 - self.filled()) % BLOCK;
        self.update(&[0x80]);
        self.update(&[0; BLOCK][..zeros]);
        self.update(&bits.to_be_bytes());
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        Digest::from_bytes(digest)
    }
}

/// Takes the same bytes into both hashes.
pub(super) fn update_both(first: &mut Sha256, second: &mut Sha256, bytes: &[u8]) {
    let (blocks, rest) = bytes.as_chunks();
    if first.filled() == 0
        && second.filled() == 0
        && compress_both([&mut first.state, &mut second.state], blocks)
    {
        for hash in [first, second] {
            hash.bytes += (bytes.len() - rest.len()) as u64;
            hash.update(rest);
        }
    } else {
        first.update(bytes);
        second.update(bytes);
    }
}

/// Says whether the processor could do it.
fn compress_both(states: [&mut [u32; 8]; 2], blocks: &[[u8; BLOCK]]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sha") && std::arch::is_x86_feature_detected!("sse4.1") {
        #[expect(unsafe_code, reason = "a function for SHA instructions is called where these were detected")]
        // SAFETY: the processor has all that the function asks for (SSE4.1 stands above SSSE3).
        unsafe {
            pair::compress(states, blocks);
        }
        return true;
    }
    let _ = (states, blocks);
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest as _;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|i| (i * 7919 / 13 % 251) as u8).collect()
    }

    fn expected(bytes: &[u8]) -> Digest {
        Digest::from_bytes(sha2::Sha256::digest(bytes).into())
    }

    #[test]
    fn every_length_in_pieces_of_any_length_equals_the_library() {
        for length in (0..200).chain([255, 256, 1000, 4096, 10_007]) {
            let bytes = bytes(length);
            for piece in [1, 3, 55, 56, 63, 64, 65, 128, 20_000] {
                let mut hash = Sha256::new();
                bytes.chunks(piece).for_each(|piece| hash.update(piece));
                assert_eq!(hash.bytes(), length as u64);
                assert_eq!(hash.finish(), expected(&bytes), "{length} bytes by {piece}");
            }
        }
    }

    #[test]
    fn two_at_once_equal_the_library_wherever_each_begins() {
        for before in [0, 1, 63, 64, 128, 200] {
            for length in [0, 1, 63, 64, 65, 127, 128, 6400, 100_003] {
                let (head, body) = (bytes(before), bytes(length));
                let (mut file, mut array) = (Sha256::new(), Sha256::new());
                file.update(&head);
                body.chunks(4096).for_each(|piece| update_both(&mut file, &mut array, piece));
                assert_eq!(array.finish(), expected(&body), "{before} {length}");
                file.update(&head);
                let whole = [&*head, &body, &head].concat();
                assert_eq!(file.finish(), expected(&whole), "{before} {length}");
            }
        }
    }

    #[test]
    fn the_examples_of_the_standard_come_out() {
        // NIST, "Examples with Intermediate Values", SHA-256.
        for (text, digest) in [
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
        ] {
            let mut hash = Sha256::new();
            hash.update(text.as_bytes());
            assert_eq!(hash.finish().to_string(), digest);
        }
    }
}
