//! Responses before this one, and what is stored of this one.

use std::sync::Arc;

use crate::body::blocking;
use crate::conversation::items::InputItem;
use crate::conversation::text::{ContentPart, MessageContent};
use crate::error::ApiError;
use crate::ids;
use crate::responses::object::ResponseObject;
use crate::server::Server;
use crate::store::{Store, StoreError, Stored};

/// The most responses of one conversation.
const TURNS_MAX: usize = 1000;

/// The items of all responses up to `id`, oldest first.
///
/// # Errors
/// 400 if one of them is not there or not finished.
pub(crate) fn before(
    store: &Store,
    owner: &str,
    id: Option<&str>,
) -> Result<Vec<InputItem>, ApiError> {
    let mut turns = Vec::new();
    let mut next = id.map(str::to_owned);
    while let Some(id) = next {
        let stored = store.get(&id, owner).map_err(|error| unreadable(&error))?;
        let Some(stored) = stored else {
            let message = format!("the previous response `{id}` is not here");
            return Err(wrong(message));
        };
        if turns.len() >= TURNS_MAX {
            return Err(wrong(format!("more than {TURNS_MAX} responses stand before this one")));
        }
        let response: serde_json::Value =
            serde_json::from_str(&stored.response).map_err(|_| damaged(&id))?;
        if matches!(response["status"].as_str(), Some("queued" | "in_progress")) {
            return Err(wrong(format!("the previous response `{id}` is not finished")));
        }
        let mut items: Vec<InputItem> =
            serde_json::from_str(&stored.input).map_err(|_| damaged(&id))?;
        let output: Vec<InputItem> =
            serde_json::from_value(response["output"].clone()).map_err(|_| damaged(&id))?;
        items.extend(output);
        turns.push(items);
        next = stored.previous;
    }
    Ok(turns.into_iter().rev().flatten().collect())
}

fn wrong(message: String) -> ApiError {
    let error = ApiError::field("previous_response_id", message);
    ApiError { code: Some("previous_response_not_found"), ..error }
}

fn damaged(id: &str) -> ApiError {
    ApiError::internal(format!("the stored response `{id}` is damaged"))
}

/// What a client is told if the store fails.
pub(crate) fn unreadable(error: &StoreError) -> ApiError {
    tracing::error!(%error, "the store failed");
    ApiError::internal("the store of responses failed")
}

/// The items of a request with ids and in the form in which they are listed.
pub(crate) fn listed(items: Vec<InputItem>) -> Vec<InputItem> {
    items.into_iter().map(listed_item).collect()
}

fn listed_item(mut item: InputItem) -> InputItem {
    let kind = item.kind.get_or_insert_with(|| "message".to_owned()).clone();
    let prefix = match kind.as_str() {
        "message" => "msg_",
        "reasoning" => "rs_",
        "function_call" => "fc_",
        _ => "fco_",
    };
    item.id.get_or_insert_with(|| ids::fresh(prefix));
    if let (Some(MessageContent::Text(text)), "message") = (&item.content, kind.as_str()) {
        let of_model = item.role.as_deref() == Some("assistant");
        let kind = if of_model { "output_text" } else { "input_text" };
        let part = ContentPart { kind: kind.to_owned(), text: Some(text.clone()), refusal: None };
        item.content = Some(MessageContent::Parts(vec![part]));
    }
    item
}

/// Stores a response.
///
/// # Errors
/// If the store fails.
pub(crate) async fn keep(
    server: &Arc<Server>,
    owner: &str,
    response: &ResponseObject,
    input: &[InputItem],
) -> Result<(), ApiError> {
    let text = |value: serde_json::Result<String>| value.expect("responses are plain data");
    let stored = Stored {
        id: response.id.clone(),
        owner: owner.to_owned(),
        previous: response.previous_response_id.clone(),
        response: text(serde_json::to_string(response)),
        input: text(serde_json::to_string(input)),
    };
    let store = server.store.clone();
    blocking(move || store.put(&stored).map_err(|error| unreadable(&error))).await
}
