//! How much each client has running, and how often it asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::config::LimitsSettings;
use crate::error::ApiError;

/// Clients that are remembered; those that have nothing running are forgotten first.
const GUESTS_MAX: usize = 10_000;

/// All clients.
pub(crate) struct Guests {
    concurrent: usize,
    per_minute: usize,
    guests: Mutex<HashMap<String, Guest>>,
}

struct Guest {
    running: usize,
    /// Requests that may come at once: refilled at the rate, at most a minute's worth.
    allowance: f64,
    refilled: Instant,
}

/// The right to run one request; dropping it gives it back.
pub(crate) struct Pass {
    guests: Arc<Guests>,
    name: String,
}

impl Guests {
    pub(crate) fn new(limits: &LimitsSettings) -> Guests {
        Guests {
            concurrent: limits.concurrent_requests,
            per_minute: limits.requests_per_minute,
            guests: Mutex::default(),
        }
    }

    /// Lets a client's request in.
    ///
    /// # Errors
    /// 429 if it has too many running, or asks too often.
    pub(crate) fn enter(self: &Arc<Guests>, name: &str) -> Result<Pass, ApiError> {
        let now = Instant::now();
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if guests.len() >= GUESTS_MAX {
            guests.retain(|_, guest| guest.running > 0);
        }
        let per_minute = self.per_minute as f64;
        let fresh = || Guest { running: 0, allowance: per_minute, refilled: now };
        let guest = guests.entry(name.to_owned()).or_insert_with(fresh);
        if self.concurrent > 0 && guest.running >= self.concurrent {
            let message = format!("{} requests of this client are running", guest.running);
            return Err(ApiError::too_many(message, 1));
        }
        if self.per_minute > 0 {
            let seconds = now.duration_since(guest.refilled).as_secs_f64();
            guest.allowance = (guest.allowance + seconds * per_minute / 60.0).min(per_minute);
            guest.refilled = now;
            if guest.allowance < 1.0 {
                let wait = (1.0 - guest.allowance) * 60.0 / per_minute;
                let message = format!("more than {} requests a minute", self.per_minute);
                return Err(ApiError::too_many(message, wait.ceil() as u64));
            }
            guest.allowance -= 1.0;
        }
        guest.running += 1;
        Ok(Pass { guests: self.clone(), name: name.to_owned() })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut guests = self.guests.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guest) = guests.get_mut(&self.name) {
            guest.running -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_take_the_place_of_another() {
        let limits = LimitsSettings { concurrent_requests: 2, ..LimitsSettings::default() };
        let guests = Arc::new(Guests::new(&limits));
        let first = guests.enter("a").unwrap();
        let _second = guests.enter("a").unwrap();
        assert_eq!(guests.enter("a").err().unwrap().status.as_u16(), 429);
        assert!(guests.enter("b").is_ok());
        drop(first);
        assert!(guests.enter("a").is_ok());
    }

    #[test]
    fn who_asks_too_often_is_told_when_to_come_again() {
        let limits = LimitsSettings { requests_per_minute: 3, ..LimitsSettings::default() };
        let guests = Arc::new(Guests::new(&limits));
        for _ in 0..3 {
            assert!(guests.enter("a").is_ok());
        }
        let error = guests.enter("a").err().unwrap();
        assert!(error.retry_after.is_some_and(|seconds| (1..=20).contains(&seconds)), "{error:?}");
    }
}
