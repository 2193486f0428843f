//! What the tests of kernels share: inputs and comparisons.

/// Lengths around one, two and three vectors, and the models' own.
pub const LENGTHS: [usize; 42] = {
    let mut lengths = [64; 42];
    let mut i = 0;
    while i < 40 {
        lengths[i] = i + 1;
        i += 1;
    }
    lengths[41] = 2880;
    lengths
};

/// Numbers between −1 and 1, the same for the same seed.
pub fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Numbers of every size, a fourth of them NaN, infinite, subnormal or zero.
pub fn odd_noise(len: usize, seed: u32) -> Vec<f32> {
    const ODD: [f32; 8] =
        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, -3e-45, 0.0, -0.0, f32::MAX];
    let (values, choices) = (noise(len, seed), noise(len, seed + 1000));
    let size = |choice: f32| 10f32.powi((choice * 35.0) as i32);
    let pairs = values.into_iter().zip(choices);
    pairs
        .map(|(value, choice)| match choice {
            0.75.. => ODD[((choice - 0.75) * 32.0) as usize % 8],
            0.5.. => value * size(choice * 8.0 - 5.0),
            _ => value * 10.0,
        })
        .collect()
}

/// Compares numbers bit by bit, where any NaN equals any other, because which operand's NaN a
/// processor hands on is not fixed; gives how many were compared.
pub fn assert_same_bits(actual: &[f32], expected: &[f32], context: &str) -> usize {
    assert_eq!(actual.len(), expected.len(), "{context}: lengths");
    for (i, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let is_same =
            actual.to_bits() == expected.to_bits() || (actual.is_nan() && expected.is_nan());
        assert!(is_same, "{context}, [{i}]: {actual} is not {expected}");
    }
    actual.len()
}
