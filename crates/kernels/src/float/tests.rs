//! Every instruction set against the definition bit by bit, and against f64.

use super::*;
use crate::testing::noise;

const FORMATS: [Format; 3] = [Format::F32, Format::F16, Format::Bf16];

/// Rows with signs and sizes of all kinds: bytes of a file, and their values.
fn stored(format: Format, len: usize, seed: u32) -> (Vec<u8>, Vec<f32>) {
    let numbers = noise(len, seed);
    let bytes: Vec<u8> = match format {
        Format::F32 => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
        // All halves but infinities and NaN, subnormal ones among them.
        Format::F16 => numbers
            .iter()
            .map(|x| ((x + 1.0) * 32_767.0) as u16)
            .map(|half| if half & 0x7C00 == 0x7C00 { half & 0xBFFF } else { half })
            .flat_map(u16::to_le_bytes)
            .collect(),
        _ => numbers.iter().flat_map(|x| [x.to_le_bytes()[2], x.to_le_bytes()[3]]).collect(),
    };
    let rows = FloatRows::stored(format, &bytes, 1).unwrap();
    let values = (0..len).map(|i| rows.weight(i)).collect();
    (bytes, values)
}

/// A whole product with its memory.
fn product(isa: Isa, rows: FloatRows<'_>, x: &[f32], out: &mut [f32], out_stride: usize) {
    let mut packed = vec![0.0; FloatTokens::packed_len(isa, x.len() / rows.cols, rows.cols)];
    let x = FloatTokens::new(isa, x, rows.cols, &mut packed);
    let mut scratch = vec![f32::NAN; x.scratch_len()];
    float_rows(rows, x, &mut scratch, out, out_stride);
}

/// All tokens with a stride two beyond the rows, whose gaps have to stay as they are.
fn run(isa: Isa, rows: FloatRows<'_>, x: &[f32]) -> Vec<f32> {
    let (tokens, n) = (x.len() / rows.cols, rows.rows());
    let mut out = vec![-7.0; tokens * (n + 2)];
    product(isa, rows, x, &mut out, n + 2);
    for out in out.chunks(n + 2) {
        assert_eq!(out[n..], [-7.0; 2], "{isa:?}: written behind the rows");
    }
    out.chunks(n + 2).flat_map(|out| &out[..n]).copied().collect()
}

/// Compares bit by bit and gives the number of results.
fn assert_same(actual: &[f32], expected: &[f32], what: &str) -> usize {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert_eq!(a.to_bits(), e.to_bits(), "{what} [{i}]: {a:e} is not {e:e}");
    }
    actual.len()
}

/// Every isa, and the values in memory, against the definition.
fn compare(format: Format, rows: usize, cols: usize, tokens: usize) -> usize {
    let (mut bytes, values) = stored(format, rows * cols, (cols + 7 * rows) as u32);
    // An odd address, as in files.
    bytes.insert(0, 0);
    let stored = FloatRows::stored(format, &bytes[1..], cols).unwrap();
    let x = noise(tokens * cols, 3);
    let expected = run(Isa::PORTABLE, stored, &x);
    let in_memory = FloatRows::values(&values, cols);
    let of_memory = run(Isa::PORTABLE, in_memory, &x);
    let mut compared = 0;
    for isa in Isa::available() {
        let what = format!("{isa:?} {} [{rows}, {cols}], {tokens} tokens", format.name());
        compared += assert_same(&run(isa, stored, &x), &expected, &what);
        compared += assert_same(&run(isa, in_memory, &x), &of_memory, &what);
    }
    compared
}

#[test]
fn every_isa_gives_the_same_bits() {
    let mut compared = 0;
    for format in FORMATS {
        for cols in (1..=40).chain([64, 100]) {
            for tokens in 1..=20 {
                compared += compare(format, 1 + (cols + tokens) % 9, cols, tokens);
            }
        }
        for rows in 1..=9 {
            compared += compare(format, rows, 33, 2 * rows);
        }
        compared += compare(format, 9, 2880, 7);
        compared += compare(format, 9, 2880, 20);
        // Many tokens: blocks of all sizes, rows for some or all vectors, lanes without a column,
        // with one chunk and several, more than a panel.
        for (i, tokens) in (24..=60).enumerate() {
            compared += compare(format, 1 + 7 * i % 70, [5, 16, 47, 200][i % 4], tokens);
        }
        compared += compare(format, 65, 1190, 53);
        compared += compare(format, 50, 19, 233);
    }
    assert!(compared > 50_000 * Isa::available().count(), "{compared}");
}

