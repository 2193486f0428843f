//! Responses that clients may ask for again, in SQLite.
//!
//! The journal is a write-ahead log with `synchronous = FULL`: what was stored survives the end of
//! the process and of the power. One flush of the disk for each response costs milliseconds, and a
//! response takes seconds to generate.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gptoss_checkpoint::private_options;
use rusqlite::{Connection, OptionalExtension, params};

use crate::config::StoreSettings;
use crate::server::now;

/// Version of the tables, kept in the file.
const VERSION: i64 = 1;
/// Seconds of a day.
const DAY: u64 = 86_400;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// SQLite says no.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The file cannot be made.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file was written by another version.
    #[error("version {found} of the tables: expected {VERSION}; give another file")]
    Version {
        /// What the file says.
        found: i64,
    },
}

/// A response with what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) id: String,
    /// Whose it is.
    pub(crate) owner: String,
    /// The response before it in the conversation.
    pub(crate) previous: Option<String>,
    /// The response as JSON.
    pub(crate) response: String,
    /// The items of its own input, as a JSON list.
    pub(crate) input: String,
}

/// Responses by id.
pub(crate) struct Store {
    connection: Mutex<Connection>,
    seconds: u64,
    responses: u64,
    bytes: u64,
}

impl Store {
    /// Opens the file, or keeps everything in memory without one.
    ///
    /// # Errors
    /// If the file cannot be opened or is no store.
    pub(crate) fn open(settings: &StoreSettings) -> Result<Store, StoreError> {
        let connection = match settings.path == Path::new("") {
            true => Connection::open_in_memory()?,
            false => {
                create_private(&settings.path)?;
                Connection::open(&settings.path)?
            }
        };
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found != 0 && found != VERSION {
            return Err(StoreError::Version { found });
        }
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS responses (
                 id TEXT PRIMARY KEY,
                 owner TEXT NOT NULL,
                 created INTEGER NOT NULL,
                 previous TEXT,
                 bytes INTEGER NOT NULL,
                 response TEXT NOT NULL,
                 input TEXT NOT NULL
             );
             CREATE INDEX IF NOT EXISTS by_age ON responses (created, bytes);",
        )?;
        connection.pragma_update(None, "user_version", VERSION)?;
        let store = Store {
            connection: Mutex::new(connection),
            seconds: settings.days.saturating_mul(DAY),
            responses: settings.responses,
            bytes: settings.bytes,
        };
        store.fail_unfinished()?;
        Ok(store)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic between two statements leaves the database as the last one left it.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says of responses in the background that the end of the program has broken them off.
    fn fail_unfinished(&self) -> Result<(), StoreError> {
        self.connection().execute(
            "UPDATE responses SET response = json_set(response,
                 '$.status', 'failed',
                 '$.error', json('{\"code\":\"server_error\",\"message\":\"the server ended\"}'))
             WHERE json_extract(response, '$.status') IN ('queued', 'in_progress')",
            [],
        )?;
        Ok(())
    }

    /// Keeps a response, in place of an earlier one of the same id.
    ///
    /// # Errors
    /// If the disk is full, say.
    pub(crate) fn put(&self, stored: &Stored) -> Result<(), StoreError> {
        let Stored { id, owner, previous, response, input } = stored;
        let bytes = (response.len() + input.len()) as i64;
        let connection = self.connection();
        connection.execute(
            "INSERT INTO responses (id, owner, created, previous, bytes, response, input)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET bytes = ?5, response = ?6, input = ?7",
            params![id, owner, now() as i64, previous, bytes, response, input],
        )?;
        self.forget(&connection)
    }

    /// Removes what is too old or too much.
    fn forget(&self, connection: &Connection) -> Result<(), StoreError> {
        let oldest = now().saturating_sub(self.seconds) as i64;
        connection.execute("DELETE FROM responses WHERE created < ?1", [oldest])?;
        let sizes = "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM responses";
        loop {
            let (count, bytes): (i64, i64) =
                connection.query_row(sizes, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let is_much = count as u64 > self.responses || bytes as u64 > self.bytes;
            if !is_much || count == 0 {
                return Ok(());
            }
            // A part at a time: each round reads all sizes.
            let part = 1 + count / 100;
            connection.execute(
                "DELETE FROM responses WHERE rowid IN
                     (SELECT rowid FROM responses ORDER BY created, rowid LIMIT ?1)",
                [part],
            )?;
        }
    }

    /// The response of this id that belongs to `owner`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn get(&self, id: &str, owner: &str) -> Result<Option<Stored>, StoreError> {
        let connection = self.connection();
        let stored = connection.query_row(
            "SELECT id, owner, previous, response, input FROM responses
             WHERE id = ?1 AND owner = ?2",
            [id, owner],
            |row| {
                Ok(Stored {
                    id: row.get(0)?,
                    owner: row.get(1)?,
                    previous: row.get(2)?,
                    response: row.get(3)?,
                    input: row.get(4)?,
                })
            },
        );
        Ok(stored.optional()?)
    }

    /// Forgets a response, and says whether there was one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn delete(&self, id: &str, owner: &str) -> Result<bool, StoreError> {
        let query = "DELETE FROM responses WHERE id = ?1 AND owner = ?2";
        Ok(self.connection().execute(query, [id, owner])? > 0)
    }
}

