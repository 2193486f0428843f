//! What of JSON schema is refused before the matcher sees it.

use serde_json::Value;

use crate::spec::GrammarError;

/// Keywords that the matcher takes and does not follow.
const NOT_FOLLOWED: [&str; 1] = ["patternProperties"];

/// Levels of a schema, so that recursion over it ends.
const MAX_DEPTH: usize = 64;

/// Keywords whose values map names to schemas: the names are no keywords.
const NAMED: [&str; 4] = ["properties", "$defs", "definitions", "dependentSchemas"];

/// Keywords whose values are data, not schemas.
const DATA: [&str; 4] = ["const", "enum", "default", "examples"];

/// Refuses a schema with a keyword that would not be followed.
pub(crate) fn check(schema: &Value) -> Result<(), GrammarError> {
    schema_at(schema, "", 0)
}

fn schema_at(schema: &Value, pointer: &str, depth: usize) -> Result<(), GrammarError> {
    if depth > MAX_DEPTH {
        return Err(GrammarError::Depth { max: MAX_DEPTH });
    }
    match schema {
        Value::Object(map) => map.iter().try_for_each(|(keyword, value)| {
            if NOT_FOLLOWED.contains(&keyword.as_str()) {
                let pointer = if pointer.is_empty() { "the top" } else { pointer }.to_owned();
                return Err(GrammarError::Keyword { keyword: keyword.clone(), pointer });
            }
            let inner = format!("{pointer}/{keyword}");
            match value {
                _ if DATA.contains(&keyword.as_str()) => Ok(()),
                Value::Object(named) if NAMED.contains(&keyword.as_str()) => {
                    named.iter().try_for_each(|(name, value)| {
                        schema_at(value, &format!("{inner}/{name}"), depth + 1)
                    })
                }
                value => schema_at(value, &inner, depth + 1),
            }
        }),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .try_for_each(|(i, value)| schema_at(value, &format!("{pointer}/{i}"), depth + 1)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_keyword_that_is_not_followed_is_refused_where_it_stands() {
        let schema = json!({"properties": {"a": {"items": [{"patternProperties": {}}]}}});
        let error = check(&schema).unwrap_err();
        assert_eq!(
            error.to_string(),
            "not supported: JSON schema keyword `patternProperties` at /properties/a/items/0"
        );
    }

    #[test]
    fn names_and_data_are_no_keywords() {
        let schema = json!({
            "properties": {"patternProperties": {"const": {"patternProperties": 1}}},
        });
        assert_eq!(check(&schema), Ok(()));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = (0..100).fold(json!({}), |inner, _| json!({"not": inner}));
        assert_eq!(check(&deep), Err(GrammarError::Depth { max: MAX_DEPTH }));
    }
}
