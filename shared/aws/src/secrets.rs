//! Reads the secrets of a function when Lambda starts it. Its variables name them: a variable with the secret itself would be
//! shown to all who may read the configuration of a function.

use std::error::Error;

use futures_util::future::try_join_all;

use crate::clients::Clients;

/// Reads secrets, all at once. Each has a name, which stays with its value.
pub(crate) async fn read(
    clients: &Clients,
    named: Vec<(&'static str, String)>,
) -> Result<Vec<(&'static str, String)>, Box<dyn Error + Send + Sync>> {
    try_join_all(named.into_iter().map(|(name, arn)| read_one(clients, name, arn))).await
}

async fn read_one(
    clients: &Clients,
    name: &'static str,
    arn: String,
) -> Result<(&'static str, String), Box<dyn Error + Send + Sync>> {
    let answer = clients.secrets.get_secret_value().secret_id(arn).send().await?;
    let value = answer.secret_string.ok_or_else(|| format!("the secret of {name} has no text"))?;
    Ok((name, value))
}
