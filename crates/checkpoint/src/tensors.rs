//! Tensors by name, and taking them out with their shapes checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use gptoss_kernels::Format;

use crate::bytes::Bytes;
use crate::error::{CheckpointError, Place};
use crate::weights::Matrix;

/// A tensor of a file: its element type, its shape with the slowest axis first, and its bytes.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// The file that holds it.
    pub file: Arc<PathBuf>,
    /// Element type.
    pub dtype: Dtype,
    /// Slowest axis first, the order of safetensors; GGUF files write the reverse.
    pub shape: Vec<usize>,
    /// Row-major elements.
    pub data: Bytes,
}

/// The element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// One that weights are computed from.
    Weights(Format),
    /// Any other that safetensors knows, by its name there.
    Other {
        /// The name.
        name: &'static str,
        /// Bits of an element.
        bits: usize,
    },
}

impl Dtype {
    /// Bytes, used for FP4 codes and their scales.
    pub(crate) const U8: Dtype = Dtype::Other { name: "U8", bits: 8 };

    /// The name as the file format spells it.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::Weights(format) => format.name(),
            Dtype::Other { name, .. } => name,
        }
    }
}

/// The tensors of a model, from which the weights are taken one by one.
pub(crate) struct TensorTable {
    /// The file to name when a tensor is missing.
    pub(crate) file: PathBuf,
    /// By name; taking one removes it, so that what is left was not needed.
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

impl TensorTable {
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor that must be there.
    pub(crate) fn shape(&self, name: &str) -> Result<&[usize], CheckpointError> {
        match self.tensors.get(name) {
            Some(tensor) => Ok(&tensor.shape),
            None => Err(self.missing(name, "a tensor".to_owned())),
        }
    }

    /// A small tensor of the given shape in a plain format, converted to f32.
    pub(crate) fn vector(
        &mut self,
        name: &str,
        shape: &[usize],
    ) -> Result<Vec<f32>, CheckpointError> {
        let (format, tensor) = self.plain(name, shape)?;
        Ok(to_f32(format, &tensor.data))
    }

    /// A matrix `[rows, cols]` in any format.
    pub(crate) fn matrix(
        &mut self,
        name: &str,
        [rows, cols]: [usize; 2],
    ) -> Result<Matrix, CheckpointError> {
        let tensor = self.take(name, &[rows, cols])?;
        matrix_of(name, tensor, rows, cols)
    }

    /// Matrices `[experts, rows, cols]` in any format, as one matrix `[experts · rows, cols]`.
    pub(crate) fn stacked(
        &mut self,
        name: &str,
        [experts, rows, cols]: [usize; 3],
    ) -> Result<Matrix, CheckpointError> {
        let tensor = self.take(name, &[experts, rows, cols])?;
        matrix_of(name, tensor, experts * rows, cols)
    }

    /// A tensor of the given shape in a plain format.
    pub(crate) fn plain(
        &mut self,
        name: &str,
        shape: &[usize],
    ) -> Result<(Format, Tensor), CheckpointError> {
        let tensor = self.take(name, shape)?;
        match tensor.dtype {
            Dtype::Weights(f @ (Format::F32 | Format::F16 | Format::Bf16)) => Ok((f, tensor)),
            _ => Err(wrong_dtype(name, &tensor, "F32, F16 or BF16")),
        }
    }

    /// The bytes of a tensor of the given shape with elements of one byte.
    pub(crate) fn bytes(&mut self, name: &str, shape: &[usize]) -> Result<Bytes, CheckpointError> {
        let tensor = self.take(name, shape)?;
        if tensor.dtype != Dtype::U8 {
            return Err(wrong_dtype(name, &tensor, "U8"));
        }
        Ok(tensor.data)
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, CheckpointError> {
        let Some(tensor) = self.tensors.remove(name) else {
            return Err(self.missing(name, format!("shape {shape:?}")));
        };
        if tensor.shape != shape {
            return Err(CheckpointError::Invalid {
                file: tensor.file.to_path_buf(),
                place: Place::Tensor(name.to_owned()),
                expected: format!("shape {shape:?}"),
                found: format!("{:?}", tensor.shape),
            });
        }
        Ok(tensor)
    }

    fn missing(&self, name: &str, expected: String) -> CheckpointError {
        CheckpointError::Invalid {
            file: self.file.clone(),
            place: Place::Tensor(name.to_owned()),
            expected,
            found: "no such tensor".to_owned(),
        }
    }
}

fn matrix_of(
    name: &str,
    tensor: Tensor,
    rows: usize,
    cols: usize,
) -> Result<Matrix, CheckpointError> {
    let Dtype::Weights(format) = tensor.dtype else {
        return Err(wrong_dtype(name, &tensor, "BF16 or another one of weights"));
    };
    let bytes = format.row_bytes(cols).and_then(|row| row.checked_mul(rows));
    assert_eq!(bytes, Some(tensor.data.len()), "the parsers check sizes against shapes");
    Ok(Matrix { format, rows, cols, data: tensor.data })
}

fn wrong_dtype(name: &str, tensor: &Tensor, expected: &str) -> CheckpointError {
    CheckpointError::Invalid {
        file: tensor.file.to_path_buf(),
        place: Place::Tensor(name.to_owned()),
        expected: format!("type {expected}"),
        found: tensor.dtype.name().to_owned(),
    }
}

/// The elements of a plain format as f32; exact.
fn to_f32(format: Format, data: &[u8]) -> Vec<f32> {
    match format {
        Format::F32 => {
            data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        }
        Format::Bf16 => data
            .chunks_exact(2)
            .map(|b| f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16))
            .collect(),
        _ => data.chunks_exact(2).map(|b| f16_to_f32(u16::from_le_bytes([b[0], b[1]]))).collect(),
    }
}

/// IEEE 754 binary16 to binary32; exact.
fn f16_to_f32(half: u16) -> f32 {
    let sign = u32::from(half >> 15) << 31;
    let exponent = u32::from(half >> 10) & 31;
    let fraction = u32::from(half) & 1023;
    match exponent {
        // Subnormal: fraction · 2⁻²⁴, which f32 holds as a normal number.
        0 => f32::from_bits(sign | (fraction as f32 * (-24f32).exp2()).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_convert_exactly() {
        let cases = [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x7bff, 65504.0),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (half, expected) in cases {
            assert_eq!(f16_to_f32(half), expected, "{half:#06x}");
        }
        assert!(f16_to_f32(0x7e00).is_nan());
        assert!(f16_to_f32(0x8000).is_sign_negative());
    }
}
