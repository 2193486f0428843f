//! The JSON schema of a tool's arguments as the TypeScript type that gpt-oss was trained to read.
//!
//! | schema | TypeScript |
//! |---|---|
//! | `type: [a, b]` | `a \| b`, integer as number |
//! | `string` with `enum` | `"x" \| "y"` |
//! | `string`, `number`, `integer`, `boolean` | `string`, `number`, `number`, `boolean` |
//! | `array` | `T[]`, without items `Array<any>` |
//! | `object` | `{`, one line a property, `}` |
//! | `oneOf` | a line ` \| T` for each variant |
//! | `nullable` | `T \| null` |
//! | anything else | `any` |
//!
//! Titles, descriptions, examples and defaults become comments. The rules, including where a
//! default of an enum stands in quotes, are those that openai-harmony 0.0.8 shows, because the
//! models saw its output; `testdata/harmony/render.jsonl.gz` holds the cases.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Map, Value};

/// The number of nested schemas that are rendered; deeper ones are an error.
pub(crate) const SCHEMA_DEPTH_MAX: usize = 128;

/// A schema that is nested more deeply than [`SCHEMA_DEPTH_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooDeep;

/// The TypeScript type of `schema`, starting in the first column.
///
/// # Errors
/// [`TooDeep`] if schemas are nested more than [`SCHEMA_DEPTH_MAX`] deep.
pub(crate) fn typescript(schema: &Value) -> Result<String, TooDeep> {
    type_of(schema, Place { indent: 0, depth: 0 })
}

/// How far a schema is indented and nested.
#[derive(Clone, Copy)]
struct Place {
    indent: usize,
    depth: usize,
}

impl Place {
    fn deeper(self, columns: usize) -> Self {
        Self { indent: self.indent + columns, depth: self.depth + 1 }
    }

    fn margin(self) -> String {
        " ".repeat(self.indent)
    }
}

fn type_of(schema: &Value, place: Place) -> Result<String, TooDeep> {
    if place.depth >= SCHEMA_DEPTH_MAX {
        return Err(TooDeep);
    }
    if let Some(variants) = schema.get("oneOf").and_then(Value::as_array) {
        return union(variants, place);
    }
    match schema.get("type") {
        Some(Value::Array(types)) => Ok(type_list(types)),
        Some(Value::String(name)) => match name.as_str() {
            "object" => object(schema, place),
            "string" => Ok(string(schema)),
            "number" | "integer" => Ok("number".to_owned()),
            "boolean" => Ok("boolean".to_owned()),
            "array" => match schema.get("items") {
                Some(items) => Ok(type_of(items, place.deeper(0))? + "[]"),
                None => Ok("Array<any>".to_owned()),
            },
            _ => Ok("any".to_owned()),
        },
        _ => Ok("any".to_owned()),
    }
}

/// The variants of a `oneOf` that is not a property, each on a line of its own.
fn union(variants: &[Value], place: Place) -> Result<String, TooDeep> {
    let mut out = String::new();
    for variant in variants {
        out += &format!("\n{} | {}", place.margin(), nullable_type(variant, place.deeper(3))?);
        let default = default_comment(variant, EnumDefault::Quoted);
        out += &trailing_comment(text(variant, "description"), default);
    }
    Ok(out)
}

/// The type of a variant or property, with ` | null` where the schema allows null.
fn nullable_type(schema: &Value, place: Place) -> Result<String, TooDeep> {
    let mut name = type_of(schema, place)?;
    let nullable = schema.get("nullable").and_then(Value::as_bool) == Some(true);
    if nullable && !name.contains("null") {
        name += " | null";
    }
    Ok(name)
}

fn type_list(types: &[Value]) -> String {
    let names = types.iter().filter_map(Value::as_str);
    let names: Vec<_> = names.map(|name| if name == "integer" { "number" } else { name }).collect();
    if names.is_empty() { "any".to_owned() } else { names.join(" | ") }
}

fn string(schema: &Value) -> String {
    let values = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let values = values.filter_map(Value::as_str).map(|value| format!("\"{value}\""));
    let values: Vec<_> = values.collect();
    if values.is_empty() { "string".to_owned() } else { values.join(" | ") }
}

fn object(schema: &Value, place: Place) -> Result<String, TooDeep> {
    let margin = place.margin();
    let mut out = String::new();
    if let Some(description) = text(schema, "description") {
        out += &format!("{margin}// {description}\n");
    }
    out += "{\n";
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let required: std::collections::BTreeSet<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (key, property_schema) in properties {
        let mark = if required.contains(key.as_str()) { "" } else { "?" };
        out += &property(&format!("{key}{mark}"), property_schema, place)?;
    }
    Ok(out + &margin + "}")
}

