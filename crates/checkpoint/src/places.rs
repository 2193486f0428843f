//! The two folders in which models are looked for: the Hugging Face cache and the local store.

use std::ffi::OsString;
use std::path::PathBuf;

/// The two folders in which models are looked for by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Hugging Face's cache, shared with other programs; `None` if no home folder is known.
    pub hub_cache: Option<PathBuf>,
    /// Our own folder; models lie in `models/` below it. `None` if no home folder is known.
    pub store: Option<PathBuf>,
}

impl Places {
    /// The folders that the environment of this process names.
    pub fn from_env() -> Places {
        Places::from_variables(|name| std::env::var_os(name))
    }

    /// The folders that the given variables name. An empty variable counts as unset.
    ///
    /// The cache is the first of `$HF_HUB_CACHE`, `$HUGGINGFACE_HUB_CACHE`, `$HF_HOME/hub`,
    /// `$XDG_CACHE_HOME/huggingface/hub`, `~/.cache/huggingface/hub`, as in huggingface_hub.
    /// The store is `$GPTOSS_HOME`, else the platform's folder for data of applications.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Places {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = set("HOME").or_else(|| set("USERPROFILE")).map(PathBuf::from);
        let folder = |name: &str| Some(expand_home(PathBuf::from(set(name)?), home.as_ref()));
        let hub_cache = folder("HF_HUB_CACHE")
            .or_else(|| folder("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(folder("HF_HOME")?.join("hub")))
            .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("huggingface").join("hub")))
            .or_else(|| Some(home.as_ref()?.join(".cache").join("huggingface").join("hub")));
        let data = if cfg!(windows) {
            folder("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            home.as_ref().map(|home| home.join("Library").join("Application Support"))
        } else {
            folder("XDG_DATA_HOME").or_else(|| Some(home.as_ref()?.join(".local").join("share")))
        };
        let store = folder("GPTOSS_HOME").or_else(|| Some(data?.join("gptoss")));
        Places { hub_cache, store }
    }
}

/// Hugging Face's cache of models, `None` if no home folder is known. It need not exist.
pub fn hub_cache_dir() -> Option<PathBuf> {
    Places::from_env().hub_cache
}

/// Our own folder for models and settings, `None` if no home folder is known. It need not exist.
pub fn store_dir() -> Option<PathBuf> {
    Places::from_env().store
}

fn expand_home(path: PathBuf, home: Option<&PathBuf>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(variables: &[(&str, &str)]) -> Places {
        Places::from_variables(|name| {
            let (_, value) = variables.iter().find(|(n, _)| *n == name)?;
            Some(OsString::from(value))
        })
    }

    #[test]
    fn the_cache_is_where_other_programs_keep_it() {
        let mut variables = vec![
            ("HF_HUB_CACHE", "/a"),
            ("HUGGINGFACE_HUB_CACHE", "/b"),
            ("HF_HOME", "/c"),
            ("XDG_CACHE_HOME", "/d"),
            ("HOME", "/e"),
        ];
        let expected = ["/a", "/b", "/c/hub", "/d/huggingface/hub", "/e/.cache/huggingface/hub"];
        for folder in expected {
            assert_eq!(places(&variables).hub_cache, Some(PathBuf::from(folder)));
            variables.remove(0);
        }
        assert_eq!(places(&variables).hub_cache, None);
        assert_eq!(
            places(&[("HF_HOME", "~/x"), ("HOME", "/e")]).hub_cache,
            Some(PathBuf::from("/e/x/hub"))
        );
        let empty = places(&[("HF_HOME", ""), ("HOME", "/e")]);
        assert_eq!(empty.hub_cache, Some(PathBuf::from("/e/.cache/huggingface/hub")));
    }

    #[test]
    fn the_store_can_be_moved() {
        let moved = places(&[("GPTOSS_HOME", "/models"), ("HOME", "/e")]);
        assert_eq!(moved.store, Some(PathBuf::from("/models")));
        assert_eq!(places(&[]).store, None);
    }

    #[test]
    #[cfg(all(unix, not(target_os = "macos")))]
    fn the_store_is_in_the_folder_for_data() {
        let xdg = places(&[("XDG_DATA_HOME", "/d"), ("HOME", "/e")]);
        assert_eq!(xdg.store, Some(PathBuf::from("/d/gptoss")));
        assert_eq!(places(&[("HOME", "/e")]).store, Some(PathBuf::from("/e/.local/share/gptoss")));
    }
}
