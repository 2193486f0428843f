//! What can be set, where it is set, and what counts: flags over the environment over the file over
//! the defaults.
//!
//! The program reads flags and environment; this module has the settings themselves (`settings`),
//! the file (`file`) and how they are put together (`section`).

mod file;
mod section;
mod settings;

pub use file::{ConfigError, parse, read};
pub use settings::{
    AccessPartial, AccessSettings, LimitsPartial, LimitsSettings, LogFormat, LogPartial,
    LogSettings, ModelPartial, ModelSettings, PromptPartial, PromptSettings, ServerPartial,
    ServerSettings, Settings, SettingsPartial, StorePartial, StoreSettings,
};
