//! A server of ours as a child process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::clients::environment;

/// Time until a server says its address: a debug build that reads a model on a busy machine.
const START: Duration = Duration::from_secs(120);
/// Time until a server has ended after it was asked to.
const END: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(50);

/// A running server. It is killed if it is dropped without [`Server::end`].
pub struct Server {
    name: String,
    child: Child,
    url: String,
    log: PathBuf,
}

impl Server {
    /// Starts a server and waits for the address that it prints. What it prints goes to a file.
    ///
    /// # Errors
    /// If it ends or stays silent; with the end of what it printed.
    pub fn start(root: &Path, name: &str, mut command: Command) -> Result<Server, String> {
        let log = environment::folder(root)?.join(format!("{name}.log"));
        let failed = |error: std::io::Error| format!("server {name}: {error}");
        let file = File::create(&log).map_err(failed)?;
        let both = file.try_clone().map_err(failed)?;
        command.stdin(Stdio::null()).stdout(file).stderr(both);
        let child = command.spawn().map_err(failed)?;
        let mut server = Server { name: name.to_string(), child, url: String::new(), log };
        let start = Instant::now();
        while start.elapsed() < START {
            if let Some(url) = address(&server.text()) {
                server.url = url;
                println!("server {name}: {} (prints to {})", server.url, server.log.display());
                return Ok(server);
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(server.failure(&format!("ended at once, {status}")));
            }
            std::thread::sleep(PAUSE);
        }
        Err(server.failure("said no address"))
    }

    /// Where it listens, as `http://127.0.0.1:40000`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its number among the processes.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// If it had ended before, does not end, or ends with another exit code than 0.
    pub fn end(mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(self.failure(&format!("ended too early, {status}")));
        }
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        if !asked.is_ok_and(|status| status.success()) {
            return Err(self.failure("cannot be asked to end"));
        }
        let start = Instant::now();
        while start.elapsed() < END {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(self.failure(&format!("ended with {status}"))),
                _ => std::thread::sleep(PAUSE),
            }
        }
        Err(self.failure("does not end when asked to"))
    }

    fn text(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A sentence about it, and the last lines that it printed.
    fn failure(&self, what: &str) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        format!("server {}: {what}\n{last}", self.name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail if it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the line that a server prints when clients can connect.
fn address(text: &str) -> Option<String> {
    // The last line can be written halfway.
    let whole = &text[..=text.rfind('\n')?];
    let line = whole.lines().find(|line| line.starts_with("gptoss: "))?;
    let word = line.split_whitespace().find(|word| word.starts_with("http://"))?;
    Some(word.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_stands_in_a_whole_line() {
        let line = "gptoss: nano on http://127.0.0.1:40001 (Ctrl-C ends, a second one at once)";
        assert_eq!(address(line), None);
        let text = format!("a log http://127.0.0.1:1\n{line}\n\ncurl http://127.0.0.1:2/v1\n");
        assert_eq!(address(&text), Some("http://127.0.0.1:40001".into()));
    }

    #[test]
    fn a_server_that_ends_is_told_of_with_what_it_printed() {
        let root = std::env::temp_dir().join(format!("xtask-server-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such model; exit 3"]);
        let failed = Server::start(&root, "test", command).err().unwrap_or_default();
        let _ = std::fs::remove_dir_all(&root);
        assert!(failed.contains("no such model") && failed.contains('3'), "{failed}");
    }
}
