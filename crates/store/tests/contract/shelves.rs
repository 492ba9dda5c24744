//! The operator's shelves.

use contact::suspect::MESSAGE_HTTP;
use contact::{RawBytes, SourceName, Suspect};
use timeline::{
    Answered, Changes, DeadLetter, HoldBounds, LetterState, ListedLetter, ListedSuspect, Page, Role, Token,
};

use crate::home::Home;
use crate::people::{at, line, write};

fn first(limit: usize) -> Page<String> {
    Page { after: None, limit }
}

fn letter(id: &str, seconds: i64) -> DeadLetter {
    DeadLetter {
        id: id.to_owned(),
        source: Some(line()),
        received_at: at(seconds),
        reason: "the field `CallSid` is missing".to_owned(),
        field: Some("CallSid".to_owned()),
        payload: vec![0, 159, 146, 150],
        state: LetterState::Open,
    }
}

pub(crate) async fn letters_are_kept_once_and_reopened(home: Home) {
    let store = home.open().await;
    let anonymous = DeadLetter { source: None, field: None, reason: "NUL\0 inside".into(), ..letter("c", 2) };
    store.bury(&[letter("a", 1), letter("b", 2), letter("a", 1)]).await.unwrap();
    write(&*store, Changes { letters: vec![anonymous.clone(), anonymous.clone()], ..Changes::default() })
        .await;
    let ids = async |state, page| -> Vec<String> {
        store.letters(state, page).await.unwrap().into_iter().map(|letter| letter.id).collect()
    };
    assert_eq!(ids(None, first(10)).await, ["c", "b", "a"], "newest first");
    assert_eq!(ids(None, Page { after: Some("c".into()), limit: 1 }).await, ["b"]);
    let DeadLetter { id, source, received_at, reason, field, payload, state } = letter("a", 1);
    let listed = ListedLetter { id, source, received_at, reason, field, state, size: payload.len() as u64 };
    assert_eq!(store.letters(None, first(10)).await.unwrap().pop(), Some(listed));
    assert_eq!(store.letter("b").await.unwrap(), Some(letter("b", 2)));
    let kept = store.letter("c").await.unwrap().unwrap();
    assert_eq!(
        (kept.reason.as_str(), kept.source, kept.payload),
        ("NUL\u{fffd} inside", None, anonymous.payload)
    );

    assert!(store.set_letter("a", LetterState::Retried).await.unwrap());
    assert!(store.set_letter("b", LetterState::Discarded).await.unwrap());
    assert!(!store.set_letter("z", LetterState::Discarded).await.unwrap());
    assert_eq!(ids(Some(LetterState::Open), first(10)).await, ["c"]);
    // Both come again: the retried one failed again, the discarded one stays where it is.
    store.bury(&[letter("a", 100), letter("b", 100)]).await.unwrap();
    assert_eq!(ids(Some(LetterState::Open), first(10)).await, ["c", "a"]);
    assert_eq!(ids(Some(LetterState::Discarded), first(10)).await, ["b"]);
    assert_eq!(store.letter("a").await.unwrap(), Some(letter("a", 1)), "but for its state as it was");
    assert_eq!(store.letter("z").await.unwrap(), None);
}

fn suspect(source: &SourceName, body: &str, seconds: i64) -> Suspect {
    let request = RawBytes::new(MESSAGE_HTTP, body.as_bytes());
    Suspect::new(
        source.clone(),
        at(seconds),
        Some("192.0.2.7".into()),
        "the signature is wrong".into(),
        &request,
    )
}

fn listed(suspect: &Suspect) -> ListedSuspect {
    let Suspect { id, source, received_at, peer, reason, request } = suspect.clone();
    ListedSuspect { id, source, received_at, peer, reason, size: request.size }
}

