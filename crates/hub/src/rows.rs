//! Documents of a data set, from the hub's viewer: rows as JSON, whatever the files are.
//!
//! Most data sets of the hub are Parquet files; the viewer reads them and gives their rows in
//! pages. Source: <https://huggingface.co/docs/dataset-viewer/rows>.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::HubError;
use crate::http::{Http, Subject};
use crate::progress::Progress;
use crate::pull::Hub;
use crate::repo::RepoId;
use crate::settings::Settings;
use crate::url::{Url, encode};

/// Rows of a page: the most that the viewer gives.
const PAGE_ROWS: usize = 100;
/// Rows of a split; benchmarks have some thousands.
const ROWS_MAX: usize = 1_000_000;
/// Where the viewer of the public hub is; that of another hub is below its own address.
const PUBLIC_HOST: &str = "huggingface.co";
const PUBLIC_VIEWER: &str = "https://datasets-server.huggingface.co";

/// Part of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsRequest {
    /// The data set, `ORG/NAME`.
    pub repo: RepoId,
    /// Its configuration.
    pub config: String,
    /// Its split.
    pub split: String,
}

/// `GET /rows`; the many other fields are of no use here.
#[derive(Deserialize)]
struct RowsAnswer {
    rows: Vec<RowEntry>,
    num_rows_total: usize,
    #[serde(default)]
    partial: bool,
}

#[derive(Deserialize)]
struct RowEntry {
    row_idx: usize,
    row: Map<String, Value>,
    #[serde(default)]
    truncated_cells: Vec<String>,
}

impl Hub {
    /// All rows, in their order.
    ///
    /// # Errors
    /// All that a request can end in, `HubError::Offline` in offline mode, and
    /// `HubError::BadAnswer` if rows are missing or shortened.
    pub fn rows(
        &self,
        request: &RowsRequest,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Map<String, Value>>, HubError> {
        let RowsRequest { repo, config, split } = request;
        let file = format!("{config}/{split}");
        let subject = Subject { repo: repo.as_str(), revision: "", file: Some(&file) };
        let place = subject.place();
        if self.settings().offline {
            let problem = "its rows are not on this machine".to_owned();
            return Err(HubError::Offline { repo: place, problem });
        }
        let viewer = Settings { endpoint: viewer(self.settings())?, ..self.settings().clone() };
        let http = Http::new(&viewer)?;
        let bad = |problem: String| HubError::BadAnswer { place: place.clone(), problem };
        let mut rows = Vec::new();
        loop {
            let at = address(&http, request, rows.len());
            let answer = http.get_json::<RowsAnswer>(&at, subject, progress);
            let (answer, _) = answer.map_err(|error| named(error, &place))?;
            let total = answer.num_rows_total;
            if answer.partial {
                return Err(bad("not supported: the viewer has only a part of it".to_owned()));
            }
            if total > ROWS_MAX {
                return Err(bad(format!("expected at most {ROWS_MAX} rows, found {total}")));
            }
            if answer.rows.is_empty() && rows.len() < total {
                return Err(bad(format!("expected {total} rows, found {}", rows.len())));
            }
            for entry in answer.rows {
                let number = rows.len();
                if entry.row_idx != number {
                    return Err(bad(format!("expected row {number}, found {}", entry.row_idx)));
                }
                if let Some(cell) = entry.truncated_cells.first() {
                    let cell: String = cell.escape_debug().take(60).collect();
                    let problem = format!("not supported: row {number}: `{cell}` is shortened");
                    return Err(bad(problem));
                }
                rows.push(entry.row);
            }
            if rows.len() >= total {
                return Ok(rows);
            }
        }
    }
}

/// The address of the viewer that belongs to a hub.
fn viewer(settings: &Settings) -> Result<String, HubError> {
    let endpoint = crate::settings::parse_endpoint(&settings.endpoint)?;
    Ok(match endpoint.host() == PUBLIC_HOST {
        true => PUBLIC_VIEWER.to_owned(),
        false => endpoint.to_text(),
    })
}

fn address(http: &Http, request: &RowsRequest, offset: usize) -> Url {
    let part = |text: &str| encode(text, "");
    let query = format!(
        "dataset={}&config={}&split={}&offset={offset}&length={PAGE_ROWS}",
        part(request.repo.as_str()),
        part(&request.config),
        part(&request.split)
    );
    http.endpoint().with_tail("/rows").with_query(&query)
}

/// The error of a data set, where that of a model or a file would be misleading.
fn named(error: HubError, place: &str) -> HubError {
    match error {
        HubError::NotFound { .. } => HubError::NotFound {
            place: place.to_owned(),
            problem: "the hub's viewer has no such data set, configuration or split".to_owned(),
        },
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_viewer_of_the_public_hub_has_a_host_of_its_own() {
        let at = |endpoint: &str| {
            let variables = [("HOME", "/nowhere"), ("HF_ENDPOINT", endpoint)];
            let settings = Settings::from_variables(|name| {
                let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
                Some(std::ffi::OsString::from(value))
            });
            viewer(&settings.unwrap()).unwrap()
        };
        assert_eq!(at("https://huggingface.co"), "https://datasets-server.huggingface.co");
        assert_eq!(at("http://127.0.0.1:8080/hub/"), "http://127.0.0.1:8080/hub/");
    }
}
