//! Which hosts and origins a request may name, against web pages that reach for a local server.
//!
//! A page of a stranger can send requests to this machine from the browser of whoever looks at it.
//! Its name may be made to point here (DNS rebinding): then Host is a stranger's. Else Origin is.

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::config::Settings;
use crate::error::ApiError;

/// Names of this machine.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What Host and Origin may be.
pub(crate) struct Hosts {
    is_local: bool,
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Hosts {
    pub(crate) fn new(settings: &Settings) -> Hosts {
        let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Hosts {
            is_local: settings.server.host.is_loopback(),
            hosts: lower(&settings.access.hosts),
            origins: lower(&settings.access.origins),
        }
    }

    /// Checks the hosts that a request names and the origin that it comes from.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let host = match headers.get(header::HOST) {
            Some(host) => Some(host.to_str().map_err(|_| refused("the header Host"))?),
            None => None,
        };
        let authority = uri.authority().map(|authority| authority.as_str());
        for host in host.into_iter().chain(authority) {
            if !self.is_host(host) {
                return Err(refused(&format!("host `{}`", shown(host))));
            }
        }
        match headers.get(header::ORIGIN).map(HeaderValue::to_str) {
            None => Ok(()),
            Some(Ok(origin)) if self.is_origin(origin) || is_same(origin, host) => Ok(()),
            Some(Ok(origin)) => Err(refused(&format!("origin `{}`", shown(origin)))),
            Some(Err(_)) => Err(refused("the header Origin")),
        }
    }

    fn is_host(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        match self.is_local {
            true => LOCAL.contains(&name.as_str()) || self.hosts.contains(&name),
            false => self.hosts.is_empty() || self.hosts.contains(&name),
        }
    }

    fn is_origin(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        self.origins.iter().any(|allowed| allowed == "*" || *allowed == origin)
    }

    /// The answer to a browser that asks beforehand; `None` for any other request.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        let asks = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if method != Method::OPTIONS || !asks || self.origins.is_empty() {
            return None;
        }
        let mut response = StatusCode::NO_CONTENT.into_response();
        let answer = response.headers_mut();
        let methods = HeaderValue::from_static("GET, POST, DELETE");
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Some(response)
    }

    /// Lets the browser show the answer to the page that asked.
    pub(crate) fn allow(&self, origin: Option<&HeaderValue>, response: &mut Response) {
        if let Some(origin) = origin
            && origin.to_str().is_ok_and(|origin| self.is_origin(origin))
        {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        }
    }
}

/// Whether a page that this very server gave out asks.
fn is_same(origin: &str, host: Option<&str>) -> bool {
    let of_origin = origin.split_once("://").map(|(_, host)| host);
    of_origin.is_some() && of_origin == host
}

/// `[::1]` of `[::1]:80`, `localhost` of `localhost:80`.
fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}

fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}

fn refused(what: &str) -> ApiError {
    let message = format!("{what} is not one of those that this server answers to");
    ApiError::new(StatusCode::FORBIDDEN, "permission_error", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(host: &str, hosts: &[&str], origins: &[&str]) -> Hosts {
        let mut settings = Settings::default();
        settings.server.host = host.parse().unwrap();
        settings.access.hosts = hosts.iter().map(|s| (*s).to_owned()).collect();
        settings.access.origins = origins.iter().map(|s| (*s).to_owned()).collect();
        Hosts::new(&settings)
    }

    fn ask(hosts: &Hosts, host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        hosts.check(&Uri::from_static("/v1/models"), &headers).is_ok()
    }

    #[test]
    fn a_name_that_was_made_to_point_here_is_refused() {
        let local = hosts("127.0.0.1", &["box.lan"], &[]);
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:1", "box.lan:80"] {
            assert!(ask(&local, host, None), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:8080", "127.0.0.2", "[::2]:80", ""] {
            assert!(!ask(&local, host, None), "{host}");
        }
        let absolute = Uri::from_static("http://evil.example/v1/models");
        assert!(local.check(&absolute, &HeaderMap::new()).is_err());
        assert!(ask(&hosts("0.0.0.0", &[], &[]), "any.example", None));
        assert!(!ask(&hosts("0.0.0.0", &["a.example"], &[]), "any.example", None));
    }

    #[test]
    fn pages_of_others_may_ask_only_if_they_are_named() {
        let local = hosts("127.0.0.1", &[], &["https://good.example"]);
        let host = "localhost:8080";
        assert!(ask(&local, host, Some("https://good.example")));
        assert!(ask(&local, host, Some("http://localhost:8080")));
        for origin in ["https://evil.example", "null", "http://localhost:9"] {
            assert!(!ask(&local, host, Some(origin)), "{origin}");
        }
        assert!(ask(&hosts("127.0.0.1", &[], &["*"]), host, Some("https://any.example")));
    }
}
