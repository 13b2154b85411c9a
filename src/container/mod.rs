//! Bytes of the files that `NumPy` opens: `.npy` headers and the frame of a stored ZIP.
//!
//! Pure: everything here follows from names, sizes, shapes and checksums. The cache's finished files (`store`)
//! and the files handed to other programs (`exchange`) are framed alike. What a file means is not known here.

pub mod npy;
pub mod zip;
