//! Everything of one client made another's.

use std::collections::HashSet;

use contact::ClientId;
use sqlx::Error;

use super::super::{Connection, ids};
use super::history::contacts_of;

/// Pair by pair, the first becoming a part of the second.
pub(super) async fn absorb(connection: &mut Connection, pairs: &[(ClientId, ClientId)]) -> Result<(), Error> {
    let pairs: Vec<_> = pairs.iter().copied().filter(|(absorbed, survivor)| absorbed != survivor).collect();
    for run in runs(&pairs) {
        at_once(connection, run).await?;
    }
    Ok(())
}

/// Cut wherever a client comes a second time: what one pair gave them goes on with the next.
fn runs(mut pairs: &[(ClientId, ClientId)]) -> impl Iterator<Item = &[(ClientId, ClientId)]> {
    std::iter::from_fn(move || {
        let mut seen = HashSet::new();
        let run = pairs.iter().take_while(|pair| seen.insert(pair.0) && seen.insert(pair.1)).count();
        let (run, rest) = pairs.split_at(run);
        pairs = rest;
        (!run.is_empty()).then_some(run)
    })
}

/// What of a table was the absorbed client's is the survivor's, with its next revision where it has one.
macro_rules! becomes_theirs {
    ($table:literal) => {
        becomes_theirs!($table, and "")
    };
    ($table:literal, next rev) => {
        becomes_theirs!($table, and concat!(", rev = ", $table, ".rev + 1"))
    };
    ($table:literal, and $more:expr) => {
        concat!(
            "update ",
            $table,
            " set client_id = pair.survivor_id",
            $more,
            " from ",
            pairs!("$1", "$2"),
            " where ",
            $table,
            ".client_id = pair.absorbed_id"
        )
    };
}

/// Pairs that have no client in common.
async fn at_once(connection: &mut Connection, pairs: &[(ClientId, ClientId)]) -> Result<(), Error> {
    let absorbed = ids(pairs.iter().map(|(absorbed, _)| absorbed.uuid()));
    let survivors = ids(pairs.iter().map(|(_, survivor)| survivor.uuid()));
    let contacts = contacts_of(connection, pairs.iter().map(|(absorbed, _)| absorbed.uuid())).await?;
    sqlx::query(concat!(
        "update contact set client_id = pair.survivor_id, rev = contact.rev + 1 from ",
        pairs!("$1", "$2"),
        " where contact.client_id = pair.absorbed_id and contact.id ",
        in_ids!("$3"),
    ))
    .bind(absorbed.clone())
    .bind(survivors.clone())
    .bind(ids(contacts))
    .execute(&mut *connection)
    .await?;
    for statement in [
        becomes_theirs!("entry", next rev),
        becomes_theirs!("conversation", next rev),
        becomes_theirs!("identifier"),
        // Of what both claim the earlier claim stays.
        concat!(
            "delete from claim where client_id ",
            in_ids!("$1"),
            " and exists (select 1 from ",
            pairs!("$1", "$2"),
            " join claim as kept on kept.client_id = pair.survivor_id where pair.absorbed_id = claim.client_id \
             and kept.kind = claim.kind and kept.value = claim.value \
             and (kept.since, kept.reason) <= (claim.since, claim.reason))"
        ),
        concat!(
            "delete from claim where client_id ",
            in_ids!("$2"),
            " and exists (select 1 from ",
            pairs!("$1", "$2"),
            " join claim as kept on kept.client_id = pair.absorbed_id where pair.survivor_id = claim.client_id \
             and kept.kind = claim.kind and kept.value = claim.value)"
        ),
        becomes_theirs!("claim"),
        concat!(
            "delete from message where client_id ",
            in_ids!("$1"),
            " and exists (select 1 from ",
            pairs!("$1", "$2"),
            " join message as kept on kept.client_id = pair.survivor_id \
             where pair.absorbed_id = message.client_id and kept.key = message.key)"
        ),
        becomes_theirs!("message"),
        becomes_theirs!("chat"),
        becomes_theirs!("reply", next rev),
        // Nobody points at one who is merged too.
        concat!(
            "update client set merged_into = pair.survivor_id from ",
            pairs!("$1", "$2"),
            " where client.merged_into = pair.absorbed_id"
        ),
    ] {
        sqlx::query(statement)
            .bind(absorbed.clone())
            .bind(survivors.clone())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
