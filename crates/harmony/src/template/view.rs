//! A conversation as chat templates see it: the messages and tools of OpenAI's interface.
//!
//! A turn of the assistant is one message with `content`, `reasoning_content` and `tool_calls`,
//! where ours has several. Calls get ids in the order of the conversation, nine letters and digits
//! as Mistral's templates ask for, and a tool's answer carries the id of the first call of its name
//! that is not answered yet.

use minijinja::Value;
use serde_json::Value as Json;

use super::error::TemplateError;
use super::strftime::Date;
use crate::conversation::{Content, Conversation, Message, Role};
use crate::instructions::{DeveloperContent, SystemContent, Tool, ToolNamespaces};

/// The namespace of tools that the developer declares.
const FUNCTIONS: &str = "functions";

/// What a template is given of a conversation.
pub(super) struct View {
    pub(super) messages: Vec<Value>,
    /// `None` if no tool is declared.
    pub(super) tools: Option<Vec<Value>>,
    /// The day of the conversation.
    pub(super) today: Option<Date>,
}

/// A message that is being put together; keys in the order in which they are given out.
type Fields = Vec<(&'static str, Value)>;

/// What is done to the texts of a conversation before a template sees them.
#[derive(Clone, Copy)]
pub(super) struct Voices<'a> {
    /// To what somebody said: contents, users' names, values of arguments.
    pub(super) said: &'a dyn Fn(&str) -> String,
    /// To what templates go by: declarations of tools, names of functions, keys.
    pub(super) declared: &'a dyn Fn(&str) -> String,
}

/// Puts a view together.
struct Viewer<'a> {
    voices: Voices<'a>,
    view: View,
    /// The assistant's turn that may go on.
    turn: Option<Turn>,
    /// Calls that were not answered yet: names and ids.
    waiting: Vec<(String, String)>,
    calls: usize,
}

/// A turn of the assistant.
#[derive(Default)]
struct Turn {
    reasoning: Option<String>,
    content: Option<String>,
    calls: Vec<Value>,
}

/// The view of `conversation`, in which every text has gone through `voices`.
///
/// # Errors
/// For settings that a template has no place for, and tools' answers that answer nothing.
pub(super) fn view(conversation: &Conversation, voices: Voices<'_>) -> Result<View, TemplateError> {
    let view = View { messages: Vec::new(), tools: None, today: None };
    let mut viewer = Viewer { voices, view, turn: None, waiting: Vec::new(), calls: 0 };
    for (index, message) in conversation.messages.iter().enumerate() {
        match message.role {
            Role::System | Role::Developer => viewer.instructions(index, message)?,
            Role::User => viewer.user(message),
            Role::Assistant => viewer.assistant(message),
            Role::Tool => viewer.tool_answer(index, message)?,
        }
    }
    viewer.end_turn();
    Ok(viewer.view)
}

