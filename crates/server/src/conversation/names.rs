//! Names that stand in the header of a message, where a space or a sign would mean something else.

use crate::error::ApiError;

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Checks the name of a tool or of a user.
///
/// # Errors
/// 400 for an empty or long one, and one with other signs than letters, digits, `_`, `-` and `.`.
pub(crate) fn check(param: &str, name: &str) -> Result<(), ApiError> {
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(is_sign) {
        return Ok(());
    }
    let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
    let message =
        format!("expected 1 to {NAME_BYTES_MAX} letters, digits, `_`, `-` or `.`, found {shown:?}");
    Err(ApiError::field(param, message))
}

fn is_sign(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-.".contains(c)
}

/// The recipient of a call of the tool `name`: a function of the developer, or a tool that the
/// models know of themselves.
pub(crate) fn recipient(name: &str, is_declared: bool) -> String {
    let built_in = ["browser.", "container.", "functions."];
    let is_built_in = name == "python" || built_in.iter().any(|prefix| name.starts_with(prefix));
    match is_built_in && !is_declared {
        true => name.to_owned(),
        false => format!("functions.{name}"),
    }
}

/// The name of the tool that a recipient means to the client. Models invent recipients: whatever
/// comes out passes [`check`], so that the client can send it back.
pub(crate) fn tool(recipient: &str) -> String {
    let name = recipient.strip_prefix("functions.").unwrap_or(recipient);
    let name = name.chars().take(NAME_BYTES_MAX);
    let name: String = name.map(|c| if is_sign(c) { c } else { '_' }).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_change_the_header_are_refused() {
        for name in ["get_weather", "a.b-c", "A1"] {
            assert_eq!(check("name", name), Ok(()), "{name}");
        }
        let long = "a".repeat(129);
        for name in ["", "a b", "f<|message|>", "to=user", "é", "a:b", "a\n", &long] {
            assert!(check("name", name).is_err(), "{name}");
        }
    }

    #[test]
    fn invented_recipients_become_names_that_may_come_back() {
        for recipient in ["functions.", "", "é", "functions.a<|b", &"x".repeat(500)] {
            assert_eq!(check("name", &tool(recipient)), Ok(()), "{recipient}");
        }
        assert_eq!(tool("functions.a/b"), "a_b");
    }

    #[test]
    fn recipients_and_tools_are_inverse() {
        for (name, is_declared, expected) in [
            ("f", true, "functions.f"),
            ("f", false, "functions.f"),
            ("python", false, "python"),
            ("python", true, "functions.python"),
            ("browser.search", false, "browser.search"),
        ] {
            assert_eq!(recipient(name, is_declared), expected);
            assert_eq!(tool(expected), name);
        }
    }
}