/// Makes an empty file that nobody but the owner may read, unless there is a file; what SQLite
/// writes beside it gets the same rights.
fn create_private(path: &Path) -> std::io::Result<()> {
    match private_options().write(true).create_new(true).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(id: &str, response: &str) -> Stored {
        Stored {
            id: id.to_owned(),
            owner: "me".to_owned(),
            previous: None,
            response: response.to_owned(),
            input: "[]".to_owned(),
        }
    }

    #[test]
    fn a_response_is_found_again_by_its_owner_only() {
        let store = Store::open(&StoreSettings::default()).unwrap();
        let first = stored("resp_1", r#"{"status":"completed"}"#);
        store.put(&first).unwrap();
        assert_eq!(store.get("resp_1", "me").unwrap(), Some(first));
        assert_eq!(store.get("resp_1", "you").unwrap(), None);
        assert!(!store.delete("resp_1", "you").unwrap());
        assert!(store.delete("resp_1", "me").unwrap());
        assert_eq!(store.get("resp_1", "me").unwrap(), None);
    }

    #[test]
    fn the_oldest_are_forgotten_when_there_are_too_many() {
        let few = StoreSettings { responses: 3, ..StoreSettings::default() };
        let small = StoreSettings { bytes: 3 * 12, ..StoreSettings::default() };
        for settings in [few, small] {
            let store = Store::open(&settings).unwrap();
            for i in 0..10 {
                store.put(&stored(&format!("resp_{i}"), r#"{"a":1234}"#)).unwrap();
            }
            let kept: Vec<usize> = (0..10)
                .filter(|i| store.get(&format!("resp_{i}"), "me").unwrap().is_some())
                .collect();
            assert_eq!(kept, [7, 8, 9]);
        }
    }

    #[test]
    fn what_was_stored_is_there_without_a_proper_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("responses.sqlite");
        let settings = StoreSettings { path, ..StoreSettings::default() };
        let store = Store::open(&settings).unwrap();
        store.put(&stored("resp_done", r#"{"status":"completed"}"#)).unwrap();
        store.put(&stored("resp_open", r#"{"status":"in_progress","error":null}"#)).unwrap();
        // The connection is never closed, as after kill -9.
        std::mem::forget(store);
        let store = Store::open(&settings).unwrap();
        let done = store.get("resp_done", "me").unwrap().unwrap();
        assert_eq!(done.response, r#"{"status":"completed"}"#);
        let open = store.get("resp_open", "me").unwrap().unwrap();
        assert!(open.response.contains(r#""status":"failed""#), "{}", open.response);
        assert!(open.response.contains("the server ended"), "{}", open.response);
    }
}
