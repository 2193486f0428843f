//! A loaded model: immutable, shared by any number of sessions.

use std::sync::{Arc, OnceLock};

use gptoss_checkpoint::{Model, ModelConfig};
use gptoss_harmony::{ChatFormat, HarmonyEncoding, TemplateEncoding, TokenId, Tokenizer};
use gptoss_kernels::Isa;
use gptoss_kernels::cached_attention::CacheElement;

use crate::chat_format::chat_format_of;
use crate::compute::Compute;
use crate::error::EngineError;
use crate::forward::ForwardModel;
use crate::options::{EngineOptions, Precision, Speculation};
use crate::profile::ProfileRow;
use crate::rope::RotaryEmbedding;
use crate::session::Session;
use crate::vocabulary::{text_begin, tokenizer_of};

/// A model that can run. Cloning shares it.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

struct Parts {
    model: Model,
    rope: RotaryEmbedding,
    compute: Compute,
    cache: CacheElement,
    speculation: Speculation,
    tokenizer: Option<Arc<Tokenizer>>,
    chat_format: OnceLock<ChatFormat>,
}

impl Engine {
    /// Loads a model by name: `nano` (compiled into the program), a file or folder, a name in the
    /// local store, or a Hugging Face repository in the local cache.
    ///
    /// # Errors
    /// [`EngineError::Checkpoint`] or [`EngineError::Tokenizer`]; the message names the file and
    /// what is wrong with it.
    pub fn load(name: &str) -> Result<Engine, EngineError> {
        Engine::load_with(name, &EngineOptions::default())
    }

    /// As [`Engine::load`], to be run as `options` say.
    ///
    /// # Errors
    /// As [`Engine::load`] and [`Engine::from_model`].
    pub fn load_with(name: &str, options: &EngineOptions) -> Result<Engine, EngineError> {
        Engine::from_model(gptoss_checkpoint::locate(name)?.open()?, options)
    }

    /// An engine of an opened model.
    ///
    /// A model without a tokenizer can be run on token ids; one that has neither harmony's special
    /// tokens nor a chat template can do everything but chat.
    ///
    /// # Errors
    /// [`EngineError::Tokenizer`] if the tokenizer's file cannot be used, [`EngineError::Isa`] and
    /// [`EngineError::Threads`] if the machine cannot do what the options ask for.
    pub fn from_model(model: Model, options: &EngineOptions) -> Result<Engine, EngineError> {
        let compute = Compute::new(options)?;
        let rope = RotaryEmbedding::new(&model.config);
        let tokenizer = tokenizer_of(&model)?;
        Ok(Engine(Arc::new(Parts {
            model,
            rope,
            compute,
            cache: options.cache(),
            speculation: options.speculation,
            tokenizer,
            chat_format: OnceLock::new(),
        })))
    }

    /// The number of threads that it computes with.
    pub fn threads(&self) -> usize {
        self.0.compute.pool.threads()
    }

    /// The instructions that it computes with.
    pub fn isa(&self) -> Isa {
        self.0.compute.isa
    }

    /// Arithmetic of matrices.
    pub fn precision(&self) -> Precision {
        self.0.compute.precision
    }

    /// Elements of its sessions' caches.
    pub fn cache_element(&self) -> CacheElement {
        self.0.cache
    }

    /// Whether its sessions compute tokens before they are asked for.
    pub fn speculation(&self) -> Speculation {
        self.0.speculation
    }

    /// Starts the clocks of all parts of the forward pass.
    pub fn profile_start(&self) {
        self.0.compute.profile.start();
    }

    /// Stops the clocks, and gives what they show: one row for each part.
    pub fn profile_take(&self) -> Vec<ProfileRow> {
        self.0.compute.profile.take()
    }

    /// The shape of the model.
    pub fn config(&self) -> &ModelConfig {
        &self.0.model.config
    }

    /// The model as opened.
    pub fn model(&self) -> &Model {
        &self.0.model
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// If the model came without one.
    pub fn tokenizer(&self) -> Result<&Arc<Tokenizer>, EngineError> {
        self.0.model.require_tokenizer()?;
        Ok(self.0.tokenizer.as_ref().expect("a model that has a tokenizer was given it"))
    }

    /// How the model talks: in harmony if its tokenizer has the special tokens of it, else with
    /// the chat template of its files.
    ///
    /// # Errors
    /// If there is no tokenizer, and as [`chat_format_of`].
    pub fn chat_format(&self) -> Result<&ChatFormat, EngineError> {
        let tokenizer = self.tokenizer()?;
        if let Some(format) = self.0.chat_format.get() {
            return Ok(format);
        }
        let format = chat_format_of(&self.0.model, tokenizer)?;
        Ok(self.0.chat_format.get_or_init(|| format))
    }

    /// The harmony format over the model's tokenizer.
    ///
    /// # Errors
    /// If there is no tokenizer, or it lacks harmony's special tokens.
    pub fn harmony(&self) -> Result<&HarmonyEncoding, EngineError> {
        match self.chat_format() {
            Ok(ChatFormat::Harmony(harmony)) => Ok(harmony),
            Ok(ChatFormat::Template(_)) | Err(EngineError::NoChatFormat { .. }) => {
                let missing = HarmonyEncoding::new(self.tokenizer()?.clone()).err();
                Err(missing.expect("a model with harmony's tokens speaks harmony").into())
            }
            Err(other) => Err(other),
        }
    }

    /// The chat template that the model talks with, if it does.
    pub fn chat_template(&self) -> Option<&TemplateEncoding> {
        self.chat_format().ok()?.as_template()
    }

    /// The token that the model's tokenizer puts before every text, if it puts one, as those of
    /// LLaMA and Mistral do and that of gpt-oss does not.
    pub fn text_begin(&self) -> Option<TokenId> {
        text_begin(&self.0.model, self.tokenizer().ok()?)
    }

    /// [`Engine::text_begin`] unless the ids of a text begin with it already.
    pub fn text_begin_before(&self, ids: &[TokenId]) -> Option<TokenId> {
        self.text_begin().filter(|begin| ids.first() != Some(begin))
    }

    /// What ends a text: what the model's files say, else what ends an answer.
    pub fn text_stop_tokens(&self) -> Vec<TokenId> {
        let of_files = self.0.model.chat.eos_token_ids.clone();
        match of_files.is_empty() {
            false => of_files,
            true => self.chat_format().map(ChatFormat::stop_tokens).unwrap_or_default(),
        }
    }

    /// An empty session with room for `context_length` tokens.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn session(&self, context_length: usize) -> Result<Session, EngineError> {
        Session::new(self, context_length)
    }

    /// What a forward pass reads.
    pub fn forward_model(&self) -> ForwardModel<'_> {
        let Parts { model, rope, compute, .. } = &*self.0;
        ForwardModel { config: &model.config, weights: &model.weights, rope, compute }
    }
}
