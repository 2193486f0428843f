//! `GET /v1/models`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::ApiError;
use crate::server::Server;

/// A model that can be asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ModelObject {
    /// Its name.
    pub id: String,
    /// `model`.
    pub object: &'static str,
    /// Seconds since 1970 at which the server started.
    pub created: u64,
    /// Who offers it.
    pub owned_by: &'static str,
    /// Tokens of prompt and answer together.
    pub max_model_len: usize,
}

/// The models.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ModelList {
    /// `list`.
    pub object: &'static str,
    /// The models.
    pub data: Vec<ModelObject>,
}

/// `GET /v1/models`.
pub(crate) async fn list(State(server): State<Arc<Server>>) -> Json<ModelList> {
    let data = server.names.iter().map(|name| object(&server, name.clone())).collect();
    Json(ModelList { object: "list", data })
}

/// `GET /v1/models/{id}`.
pub(crate) async fn show(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
) -> Result<Json<ModelObject>, ApiError> {
    server.model_for(Some(&id))?;
    Ok(Json(object(&server, id)))
}

fn object(server: &Server, id: String) -> ModelObject {
    ModelObject {
        id,
        object: "model",
        created: server.started,
        owned_by: "gptoss",
        max_model_len: server.batcher.context_length(),
    }
}
