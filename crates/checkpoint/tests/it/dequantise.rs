//! Weights as f32, straight from the definitions of the formats.

use gptoss_checkpoint::{ExpertLayout, Experts, Matrix};
use gptoss_kernels::Format;

const FP4: [f32; 16] =
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

fn scaled(code: u8, scale: u8) -> f32 {
    (f64::from(FP4[usize::from(code)]) * (f64::from(scale) - 127.0).exp2()) as f32
}

fn plain(format: Format, data: &[u8]) -> Vec<f32> {
    match format {
        Format::F32 => data.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
        Format::Bf16 => data.chunks(2).map(|b| f32::from_le_bytes([0, 0, b[0], b[1]])).collect(),
        other => panic!("no tiny model has {}", other.name()),
    }
}

/// `[rows, cols]`
pub fn matrix(matrix: &Matrix) -> Vec<f32> {
    assert_eq!(
        matrix.format.row_bytes(matrix.cols).unwrap() * matrix.rows,
        matrix.data.len(),
        "the size is checked when a model is opened"
    );
    if matrix.format != Format::Mxfp4Gguf {
        return plain(matrix.format, &matrix.data);
    }
    let mut out = Vec::new();
    for block in matrix.data.chunks(17) {
        out.extend(block[1..].iter().map(|byte| scaled(byte & 15, block[0])));
        out.extend(block[1..].iter().map(|byte| scaled(byte >> 4, block[0])));
    }
    out
}

/// `[E, rows, cols]`
pub fn experts(experts: &Experts) -> Vec<f32> {
    let (rows, cols) = (experts.rows, experts.cols);
    let out: Vec<f32> = match &experts.layout {
        ExpertLayout::Mxfp4 { blocks, scales } => blocks
            .chunks(16)
            .zip(scales.iter())
            .flat_map(|(block, scale)| {
                block.iter().flat_map(|byte| [scaled(byte & 15, *scale), scaled(byte >> 4, *scale)])
            })
            .collect(),
        ExpertLayout::Rows(all) => matrix(all),
        ExpertLayout::GateAndUp { gate, up } => {
            let (gate, up) = (matrix(gate), matrix(up));
            gate.chunks(cols).zip(up.chunks(cols)).flat_map(|(g, u)| [g, u].concat()).collect()
        }
        ExpertLayout::Transposed { format, data } => {
            let values = plain(*format, data);
            let expert = |values: &[f32]| -> Vec<f32> {
                let element = |i: usize| values[i % cols * rows + i / cols];
                (0..rows * cols).map(element).collect()
            };
            values.chunks(rows * cols).flat_map(expert).collect()
        }
        _ => panic!("a layout without a definition here"),
    };
    assert_eq!(out.len(), experts.experts * rows * cols);
    out
}