pub(crate) async fn suspects_are_held_up_to_the_bounds_and_the_newest_dropped(home: Home) {
    let store = home.open().await;
    let other: SourceName = "phone/other".parse().unwrap();
    let bounds = HoldBounds { per_source: 3, bytes_per_source: 1000 };
    let ours: Vec<Suspect> = (0..5).map(|n| suspect(&line(), &format!("GET /{n}\0"), n)).collect();
    assert_eq!(store.hold(&ours[..2], bounds).await.unwrap(), 0);
    // The second again, the third fits, the next two do not; another source has a shelf of its own.
    let mut more = ours[1..].to_vec();
    more.push(suspect(&other, "GET /", 9));
    assert_eq!(store.hold(&more, bounds).await.unwrap(), 2);
    let held = store.suspects(Some(&line()), first(10)).await.unwrap();
    assert_eq!(held, [listed(&ours[2]), listed(&ours[1]), listed(&ours[0])], "newest first");
    assert_eq!(store.suspects(None, first(10)).await.unwrap().len(), 4);
    let next = Page { after: Some(ours[2].id.clone()), limit: 1 };
    assert_eq!(store.suspects(Some(&line()), next).await.unwrap(), [listed(&ours[1])]);
    // By bytes: one of 995 fits beside 5, another of 1 does not.
    let large = suspect(&other, &"x".repeat(995), 10);
    assert_eq!(store.hold(&[large, suspect(&other, "y", 11)], bounds).await.unwrap(), 1);

    assert_eq!(store.suspect(&ours[0].id).await.unwrap().as_ref(), Some(&ours[0]));
    assert!(store.drop_suspect(&ours[0].id).await.unwrap());
    assert!(!store.drop_suspect(&ours[0].id).await.unwrap());
    assert_eq!(store.suspect(&ours[0].id).await.unwrap(), None);
    assert_eq!(store.hold(&ours[3..4], bounds).await.unwrap(), 0, "there is room again");
}

pub(crate) async fn tokens_are_found_until_revoked(home: Home) {
    let store = home.open().await;
    let token = |id: &str, seconds| Token {
        id: id.to_owned(),
        name: "Mia".to_owned(),
        role: Role::Agent,
        created_at: at(seconds),
        revoked_at: None,
    };
    store.add_token(&token("aa", 1)).await.unwrap();
    store.add_token(&token("bb", 0)).await.unwrap();
    assert!(!store.add_token(&token("aa", 2)).await.unwrap_err().is_transient(), "an id is one token's");
    assert_eq!(store.token("aa").await.unwrap(), Some(token("aa", 1)));
    assert_eq!(store.token("cc").await.unwrap(), None);
    assert_eq!(store.tokens().await.unwrap(), [token("bb", 0), token("aa", 1)]);
    assert!(store.revoke_token("aa", at(60)).await.unwrap());
    assert!(store.revoke_token("aa", at(99)).await.unwrap());
    assert!(!store.revoke_token("cc", at(60)).await.unwrap());
    assert_eq!(store.token("aa").await.unwrap().unwrap().revoked_at, Some(at(60)), "the first moment stays");
}

pub(crate) async fn the_first_answer_stays_until_forgotten(home: Home) {
    let store = home.open().await;
    let answer = |request: &str, seconds| Answered {
        request: request.to_owned(),
        status: 202,
        body: vec![b'{', 0, b'}'],
        at: at(seconds),
    };
    assert_eq!(store.answered("mia", "k").await.unwrap(), None);
    store.remember("mia", "k", &answer("one", 10), at(0)).await.unwrap();
    store.remember("mia", "k", &answer("two", 20), at(0)).await.unwrap();
    store.remember("tom", "k", &answer("his", 20), at(0)).await.unwrap();
    assert_eq!(store.answered("mia", "k").await.unwrap(), Some(answer("one", 10)));
    assert_eq!(store.answered("tom", "k").await.unwrap(), Some(answer("his", 20)));
    store.remember("mia", "other", &answer("three", 30), at(15)).await.unwrap();
    assert_eq!(store.answered("mia", "k").await.unwrap(), None, "older than what is kept");
    assert_eq!(store.answered("tom", "k").await.unwrap(), Some(answer("his", 20)));
}