impl Viewer<'_> {
    fn say(&self, text: &str) -> Value {
        Value::from((self.voices.said)(text))
    }

    fn declare(&self, text: &str) -> Value {
        Value::from((self.voices.declared)(text))
    }

    fn push(&mut self, role: Role, content: &str, more: Fields) {
        self.end_turn();
        let content = self.say(content);
        let fields = [("role", Value::from(role.as_str())), ("content", content)];
        self.view.messages.push(Value::from_pairs(fields.into_iter().chain(more)));
    }

    /// A system message, and the settings that stand in it.
    fn instructions(&mut self, index: usize, message: &Message) -> Result<(), TemplateError> {
        let mut text: Option<String> = None;
        for content in &message.content {
            let said = match content {
                Content::Text(said) => Some(said.as_str()),
                Content::System(system) => {
                    self.system(index, system)?;
                    None
                }
                Content::Developer(developer) => {
                    self.developer(index, developer)?;
                    developer.instructions.as_deref()
                }
            };
            if let Some(said) = said {
                text.get_or_insert_default().push_str(said);
            }
        }
        if let Some(text) = text {
            self.push(Role::System, &text, Vec::new());
        }
        Ok(())
    }

    /// The settings of a system message, of which a template can be told the day only.
    fn system(&mut self, message: usize, system: &SystemContent) -> Result<(), TemplateError> {
        let others = [
            ("model_identity", system.model_identity.is_some()),
            ("reasoning_effort", system.reasoning_effort.is_some()),
            ("knowledge_cutoff", system.knowledge_cutoff.is_some()),
            ("channel_config", system.channel_config.is_some()),
            ("built-in tools", system.tools.is_some()),
        ];
        if let Some((what, _)) = others.into_iter().find(|(_, is_set)| *is_set) {
            return Err(TemplateError::Setting { message, what });
        }
        if let Some(date) = &system.conversation_start_date {
            let found = || TemplateError::Date { found: date.chars().take(20).collect() };
            self.view.today = Some(Date::parse(date).ok_or_else(found)?);
        }
        Ok(())
    }

    fn developer(
        &mut self,
        message: usize,
        developer: &DeveloperContent,
    ) -> Result<(), TemplateError> {
        if !developer.response_formats.is_empty() {
            return Err(TemplateError::Setting { message, what: "response_formats" });
        }
        let Some(namespaces) = &developer.tools else { return Ok(()) };
        if namespaces.values().any(|namespace| namespace.name != FUNCTIONS) {
            return Err(TemplateError::Setting { message, what: "built-in tools" });
        }
        let tools = self.tools(namespaces);
        self.view.tools.get_or_insert_default().extend(tools);
        Ok(())
    }

    fn tools(&self, namespaces: &ToolNamespaces) -> Vec<Value> {
        let declare = |text: &str| self.declare(text);
        let tool = |tool: &Tool| {
            let mut function =
                vec![("name", declare(&tool.name)), ("description", declare(&tool.description))];
            let parameters = tool.parameters.as_ref();
            function.extend(parameters.map(|json| ("parameters", self.json(json, &declare))));
            let function = Value::from_pairs(function);
            Value::from_pairs([("type", Value::from("function")), ("function", function)])
        };
        namespaces.values().flat_map(|namespace| &namespace.tools).map(tool).collect()
    }

    fn user(&mut self, message: &Message) {
        let name = message.name.as_ref().map(|name| ("name", self.say(name)));
        self.push(Role::User, &message.text(), name.into_iter().collect());
    }

    /// A message of the assistant, which begins a turn or goes on with the one that is open.
    fn assistant(&mut self, message: &Message) {
        let text = message.text();
        let mut turn = self.turn.take().unwrap_or_default();
        let is_full = turn.content.is_some() || !turn.calls.is_empty();
        if let Some(tool) = message.called_tool() {
            let call = self.call(tool, &text);
            turn.calls.push(call);
            self.turn = Some(turn);
            return;
        }
        if is_full || message.channel.as_deref() == Some("analysis") {
            self.turn = Some(turn).filter(Turn::says_something);
            self.end_turn();
            turn = Turn::default();
        }
        match message.channel.as_deref() {
            Some("analysis") => turn.reasoning = Some(text),
            _ => turn.content = Some(text),
        }
        let goes_on = matches!(message.channel.as_deref(), Some("analysis" | "commentary"));
        self.turn = Some(turn);
        if !goes_on {
            self.end_turn();
        }
    }

    fn call(&mut self, tool: &str, arguments: &str) -> Value {
        self.calls += 1;
        let id = format!("call{:05}", self.calls);
        let name = function_name(tool);
        self.waiting.push((name.to_owned(), id.clone()));
        let arguments = match serde_json::from_str(arguments) {
            Ok(arguments) => self.json(&arguments, &|text| self.say(text)),
            // What a model wrote may be anything.
            Err(_) => self.say(arguments),
        };
        let function = Value::from_pairs([("name", self.declare(name)), ("arguments", arguments)]);
        let fields =
            [("type", Value::from("function")), ("id", Value::from(id)), ("function", function)];
        Value::from_pairs(fields)
    }

    fn tool_answer(&mut self, index: usize, message: &Message) -> Result<(), TemplateError> {
        let missing = || TemplateError::ToolWithoutName { message: index };
        let name = function_name(message.name.as_deref().ok_or_else(missing)?);
        let place = self.waiting.iter().position(|(waiting, _)| waiting == name);
        let place = place.ok_or_else(|| TemplateError::AnswerWithoutCall {
            message: index,
            tool: name.chars().take(64).collect(),
        })?;
        let (_, id) = self.waiting.remove(place);
        let more = vec![("name", self.declare(name)), ("tool_call_id", Value::from(id))];
        self.push(Role::Tool, &message.text(), more);
        Ok(())
    }

    fn end_turn(&mut self) {
        let Some(turn) = self.turn.take() else { return };
        let reasoning = turn.reasoning.map(|reasoning| self.say(&reasoning));
        let mut fields: Fields = Vec::new();
        // Templates read it under either name.
        fields.extend(reasoning.clone().map(|reasoning| ("thinking", reasoning)));
        fields.push(("role", Value::from(Role::Assistant.as_str())));
        fields.push(("content", self.say(&turn.content.unwrap_or_default())));
        fields.extend(reasoning.map(|reasoning| ("reasoning_content", reasoning)));
        if !turn.calls.is_empty() {
            fields.push(("tool_calls", Value::from(turn.calls)));
        }
        self.view.messages.push(Value::from_pairs(fields));
    }

    /// JSON, with `text` done to its texts.
    fn json(&self, json: &Json, text: &dyn Fn(&str) -> Value) -> Value {
        match json {
            Json::Null => Value::from(()),
            Json::Bool(flag) => Value::from(*flag),
            Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(n), _, _) => Value::from(n),
                (None, Some(n), _) => Value::from(n),
                (None, None, x) => Value::from(x.unwrap_or_default()),
            },
            Json::String(said) => text(said),
            Json::Array(items) => {
                let items = items.iter().map(|item| self.json(item, text));
                Value::from(items.collect::<Vec<Value>>())
            }
            Json::Object(map) => {
                let pairs = map.iter();
                Value::from_pairs(
                    pairs.map(|(key, item)| (self.declare(key), self.json(item, text))),
                )
            }
        }
    }
}

impl Turn {
    fn says_something(&self) -> bool {
        self.reasoning.is_some() || self.content.is_some() || !self.calls.is_empty()
    }
}

/// The name of a function without its namespace.
fn function_name(full: &str) -> &str {
    full.strip_prefix("functions.").unwrap_or(full)
}
