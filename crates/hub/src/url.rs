//! The little of addresses that a hub client needs: origin, joining, percent-encoding.

/// An `http` or `https` address without a user part and without a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// Everything up to the path: `https://host[:port]`, lower case, default port left out.
    origin: String,
    /// From the first `/` on, query included; never empty.
    rest: String,
}

impl Url {
    /// Reads an absolute address; `None` if it is not one that this client may open.
    pub fn parse(text: &str) -> Option<Self> {
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        let text = text.split('#').next().unwrap_or(text);
        let (scheme, after) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => return None,
        };
        let end = after.find(['/', '?']).unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        let authority = authority.to_ascii_lowercase();
        let host_ends = authority.rfind(']').map_or(0, |i| i + 1);
        let (host, port) = match authority[host_ends..].rfind(':') {
            Some(i) => authority.split_at(host_ends + i),
            None => (authority.as_str(), ""),
        };
        let port_fits = port.is_empty() || port[1..].parse::<u16>().is_ok_and(|p| p != 0);
        let host_fits = |b: u8| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b);
        if host.is_empty() || !host.bytes().all(host_fits) || !port_fits {
            return None;
        }
        let port = if port == default_port { "" } else { port };
        let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        Some(Self { origin: format!("{scheme}://{host}{port}"), rest })
    }

    /// The address that a `Location` or `Link` found at this address names.
    pub fn join(&self, reference: &str) -> Option<Self> {
        if reference.contains("://") && !reference.starts_with(['/', '?']) {
            return Self::parse(reference);
        }
        if let Some(authority) = reference.strip_prefix("//") {
            return Self::parse(&format!("{}://{authority}", self.scheme()));
        }
        if reference.starts_with('/') {
            return Self::parse(&format!("{}{reference}", self.origin));
        }
        let path = self.rest.split('?').next().unwrap_or("/");
        if reference.starts_with('?') {
            return Self::parse(&format!("{}{path}{reference}", self.origin));
        }
        let folder = &path[..path.rfind('/').map_or(0, |i| i + 1)];
        Self::parse(&format!("{}{folder}{reference}", self.origin))
    }

    /// The address with more path behind it; `tail` begins with `/`.
    pub fn with_tail(&self, tail: &str) -> Self {
        let base = self.rest.trim_end_matches('/');
        Self { origin: self.origin.clone(), rest: format!("{base}{tail}") }
    }

    /// The address with a query, which it has not yet.
    pub fn with_query(&self, query: &str) -> Self {
        Self { origin: self.origin.clone(), rest: format!("{}?{query}", self.rest) }
    }

    /// Scheme, host and port: what a token may be sent to.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Host and port, for messages: paths and queries may hold signatures.
    pub fn host(&self) -> &str {
        self.origin.split("://").nth(1).unwrap_or(&self.origin)
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        self.origin.split("://").next().unwrap_or("http")
    }

    /// The whole address.
    pub fn to_text(&self) -> String {
        format!("{}{}", self.origin, self.rest)
    }
}

/// Percent-encodes all but unreserved characters and those in `keep`, which is `/` for paths.
pub(crate) fn encode(text: &str, keep: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || keep.contains(c) {
            out.push(c);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The address with `rel="next"` in a `Link` header (RFC 8288).
pub(crate) fn next_link(header: &str) -> Option<&str> {
    for part in header.split(", ") {
        let (address, parameters) = part.trim().strip_prefix('<')?.split_once('>')?;
        let next = |p: &str| {
            let p = p.trim().to_ascii_lowercase();
            p == "rel=\"next\"" || p == "rel=next"
        };
        if parameters.split(';').any(next) {
            return Some(address);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_normalised() {
        let cases = [
            ("https://huggingface.co", "https://huggingface.co", "/"),
            ("HTTPS://HuggingFace.co:443/a?b#c", "https://huggingface.co", "/a?b"),
            ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080", "/x"),
            ("http://[::1]:80/", "http://[::1]", "/"),
            ("http://h?q=1", "http://h", "/?q=1"),
        ];
        for (text, origin, rest) in cases {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.origin(), url.rest.as_str()), (origin, rest), "{text}");
        }
        let refused = [
            "",
            "huggingface.co",
            "ftp://h/",
            "https://",
            "https://user:word@h/",
            "http://h:0/",
            "http://h:99999/",
            "http://h x/",
            "http://h/\r\nx",
            "file:///etc/passwd",
            "http://h:a/",
        ];
        for text in refused {
            assert_eq!(Url::parse(text), None, "{text}");
        }
    }

    #[test]
    fn references_are_joined() {
        let base = Url::parse("http://h:1/a/b?c").unwrap();
        let cases = [
            ("https://x/y", "https://x/y"),
            ("//x/y", "http://x/y"),
            ("/y?z=http://q", "http://h:1/y?z=http://q"),
            ("?z", "http://h:1/a/b?z"),
            ("y", "http://h:1/a/y"),
        ];
        for (reference, expected) in cases {
            assert_eq!(base.join(reference).unwrap().to_text(), expected, "{reference}");
        }
        assert_eq!(base.join("ftp://x/y"), None);
    }

    #[test]
    fn paths_and_revisions_are_encoded() {
        assert_eq!(encode("a b/ü#?.gguf", "/"), "a%20b/%C3%BC%23%3F.gguf");
        assert_eq!(encode("refs/pr/1", ""), "refs%2Fpr%2F1");
    }

    #[test]
    fn the_next_page_is_found() {
        let header = r#"<https://h/a?cursor=1>; rel="first", <https://h/a?cursor=2>; rel="next""#;
        assert_eq!(next_link(header), Some("https://h/a?cursor=2"));
        assert_eq!(next_link(r#"<https://h/a>; rel="last""#), None);
        assert_eq!(next_link("nonsense"), None);
    }
}