#[test]
fn a_token_and_a_row_do_not_see_their_neighbours() {
    let mut compared = 0;
    for isa in Isa::available() {
        for (format, rows, cols, tokens) in
            [(Format::Bf16, 49, 900, 53), (Format::F32, 6, 47, 12), (Format::F16, 3, 512, 33)]
        {
            let (bytes, _) = stored(format, rows * cols, 5);
            let x = noise(tokens * cols, 6);
            let all = FloatRows::stored(format, &bytes, cols).unwrap();
            let together = run(isa, all, &x);
            for t in 0..tokens {
                let alone = run(isa, all, &x[t * cols..(t + 1) * cols]);
                let what = format!("{isa:?} token {t} of {tokens}");
                compared += assert_same(&alone, &together[t * rows..(t + 1) * rows], &what);
            }
            let row_bytes = bytes.len() / rows;
            for r in 0..rows {
                let row = &bytes[r * row_bytes..(r + 1) * row_bytes];
                let alone = run(isa, FloatRows::stored(format, row, cols).unwrap(), &x);
                let column: Vec<f32> = together.chunks(rows).map(|out| out[r]).collect();
                compared += assert_same(&alone, &column, &format!("{isa:?} row {r} of {rows}"));
            }
        }
    }
    assert!(compared > 1000 * Isa::available().count(), "{compared}");
}

#[test]
fn agrees_with_f64() {
    let mut compared = 0;
    for isa in Isa::available() {
        for (cols, tokens) in [(1, 1), (17, 3), (2880, 2), (2880, 39)] {
            let (bytes, values) = stored(Format::Bf16, 5 * cols, 8);
            let rows = FloatRows::stored(Format::Bf16, &bytes, cols).unwrap();
            let x = noise(tokens * cols, 9);
            for (i, actual) in run(isa, rows, &x).into_iter().enumerate() {
                let (t, r) = (i / 5, i % 5);
                let (w, x) = (&values[r * cols..][..cols], &x[t * cols..][..cols]);
                let products = || w.iter().zip(x).map(|(&w, &x)| f64::from(w) * f64::from(x));
                let (exact, scale) =
                    (products().sum::<f64>(), products().map(f64::abs).sum::<f64>());
                // The bound of `float_rows`.
                let bound = (cols as f64 / 16.0 + 5.0) * f64::from(f32::EPSILON) / 2.0 * scale;
                let error = (f64::from(actual) - exact).abs();
                assert!(error <= bound, "{isa:?} {cols} [{t}, {r}]: {actual} is not {exact}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 225 * Isa::available().count());
}

#[test]
fn products_are_not_rounded_before_they_are_added() {
    // (1 + 2⁻¹²)² = 1 + 2⁻¹¹ + 2⁻²⁴, whose last term an f32 of that size does not have.
    let x = 1.0 + f32::EPSILON * 2048.0;
    let mut row = [0.0; 17];
    let mut token = [0.0; 17];
    (row[0], token[0]) = (-1.0, 1.0 + f32::EPSILON * 4096.0);
    (row[16], token[16]) = (x, x);
    for isa in Isa::available() {
        let mut out = [0.0];
        product(isa, FloatRows::values(&row, 17), &token, &mut out, 1);
        assert_eq!(out, [2f32.powi(-24)], "{isa:?}");
    }
}

#[test]
fn block_formats_are_refused_and_nothing_gives_nothing() {
    assert!(FloatRows::stored(Format::Q8_0, &[0; 34], 32).is_none());
    for isa in Isa::available() {
        let mut out = [1.0];
        product(isa, FloatRows::values(&[], 3), &[1.0; 3], &mut out, 0);
        product(isa, FloatRows::values(&[2.0; 3], 3), &[], &mut out, 1);
        assert_eq!(out, [1.0], "{isa:?}");
    }
}
