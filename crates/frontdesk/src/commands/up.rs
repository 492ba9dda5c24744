//! `frontdesk up`: everything in one process, on embedded defaults.

use std::fs;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::ValueEnum as _;
use timeline::{Role, Store, Token};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::say;
use crate::cli::RoleName;
use crate::config::Config;
use crate::{demo, lock, metric, stop, wire};

pub(super) async fn run(mut config: Config) -> anyhow::Result<ExitCode> {
    let data = config.data.clone();
    let _lock = tokio::task::spawn_blocking(move || lock::take(&data))
        .await
        .context("could not wait for the lock")??;
    if demo::is_wanted(&config) {
        demo::furnish(&mut config)?;
    }
    let metrics = metric::install()?;
    let token = CancellationToken::new();
    stop::on_signals(token.clone())?;
    let roles = RoleName::value_variants().iter().copied().collect();
    let greeted = config.clone();
    let greeting: wire::Greeting = Box::new(move |store| {
        Box::pin(async move {
            if let Err(error) = greet(&greeted, store).await {
                warn!(error = format!("{error:#}"), "could not print the welcome");
            }
        })
    });
    wire::run(config, roles, metrics, token, Some(greeting)).await?;
    Ok(ExitCode::SUCCESS)
}

/// The tokens that were made in this folder while there were only demo sources, and that nobody has revoked.
async fn left_over(data: &Path, store: &dyn Store) -> anyhow::Result<Vec<Token>> {
    let mut found = Vec::new();
    for file in fs::read_dir(data.join("secrets")).into_iter().flatten().flatten() {
        let name = file.file_name();
        let is_token = name == demo::AGENT_TOKEN || name.to_string_lossy().starts_with(demo::TOKEN_OF);
        let Some(secret) = fs::read_to_string(file.path()).ok().filter(|_| is_token) else { continue };
        let token = store.token(&api::token_id(secret.trim())).await?;
        found.extend(token.filter(|token| token.revoked_at.is_none()));
    }
    Ok(found)
}

/// What a newcomer needs: where everything is, and commands that work when pasted.
async fn greet(config: &Config, store: Arc<dyn Store>) -> anyhow::Result<()> {
    let url = format!("http://{}", config.http.listen);
    if !config.demo {
        say(format_args!("Frontdesk is up at {url}  (docs: {url}/docs, health: {url}/readyz)"));
        for token in left_over(&config.data, store.as_ref()).await? {
            let (name, role) = (&token.name, token.role.as_str());
            warn!(
                token.id = %token.id,
                "the token `{name}` ({role}) was made to try Frontdesk out and still opens the API: revoke it with \
                 DELETE {url}/v1/tokens/{}, as an admin", token.id
            );
        }
        return Ok(());
    }
    let (secret, path) = demo::keep(&config.data, demo::AGENT_TOKEN, demo::token)?;
    let token = Token {
        id: api::token_id(&secret),
        name: "quickstart".to_owned(),
        role: Role::Agent,
        created_at: contact::micros((wire::real_clock())()),
        revoked_at: None,
    };
    if store.token(&token.id).await?.is_none() {
        store.add_token(&token).await?;
    }
    // What is not a terminal is a log, which others read later: there the commands read the file of the secret.
    let secret = match std::io::stdout().is_terminal() {
        true => secret,
        false => format!("$(cat '{}')", std::path::absolute(&path)?.display()),
    };
    let program = std::env::current_exe().context("could not find our own program")?;
    let program = program.display();
    say(format_args!(
        r#"
Frontdesk is up. Everything it keeps is in the folder {data}.

  console      {url}/console/
  API docs     {url}/docs
  health       {url}/readyz       metrics  {url}/metrics
  phone hooks  {url}/hooks/phone/{line}
  chat page    {url}/chat/{line}/demo
  agent token  {secret}

See a clinic's day in the console, in a second terminal:

  {program} demo

Watch what happens:

  curl -N -H "Authorization: Bearer {secret}" {url}/v1/events

Miss a call (signed webhooks, as a phone system sends them):

  {program} simulate phone missed --from +380441234567 --name 'Олена'

Write a mail, and chat as the same person, signed in on a site whose token proves number and address:

  {program} simulate email --from olena@example.com --name 'Олена'
  {program} simulate chat --user olena --phone +380441234567 --email olena@example.com

See who called, and what is owed:

  curl -s -H "Authorization: Bearer {secret}" '{url}/v1/clients?phone=%2B380441234567'
  curl -s -H "Authorization: Bearer {secret}" '{url}/v1/conversations?status=open'

Line, mailbox and chat are a demonstration; config/frontdesk.toml says how to connect real ones. Ctrl-C stops.
"#,
        data = config.data.display(),
        line = demo::NAME,
    ));
    Ok(())
}
