//! The oracles of the tiny models and of nano.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gptoss_checkpoint::{Bytes, Model, Tensor, safetensors};
use gptoss_engine::{Engine, EngineOptions};

/// A file or folder of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The engine of a model folder or file, in the default precision.
pub fn engine(path: &str) -> Engine {
    engine_with(path, &EngineOptions::default())
}

/// The engine of a model folder or file, with f32 activations.
pub fn exact_engine(path: &str) -> Engine {
    engine_with(path, &EngineOptions::exact())
}

/// As [`engine`], run as `options` say.
pub fn engine_with(path: &str, options: &EngineOptions) -> Engine {
    let path = repository(path);
    let model = Model::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Engine::from_model(model, options).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Golden values by name.
pub struct Golden(BTreeMap<String, Tensor>);

impl Golden {
    /// Reads `golden.safetensors`.
    pub fn open(path: &str) -> Golden {
        let path = repository(path);
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Golden(safetensors::read(&path, &Bytes::from(bytes)).unwrap())
    }

    /// The names of the prompts, each with whether it has a greedy continuation.
    pub fn prompts(&self) -> Vec<String> {
        self.0.keys().filter_map(|name| name.strip_suffix(".ids")).map(str::to_owned).collect()
    }

    /// Whether there is a value of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A tensor of f32.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        self.words(name).iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    /// A tensor of indices.
    pub fn indices(&self, name: &str) -> Vec<usize> {
        self.words(name).iter().map(|b| i32::from_le_bytes(*b) as usize).collect()
    }

    /// A prompt or continuation.
    pub fn ids(&self, name: &str) -> Vec<u32> {
        self.indices(name).into_iter().map(|id| id as u32).collect()
    }

    fn words(&self, name: &str) -> &[[u8; 4]] {
        let tensor = self.0.get(name).unwrap_or_else(|| panic!("no golden tensor {name}"));
        tensor.data.as_chunks().0
    }
}

/// The rows of `x` (`[T, width]`) at `positions`.
pub fn rows(x: &[f32], width: usize, positions: &[usize]) -> Vec<f32> {
    positions.iter().flat_map(|p| &x[p * width..(p + 1) * width]).copied().collect()
}

/// The largest absolute difference of two equally long vectors.
pub fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "lengths");
    assert!(!a.is_empty(), "nothing to compare");
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |m: f32, d| if d > m { d } else { m })
}
