//! The text of system and developer messages: their sections, one blank line apart.

use crate::error::HarmonyError;
use crate::instructions::{
    DeveloperContent, ResponseFormat, SystemContent, Tool, ToolNamespace, ToolNamespaces,
};
use crate::typescript::{SCHEMA_DEPTH_MAX, typescript};

/// Whether some developer message of the conversation declares functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FunctionTools {
    Declared,
    None,
}

/// The text of a system message.
///
/// # Errors
/// [`HarmonyError::SchemaTooDeep`] for a tool whose schema is nested too deeply.
pub(crate) fn system_text(
    system: &SystemContent,
    functions: FunctionTools,
) -> Result<String, HarmonyError> {
    let mut sections = Vec::new();
    let head: Vec<String> = [
        system.model_identity.clone(),
        system.knowledge_cutoff.as_ref().map(|month| format!("Knowledge cutoff: {month}")),
        system.conversation_start_date.as_ref().map(|day| format!("Current date: {day}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !head.is_empty() {
        sections.push(head.join("\n"));
    }
    if let Some(effort) = system.reasoning_effort {
        sections.push(format!("Reasoning: {}", effort.as_str()));
    }
    push_tools(&mut sections, system.tools.as_ref())?;
    if let Some(config) = &system.channel_config
        && !config.valid_channels.is_empty()
    {
        let mut section = format!("# Valid channels: {}.", config.valid_channels.join(", "));
        if config.channel_required {
            section += " Channel must be included for every message.";
        }
        if functions == FunctionTools::Declared {
            section += "\nCalls to these tools must go to the commentary channel: 'functions'.";
        }
        sections.push(section);
    }
    Ok(sections.join("\n\n"))
}

/// The text of a developer message.
///
/// # Errors
/// [`HarmonyError::SchemaTooDeep`] for a tool whose schema is nested too deeply.
pub(crate) fn developer_text(developer: &DeveloperContent) -> Result<String, HarmonyError> {
    let mut sections = Vec::new();
    if let Some(instructions) = &developer.instructions {
        sections.push(format!("# Instructions\n\n{instructions}"));
    }
    push_tools(&mut sections, developer.tools.as_ref())?;
    if !developer.response_formats.is_empty() {
        sections.push("# Response Formats".to_owned());
        sections.extend(developer.response_formats.iter().map(response_format_text));
    }
    Ok(sections.join("\n\n"))
}

fn push_tools(
    sections: &mut Vec<String>,
    namespaces: Option<&ToolNamespaces>,
) -> Result<(), HarmonyError> {
    let Some(namespaces) = namespaces.filter(|namespaces| !namespaces.is_empty()) else {
        return Ok(());
    };
    sections.push("# Tools".to_owned());
    for namespace in namespaces.values() {
        sections.push(namespace_text(namespace)?);
    }
    Ok(())
}

/// A namespace: its description as comments and its tools as types, or, without tools, only the
/// description as plain text.
fn namespace_text(namespace: &ToolNamespace) -> Result<String, HarmonyError> {
    let name = &namespace.name;
    let mut lines = vec![format!("## {name}\n")];
    let comment = if namespace.tools.is_empty() { "" } else { "// " };
    let description = namespace.description.as_deref().unwrap_or_default();
    lines.extend(description.lines().map(|line| format!("{comment}{line}")));
    if !namespace.tools.is_empty() {
        lines.push(format!("namespace {name} {{\n"));
        for tool in &namespace.tools {
            lines.extend(tool.description.lines().map(|line| format!("// {line}")));
            lines.push(tool_type(tool)?);
        }
        lines.push(format!("}} // namespace {name}"));
    }
    Ok(lines.join("\n"))
}

fn tool_type(tool: &Tool) -> Result<String, HarmonyError> {
    let arguments = match &tool.parameters {
        None => String::new(),
        Some(schema) => {
            let typescript = typescript(schema).map_err(|_| HarmonyError::SchemaTooDeep {
                tool: tool.name.clone(),
                depth_max: SCHEMA_DEPTH_MAX,
            })?;
            format!("_: {typescript}")
        }
    };
    Ok(format!("type {} = ({arguments}) => any;\n", tool.name))
}

/// One format of the section `# Response Formats`, as openai/harmony's docs/format.md shows it
/// under "Structured output"; openai-harmony itself does not render formats.
fn response_format_text(format: &ResponseFormat) -> String {
    let mut text = format!("## {}\n\n", format.name);
    for line in format.description.as_deref().unwrap_or_default().lines() {
        text += &format!("// {line}\n");
    }
    text + &format.schema.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn response_formats_follow_instructions_and_tools() {
        let format = |name: &str, description: Option<&str>| ResponseFormat {
            name: name.to_owned(),
            description: description.map(str::to_owned),
            schema: json!({"type": "object", "properties": {"z": {}, "a": {"type": "string"}}}),
        };
        let developer = DeveloperContent {
            instructions: Some("Help with shopping.".to_owned()),
            response_formats: vec![
                format("list", Some("What to buy.\nIn order.")),
                format("b", None),
            ],
            ..DeveloperContent::default()
        }
        .with_tools(ToolNamespace::functions(vec![Tool::new("now", "The time.", None)]));
        expect_test::expect![[r##"
            # Instructions

            Help with shopping.

            # Tools

            ## functions

            namespace functions {

            // The time.
            type now = () => any;

            } // namespace functions

            # Response Formats

            ## list

            // What to buy.
            // In order.
            {"type":"object","properties":{"z":{},"a":{"type":"string"}}}

            ## b

            {"type":"object","properties":{"z":{},"a":{"type":"string"}}}"##]]
        .assert_eq(&developer_text(&developer).unwrap());
    }

    #[test]
    fn nothing_set_is_no_text() {
        assert_eq!(developer_text(&DeveloperContent::default()).unwrap(), "");
        let system: SystemContent = serde_json::from_value(json!({})).unwrap();
        assert_eq!(system_text(&system, FunctionTools::Declared).unwrap(), "");
    }
}
