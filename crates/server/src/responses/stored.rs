//! Responses that are asked for again: `GET`, `DELETE`, `cancel` and `input_items` by id.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::Client;
use crate::body::blocking;
use crate::conversation::items::InputItem;
use crate::error::ApiError;
use crate::responses::history::unreadable;
use crate::server::Server;
use crate::store::Stored;

/// Items of a list unless more are asked for, and at most.
const ITEMS: usize = 20;
const ITEMS_MAX: usize = 100;

/// A response that is gone.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeletedResponse {
    /// Its id.
    pub id: String,
    /// `response`.
    pub object: &'static str,
    /// True.
    pub deleted: bool,
}

/// Items of a request.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ItemList {
    /// `list`.
    pub object: &'static str,
    /// The items.
    pub data: Vec<InputItem>,
    /// Id of the first.
    pub first_id: Option<String>,
    /// Id of the last.
    pub last_id: Option<String>,
    /// Whether there are more behind it.
    pub has_more: bool,
}

/// Which items of a list.
#[derive(Debug, Deserialize)]
pub(crate) struct ListQuery {
    order: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// How a response is shown.
#[derive(Debug, Deserialize)]
pub(crate) struct ShowQuery {
    stream: Option<bool>,
}

async fn find(server: &Arc<Server>, client: Client, id: String) -> Result<Stored, ApiError> {
    let store = server.store.clone();
    blocking(move || {
        let found = store.get(&id, &client.owner).map_err(|error| unreadable(&error))?;
        found.ok_or_else(|| missing(&id))
    })
    .await
}

fn missing(id: &str) -> ApiError {
    let id: String = id.chars().take(100).collect();
    ApiError::not_found("response_not_found", format!("the response `{id}` is not here"))
}

fn response_of(stored: &Stored) -> Result<Value, ApiError> {
    serde_json::from_str(&stored.response)
        .map_err(|_| ApiError::internal("the stored response is damaged"))
}

/// `GET /v1/responses/{id}`.
pub(crate) async fn show(
    State(server): State<Arc<Server>>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
    query: Result<Query<ShowQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::invalid(error.body_text()))?;
    if query.stream == Some(true) {
        return Err(ApiError::unsupported("stream", "a stored response is sent as a whole"));
    }
    Ok(Json(response_of(&find(&server, client, id).await?)?))
}

/// `DELETE /v1/responses/{id}`.
pub(crate) async fn delete(
    State(server): State<Arc<Server>>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
) -> Result<Json<DeletedResponse>, ApiError> {
    if server.background.cancel(&id, &client.owner) {
        server.background.ended(&id).await;
    }
    let store = server.store.clone();
    blocking(move || {
        let deleted = store.delete(&id, &client.owner).map_err(|error| unreadable(&error))?;
        match deleted {
            true => Ok(Json(DeletedResponse { id, object: "response", deleted })),
            false => Err(missing(&id)),
        }
    })
    .await
}

/// `POST /v1/responses/{id}/cancel`.
pub(crate) async fn cancel(
    State(server): State<Arc<Server>>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    if server.background.cancel(&id, &client.owner) {
        server.background.ended(&id).await;
    }
    let response = response_of(&find(&server, client, id).await?)?;
    match response["background"].as_bool() {
        Some(true) => Ok(Json(response)),
        _ => Err(ApiError::invalid("only a response in the background can be cancelled")),
    }
}

/// `GET /v1/responses/{id}/input_items`.
pub(crate) async fn input_items(
    State(server): State<Arc<Server>>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<ItemList>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::invalid(error.body_text()))?;
    let limit = query.limit.unwrap_or(ITEMS);
    if !(1..=ITEMS_MAX).contains(&limit) {
        let message = format!("expected 1 to {ITEMS_MAX}, found {limit}");
        return Err(ApiError::field("limit", message));
    }
    let stored = find(&server, client, id).await?;
    let mut items: Vec<InputItem> = serde_json::from_str(&stored.input)
        .map_err(|_| ApiError::internal("the stored response is damaged"))?;
    match query.order.as_deref() {
        None | Some("desc") => items.reverse(),
        Some("asc") => {}
        Some(order) => {
            let message = format!("expected asc or desc, found `{order}`");
            return Err(ApiError::field("order", message));
        }
    }
    if let Some(after) = &query.after {
        let at = items.iter().position(|item| item.id.as_ref() == Some(after));
        let at = at.ok_or_else(|| ApiError::field("after", "there is no such item"))?;
        items.drain(..=at);
    }
    let has_more = items.len() > limit;
    items.truncate(limit);
    let first_id = items.first().and_then(|item| item.id.clone());
    let last_id = items.last().and_then(|item| item.id.clone());
    Ok(Json(ItemList { object: "list", data: items, first_id, last_id, has_more }))
}
