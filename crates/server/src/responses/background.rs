//! Responses that are generated while nobody waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::error::ApiError;

/// Those that are being generated.
pub(crate) struct Background {
    at_once: usize,
    running: Mutex<HashMap<String, Running>>,
    ended: Notify,
}

struct Running {
    owner: String,
    cancel: Arc<Notify>,
}

/// The right to run in the background; dropping it gives it back.
pub(crate) struct Slot {
    background: Arc<Background>,
    id: String,
    cancel: Arc<Notify>,
}

impl Background {
    pub(crate) fn new(at_once: usize) -> Background {
        Background { at_once, running: Mutex::default(), ended: Notify::new() }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the response `id`.
    ///
    /// # Errors
    /// 429 if there are too many.
    pub(crate) fn begin(self: &Arc<Self>, id: &str, owner: &str) -> Result<Slot, ApiError> {
        let mut running = self.running();
        if running.len() >= self.at_once {
            let message = format!("{} responses are generated in the background", running.len());
            return Err(ApiError::too_many(message, 10));
        }
        let cancel = Arc::new(Notify::new());
        let entry = Running { owner: owner.to_owned(), cancel: cancel.clone() };
        running.insert(id.to_owned(), entry);
        Ok(Slot { background: self.clone(), id: id.to_owned(), cancel })
    }

    /// Asks the response `id` of `owner` to end; false if it is not being generated.
    pub(crate) fn cancel(&self, id: &str, owner: &str) -> bool {
        let running = self.running();
        let found = running.get(id).filter(|running| running.owner == owner);
        found.map(|running| running.cancel.notify_one()).is_some()
    }

    /// Whether the response `id` is being generated.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.running().contains_key(id)
    }

    /// Asks all to end.
    pub(crate) fn cancel_all(&self) {
        self.running().values().for_each(|running| running.cancel.notify_one());
    }

    /// Waits until the response `id` has ended.
    pub(crate) async fn ended(&self, id: &str) {
        self.until(|| !self.has(id)).await;
    }

    /// Waits until all have ended.
    pub(crate) async fn finished(&self) {
        self.until(|| self.running().is_empty()).await;
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        loop {
            // Before the look, so that an end in between is noticed.
            let ended = self.ended.notified();
            if is_so() {
                return;
            }
            ended.await;
        }
    }
}

impl Slot {
    /// Done when somebody asks it to end.
    pub(crate) async fn cancelled(&self) {
        self.cancel.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.background.running().remove(&self.id);
        self.background.ended.notify_waiters();
    }
}
