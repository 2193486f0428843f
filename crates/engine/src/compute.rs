//! What a forward pass computes with: instructions, threads, precision, and a clock.

use gptoss_kernels::Isa;
use gptoss_kernels::int8::BlockLayout;
use gptoss_threads::{Active, Pool};

use crate::error::EngineError;
use crate::options::{EngineOptions, Precision};
use crate::profile::Profile;

/// Instructions, threads and precision of an engine.
pub struct Compute {
    pub(crate) isa: Isa,
    pub(crate) precision: Precision,
    pub(crate) pool: Pool,
    pub(crate) profile: Profile,
}

impl Compute {
    /// What `options` ask for.
    ///
    /// # Errors
    /// [`EngineError::Isa`] and [`EngineError::Threads`].
    pub fn new(options: &EngineOptions) -> Result<Compute, EngineError> {
        let threads = match options.threads {
            Some(threads) if threads.get() > Pool::THREADS_MAX => {
                return Err(EngineError::Threads {
                    threads: threads.get(),
                    max: Pool::THREADS_MAX,
                });
            }
            Some(threads) => threads,
            None => default_threads(),
        };
        Ok(Compute {
            isa: options.isa()?,
            precision: options.precision,
            pool: Pool::new(threads),
            profile: Profile::default(),
        })
    }

    /// Keeps the threads awake while it lives.
    pub(crate) fn awake(&self) -> Active<'_> {
        self.pool.active()
    }

    /// The layout in which activations meet weights of `layout`, if in eight bits.
    pub(crate) fn int8(&self, layout: Option<BlockLayout>) -> Option<BlockLayout> {
        layout.filter(|_| self.precision == Precision::Fast)
    }

    /// Calls `task(row, piece)` for each row of `width` elements, many rows to a thread's turn.
    pub(crate) fn rows_mut<T: Send>(
        &self,
        data: &mut [T],
        width: usize,
        task: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        // A turn should be worth more than the handing over.
        let rows = (4096 / width.max(1)).max(1);
        self.pool.chunks_mut(data, rows * width, &|turn, piece| {
            for (i, row) in piece.chunks_exact_mut(width).enumerate() {
                task(turn * rows + i, row);
            }
        });
    }
}

fn default_threads() -> std::num::NonZeroUsize {
    let threads = Pool::available().min(Pool::THREADS_MAX);
    std::num::NonZeroUsize::new(threads).unwrap_or(std::num::NonZeroUsize::MIN)
}
