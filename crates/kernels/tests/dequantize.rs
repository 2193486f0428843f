//! Every block format against the values that the reference implementation gives
//! (`testdata/quants/README.md`).

use std::path::Path;

use gptoss_kernels::{Format, dequantize_row};

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
        let mut actual = vec![0.0; expected.len()];
        dequantize_row(format, &blocks, &mut actual);
        assert_eq!(expected.len(), 8 * format.block_elements(), "{}", format.name());
        for (i, (a, e)) in actual.iter().zip(&expected).enumerate() {
            assert!(a == e, "{} [{i}]: {a:e} is not {e:e}", format.name());
        }
    }
}