/// One property with the comments above it; `name` carries the question mark already.
fn property(name: &str, schema: &Value, place: Place) -> Result<String, TooDeep> {
    let margin = place.margin();
    let mut out = String::new();
    if let Some(title) = text(schema, "title") {
        out += &format!("{margin}// {title}\n{margin}//\n");
    }
    let one_of = schema.get("oneOf");
    if one_of.is_none()
        && let Some(description) = text(schema, "description")
    {
        out += &format!("{margin}// {description}\n");
    }
    if let Some(examples) = schema.get("examples").and_then(Value::as_array)
        && !examples.is_empty()
    {
        out += &format!("{margin}// Examples:\n");
        for example in examples.iter().filter_map(Value::as_str) {
            out += &format!("{margin}// - \"{example}\"\n");
        }
    }
    if let Some(variants) = one_of.and_then(Value::as_array) {
        return Ok(out + &union_property(name, schema, variants, place)?);
    }
    out += &format!("{margin}{name}: {},", nullable_type(schema, place.deeper(4))?);
    if one_of.is_none() {
        out += &trailing_comment(None, default_comment(schema, EnumDefault::Bare));
    }
    Ok(out + "\n")
}

/// A property of `oneOf`: its description and default above it, each variant below it.
fn union_property(
    name: &str,
    schema: &Value,
    variants: &[Value],
    place: Place,
) -> Result<String, TooDeep> {
    let margin = place.margin();
    let mut out = String::new();
    let description = text(schema, "description");
    // A description that the first variant repeats is not said at all.
    let first = variants.first().and_then(|variant| text(variant, "description"));
    let said_above = description.is_some() && description != first;
    if let Some(description) = description.filter(|_| said_above) {
        out += &format!("{margin}// {description}\n");
    }
    if let Some(default) = default_comment(schema, EnumDefault::Bare) {
        out += &format!("{margin}// {default}\n");
    }
    out += &format!("{margin}{name}:\n");
    for (i, variant) in variants.iter().enumerate() {
        out += &format!("{margin} | {}", nullable_type(variant, place.deeper(3))?);
        let comment = text(variant, "description")
            .filter(|own| Some(*own) != description && !(i == 0 && said_above));
        out += &trailing_comment(comment, default_comment(variant, EnumDefault::Bare));
        out += "\n";
    }
    Ok(out + &margin + ",\n")
}

/// How the default of an enum is written.
#[derive(Clone, Copy, PartialEq)]
enum EnumDefault {
    Bare,
    Quoted,
}

fn default_comment(schema: &Value, enum_default: EnumDefault) -> Option<String> {
    let default = schema.get("default")?;
    let is_enum =
        schema.get("enum").and_then(Value::as_array).is_some_and(|values| !values.is_empty());
    Some(match default {
        // Not escaped: the quotes only show where the text begins and ends.
        Value::String(value) if !is_enum => format!("default: \"{value}\""),
        Value::String(value) if enum_default == EnumDefault::Bare => format!("default: {value}"),
        other => format!("default: {}", json_text(other)),
    })
}

/// Compact JSON with the exponents that the models have seen, `1e21` and not `1e+21`.
fn json_text(value: &Value) -> String {
    struct PlainExponent;
    impl Formatter for PlainExponent {
        fn write_f64<W: ?Sized + io::Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
            out.write_all(Value::from(value).to_string().replace("e+", "e").as_bytes())
        }
    }
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, PlainExponent);
    value.serialize(&mut serializer).expect("a value is JSON, and writing to memory does not fail");
    String::from_utf8(json).expect("JSON is UTF-8")
}

fn trailing_comment(description: Option<&str>, default: Option<String>) -> String {
    let parts: Vec<&str> = description.into_iter().chain(default.as_deref()).collect();
    if parts.is_empty() { String::new() } else { format!(" // {}", parts.join(" ")) }
}

fn text<'a>(schema: &'a Value, key: &str) -> Option<&'a str> {
    schema.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn comments_stand_above_the_property_and_defaults_behind_it() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string", "title": "City", "description": "where",
                         "examples": ["Paris", 3]},
                "unit": {"type": "string", "enum": ["c", "f"], "default": "c"},
                "days": {"type": "integer", "default": 3, "nullable": true},
            },
            "required": ["city"],
        });
        expect_test::expect![[r#"
            {
            // City
            //
            // where
            // Examples:
            // - "Paris"
            city: string,
            unit?: "c" | "f", // default: c
            days?: number | null, // default: 3
            }"#]]
        .assert_eq(&typescript(&schema).unwrap());
    }

    #[test]
    fn a_schema_of_128_levels_is_rendered_and_one_more_is_an_error() {
        for (wrap, name) in [("items", "array"), ("oneOf", "union"), ("properties", "object")] {
            let nested = |levels: usize| {
                let mut schema = json!({"type": "string"});
                for _ in 1..levels {
                    schema = match wrap {
                        "items" => json!({"type": "array", "items": schema}),
                        "oneOf" => json!({"oneOf": [schema]}),
                        _ => json!({"type": "object", "properties": {"p": schema}}),
                    };
                }
                typescript(&schema)
            };
            assert!(nested(SCHEMA_DEPTH_MAX).is_ok(), "{name}");
            assert_eq!(nested(SCHEMA_DEPTH_MAX + 1), Err(TooDeep), "{name}");
        }
    }

    #[test]
    fn what_is_no_schema_is_any() {
        for schema in [json!(null), json!(true), json!([]), json!("string"), json!({"type": []})] {
            assert_eq!(typescript(&schema).unwrap(), "any", "{schema}");
        }
    }
}
