//! Reading memory in order: in one stream, or in eight side by side.

use crate::isa::{Isa, Level};

/// Streams of [`read_streams`].
const STREAMS: usize = 8;
/// Streams begin at pages, as far apart as each is long.
const PAGE_BYTES: usize = 4096;

/// The exclusive or of all 64-bit little-endian words of `bytes`, read from the first to the last;
/// the last word is filled up with zeros.
///
/// Eight vectors are on their way at once, so that the loop waits for memory only.
pub fn read(isa: Isa, bytes: &[u8]) -> u64 {
    match isa.level() {
        // Eight vectors of 16 bytes: what every x86-64 and every ARMv8 has.
        Level::Portable => xor::<16>(bytes),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX2.
        Level::Avx2 => unsafe { read_avx2(bytes) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX-512 F.
        Level::Avx512 => unsafe { read_avx512(bytes) },
    }
}

/// As [`read`], with 16 bytes from each of eight parts of `bytes` at a time.
///
/// Some processors fetch ahead in a few pages only and are faster so, others are slower. Plain
/// Rust on every machine: memory is slower than loads of 16 bytes.
pub fn read_streams(bytes: &[u8]) -> u64 {
    let stream = bytes.len() / STREAMS / PAGE_BYTES * PAGE_BYTES;
    let (streams, rest) = bytes.split_at(stream * STREAMS);
    xor_streams(streams) ^ xor::<16>(rest)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn read_avx2(bytes: &[u8]) -> u64 {
    xor::<32>(bytes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn read_avx512(bytes: &[u8]) -> u64 {
    xor::<64>(bytes)
}

/// `LANES` words side by side, which the compiler keeps in vectors of what the caller may use.
/// Plain loops: adapters of iterators can stay calls in functions with features of their own.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn xor<const LANES: usize>(bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    let (groups, rest) = words.as_chunks::<LANES>();
    let mut lanes = [0u64; LANES];
    let mut g = 0;
    while g < groups.len() {
        for i in 0..LANES {
            lanes[i] ^= u64::from_le_bytes(groups[g][i]);
        }
        g += 1;
    }
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    let mut all = u64::from_le_bytes(last);
    for i in 0..rest.len() {
        all ^= u64::from_le_bytes(rest[i]);
    }
    for i in 0..LANES {
        all ^= lanes[i];
    }
    all
}

/// Two words of each stream at a time; `bytes` is a whole number of pages a stream.
#[allow(clippy::needless_range_loop)]
fn xor_streams(bytes: &[u8]) -> u64 {
    let groups = bytes.as_chunks::<8>().0.as_chunks::<2>().0;
    let stream = groups.len() / STREAMS;
    let mut streams = [groups; STREAMS];
    for s in 0..STREAMS {
        streams[s] = &groups[s * stream..(s + 1) * stream];
    }
    let mut lanes = [[0u64; 2]; STREAMS];
    for g in 0..stream {
        for s in 0..STREAMS {
            for i in 0..2 {
                lanes[s][i] ^= u64::from_le_bytes(streams[s][g][i]);
            }
        }
    }
    lanes.as_flattened().iter().fold(0, |all, lane| all ^ lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares sums of `len` bytes before and after single bits change; gives how often.
    fn compare(read: &dyn Fn(&[u8]) -> u64, len: usize) -> usize {
        let mut bytes: Vec<u8> = (0..len).map(|i| (i * 37 + 11) as u8).collect();
        let word = |(i, byte): (usize, &u8)| u64::from(*byte) << (8 * (i % 8));
        let expected = bytes.iter().enumerate().map(word).fold(0, |all, word| all ^ word);
        assert_eq!(read(&bytes), expected, "{len} bytes");
        let places = (0..len).step_by(1 + len / 500);
        for i in places.clone() {
            bytes[i] ^= 1;
            assert_eq!(read(&bytes), expected ^ 1 << (8 * (i % 8)), "{len} bytes, byte {i}");
            bytes[i] ^= 1;
        }
        places.len()
    }

    #[test]
    fn every_byte_is_read_on_every_instruction_set() {
        for isa in Isa::available() {
            let lens = [0, 1, 8, 127, 511, 512, 513, 1543];
            let compared: usize = lens.map(|len| compare(&|x| read(isa, x), len)).iter().sum();
            assert!(compared >= 1000, "{}: {compared}", isa.name());
        }
    }

    #[test]
    fn every_byte_of_every_stream_is_read() {
        let lens = [0, 7, 9000, 32_767, 32_768, 32_769, 65_536, 70_001];
        let compared: usize = lens.map(|len| compare(&read_streams, len)).iter().sum();
        assert!(compared >= 2000, "{compared}");
    }
}
