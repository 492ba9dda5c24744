//! Who somebody may also be, and whom they were made one with: as a person is shown it.

use contact::{IdentifierKind, Level};
use timeline::{Changes, Client};

use crate::home::Home;
use crate::people::{apart, at, claim, client, client_id, holder, merge, merge_id, uuid, write};

const PHONE: IdentifierKind = IdentifierKind::Phone;

pub(crate) async fn merges_are_listed_newest_first_also_undone_ones(home: Home) {
    let store = home.open().await;
    let undone = timeline::Merge { undone_at: Some(at(99)), ..merge(3, 1, 6, 30) };
    let changes = Changes {
        clients: vec![
            client(1, None),
            Client { merged_into: Some(client_id(1)), ..client(2, None) },
            Client { merged_into: Some(client_id(1)), ..client(3, None) },
            client(6, None),
        ],
        // Three became a part of two before two became a part of one.
        merges: vec![
            merge(1, 2, 3, 10),
            merge(2, 1, 2, 20),
            undone.clone(),
            merge(4, 6, 7, 40),
            merge(5, 1, 8, 20),
        ],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let listed = async |number| -> Vec<u128> {
        let merges = store.merges(client_id(number)).await.unwrap();
        merges.iter().map(|merge| merge.id.uuid().as_u128() - uuid(0).as_u128()).collect()
    };
    assert_eq!(listed(1).await, [3, 5, 2, 1]);
    assert_eq!(listed(6).await, [4]);
    assert_eq!(listed(7).await, []);
    assert_eq!(store.merge(merge_id(3)).await.unwrap(), Some(undone));
    assert_eq!(store.merge(merge_id(9)).await.unwrap(), None);
    let again = merge(3, 1, 6, 31);
    write(&*store, Changes { merges: vec![again.clone()], ..Changes::default() }).await;
    assert_eq!(store.merge(merge_id(3)).await.unwrap(), Some(again), "replaced by id");
}

pub(crate) async fn candidates_come_most_likely_first(home: Home) {
    let store = home.open().await;
    let seen = |number, seconds| Client { last_contact_at: at(seconds), ..client(number, None) };
    let email = IdentifierKind::Email;
    let changes = Changes {
        clients: vec![
            seen(1, 0),
            seen(2, 10),
            seen(3, 20),
            seen(4, 30),
            seen(5, 40),
            Client { merged_into: Some(client_id(2)), ..seen(6, 90) },
            seen(7, 95),
            Client { merged_into: Some(client_id(7)), ..seen(8, 0) },
        ],
        holders: vec![
            holder(1, PHONE, "+1", Level::Observed),
            holder(1, email, "1@x", Level::Proved),
            holder(2, email, "2@x", Level::Proved),
            holder(3, PHONE, "+3", Level::Observed),
            holder(5, PHONE, "+5", Level::Observed),
            holder(6, PHONE, "+6", Level::Proved),
            holder(7, PHONE, "+7", Level::Proved),
        ],
        claims: vec![
            claim(1, email, "2@x", "typed"),
            claim(1, PHONE, "+3", "a signature"),
            claim(1, PHONE, "+5", "typed"),
            claim(1, PHONE, "+6", "of one who is merged"),
            claim(1, PHONE, "+7", "kept apart by a part of theirs"),
            claim(1, PHONE, "+1", "their own"),
            claim(1, PHONE, "+404", "nobody holds it"),
            claim(4, email, "1@x", "said in a chat"),
            claim(3, PHONE, "+1", "typed too"),
            claim(5, email, "2@x", "not of one"),
        ],
        aparts: vec![apart(1, 5), apart(1, 8)],
        ..Changes::default()
    };
    write(&*store, changes).await;
    let of = async |number| -> Vec<(u128, Level, String)> {
        let found = store.candidates(client_id(number)).await.unwrap();
        found
            .into_iter()
            .map(|one| (one.card.client.id.uuid().as_u128() - uuid(0).as_u128(), one.level, one.reason))
            .collect()
    };
    let (proved, observed) = (Level::Proved, Level::Observed);
    assert_eq!(
        of(1).await,
        [
            (4, proved, "said in a chat".to_owned()),
            (2, proved, "typed".to_owned()),
            (3, observed, "typed too".to_owned()),
            (3, observed, "a signature".to_owned()),
        ]
    );
    assert_eq!(of(4).await, [(1, proved, "said in a chat".to_owned())], "seen from the other side");
    assert_eq!(of(5).await, [(2, proved, "not of one".to_owned())], "one and five are kept apart");
    assert_eq!(of(404).await, []);
    let best = store.candidates(client_id(4)).await.unwrap().remove(0);
    assert_eq!(best.identifier, contact::Identifier { kind: email, value: "1@x".to_owned() });
    assert_eq!(best.card.identifiers.len(), 2);
    // Said again with another reason, the first one stays.
    let again = vec![claim(4, email, "1@x", "stated again")];
    write(&*store, Changes { claims: again, ..Changes::default() }).await;
    assert_eq!(of(4).await[0].2, "said in a chat");
}
