//! Tools that a request offers, and whether the model may or must call them.

use gptoss_harmony::{Tool, ToolNamespace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::constrain::{CallRule, ToolRule};
use crate::conversation::names;
use crate::error::ApiError;

/// The most tools of a request.
const TOOLS_MAX: usize = 512;

/// A function that the client runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionTool {
    /// Its name.
    pub name: String,
    /// What it does.
    #[serde(default)]
    pub description: Option<String>,
    /// JSON schema of its arguments.
    #[serde(default)]
    pub parameters: Option<Value>,
    /// Whether the arguments are made to follow the schema.
    #[serde(default)]
    pub strict: Option<bool>,
}

/// Whether the model may, must or must not call a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    /// It must not.
    None,
    /// It decides.
    #[default]
    Auto,
    /// It must call one of them.
    Required,
    /// It must call this one.
    Named(String),
}

impl Choice {
    /// The choice that a word stands for.
    ///
    /// # Errors
    /// 400 for another word.
    pub(crate) fn of_word(word: &str) -> Result<Choice, ApiError> {
        match word {
            "none" => Ok(Choice::None),
            "auto" => Ok(Choice::Auto),
            "required" => Ok(Choice::Required),
            _ => {
                let message =
                    format!("expected none, auto, required or a named tool, found `{word}`");
                Err(ApiError::field("tool_choice", message))
            }
        }
    }
}

/// The tools of a request that may be called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Toolbox {
    functions: Vec<FunctionTool>,
    choice: Choice,
}

impl Toolbox {
    /// Checks tools and choice; with the choice none there are no tools, so that the model cannot
    /// call any.
    ///
    /// # Errors
    /// 400 for a bad or repeated name, a schema that is no object, and a choice that needs a tool
    /// that is not there.
    pub(crate) fn new(functions: Vec<FunctionTool>, choice: Choice) -> Result<Self, ApiError> {
        if functions.len() > TOOLS_MAX {
            let message = format!("expected at most {TOOLS_MAX}, found {}", functions.len());
            return Err(ApiError::field("tools", message));
        }
        for (i, function) in functions.iter().enumerate() {
            names::check(&format!("tools[{i}].name"), &function.name)?;
            if functions[..i].iter().any(|other| other.name == function.name) {
                let message = format!("`{}` is declared twice", function.name);
                return Err(ApiError::field(format!("tools[{i}].name"), message));
            }
            if function.parameters.as_ref().is_some_and(|schema| !schema.is_object()) {
                let message = "expected a JSON schema of type object";
                return Err(ApiError::field(format!("tools[{i}].parameters"), message));
            }
        }
        let is_there = match &choice {
            Choice::None | Choice::Auto => true,
            Choice::Required => !functions.is_empty(),
            Choice::Named(name) => functions.iter().any(|function| function.name == *name),
        };
        if !is_there {
            let message = "expected a choice among the tools of the request";
            return Err(ApiError::field("tool_choice", message));
        }
        let functions = if choice == Choice::None { Vec::new() } else { functions };
        Ok(Toolbox { functions, choice })
    }

    /// Whether there is no tool to call.
    pub(crate) fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// Whether a function of this name is declared.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.functions.iter().any(|function| function.name == name)
    }

    /// The tools as the developer message declares them.
    pub(crate) fn namespace(&self) -> Option<ToolNamespace> {
        let tool = |function: &FunctionTool| {
            let description = function.description.clone().unwrap_or_default();
            Tool::new(function.name.clone(), description, function.parameters.clone())
        };
        let tools: Vec<Tool> = self.functions.iter().map(tool).collect();
        (!tools.is_empty()).then(|| ToolNamespace::functions(tools))
    }

    /// What is enforced: the arguments of strict tools, and those of a call that must come.
    pub(crate) fn rules(&self) -> (Vec<ToolRule>, CallRule) {
        let is_forced = matches!(self.choice, Choice::Required | Choice::Named(_));
        let may_come = |function: &&FunctionTool| match &self.choice {
            Choice::Named(name) => function.name == *name,
            _ => true,
        };
        let rule = |function: &FunctionTool| {
            let enforced = is_forced || function.strict == Some(true);
            let any = || Value::from_iter([("type", "object")]);
            let schema = || function.parameters.clone().unwrap_or_else(any);
            ToolRule {
                recipient: names::recipient(&function.name, true),
                schema: enforced.then(schema),
            }
        };
        let rules = self.functions.iter().filter(may_come).map(rule).collect();
        (rules, if is_forced { CallRule::Required } else { CallRule::Auto })
    }
}
