//! Every block format against the values that the reference implementation gives
//! (`testdata/quants/README.md`).

use std::path::Path;

use gptoss_kernels::{Format, Isa, dequantize_row, mxfp4};

const FORMATS: [Format; 9] = [
    Format::Q4_0,
    Format::Q4_1,
    Format::Q5_0,
    Format::Q5_1,
    Format::Q8_0,
    Format::Q4K,
    Format::Q5K,
    Format::Q6K,
    Format::Mxfp4Gguf,
];

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/quants").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn block_formats_agree_with_the_reference() {
    for format in FORMATS {
        let blocks = read(&format!("{}.blocks", format.name()));
        let values = read(&format!("{}.f32", format.name()));
        let expected: Vec<f32> =
            values.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        assert_eq!(expected.len(), 8 * format.block_elements(), "{}", format.name());
        for isa in Isa::available() {
            let mut actual = vec![0.0; expected.len()];
            dequantize_row(isa, format, &blocks, &mut actual);
            for (i, (a, e)) in actual.iter().zip(&expected).enumerate() {
                assert!(a == e, "{isa:?} {} [{i}]: {a:e} is not {e:e}", format.name());
            }
        }
    }
}

/// Every byte at every place of a block, and every half, in an order without pattern.
fn bytes(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// A NaN, which an infinite scale makes, has to be one; which one, Rust leaves open.
fn assert_same(isa: Isa, name: &str, actual: &[f32], expected: &[f32]) {
    assert_eq!(actual.len(), expected.len(), "{isa:?} {name}");
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        let same = a.to_bits() == e.to_bits() || (a.is_nan() && e.is_nan());
        assert!(same, "{isa:?} {name} [{i}]: {a:e} is not {e:e}");
    }
}

#[test]
fn every_isa_gives_the_same_bits() {
    let plain = [Format::F32, Format::F16, Format::Bf16];
    let mut compared = 0;
    for format in FORMATS.into_iter().chain(plain) {
        for blocks in [1, 2, 3, 31, 2000] {
            let bytes = bytes(blocks * format.block_bytes() + 1);
            // An odd address, as in files.
            let bytes = &bytes[1..];
            let mut expected = vec![0.0; blocks * format.block_elements()];
            dequantize_row(Isa::PORTABLE, format, bytes, &mut expected);
            for isa in Isa::available() {
                let mut actual = vec![0.0; expected.len()];
                dequantize_row(isa, format, bytes, &mut actual);
                assert_same(isa, format.name(), &actual, &expected);
                compared += actual.len();
            }
        }
    }
    assert!(compared > 1_000_000, "{compared}");
}

#[test]
fn every_isa_gives_the_same_bits_with_scales_apart() {
    let mut compared = 0;
    for blocks in [1, 2, 2000] {
        let (codes, scales) = (bytes(blocks * 16), bytes(blocks));
        let mut expected = vec![0.0; blocks * 32];
        mxfp4::dequantize_row(Isa::PORTABLE, &codes, &scales, &mut expected);
        for isa in Isa::available() {
            let mut actual = vec![0.0; expected.len()];
            mxfp4::dequantize_row(isa, &codes, &scales, &mut actual);
            assert_same(isa, "mxfp4", &actual, &expected);
            compared += actual.len();
        }
    }
    assert!(compared > 60_000, "{compared}");
}

#[test]
fn every_half_has_the_same_bits_on_every_isa() {
    let halves: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let mut expected = vec![0.0; 1 << 16];
    dequantize_row(Isa::PORTABLE, Format::F16, &halves, &mut expected);
    for isa in Isa::available() {
        let mut actual = vec![0.0; 1 << 16];
        dequantize_row(isa, Format::F16, &halves, &mut actual);
        for (half, (a, e)) in actual.iter().zip(&expected).enumerate() {
            // Nothing is computed here, so that a NaN has its bits, too.
            assert_eq!(a.to_bits(), e.to_bits(), "{isa:?} {half:#06x}: {a:e} is not {e:e}");
        }
    }
}
