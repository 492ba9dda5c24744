//! What is refused, what passes, and what comes back by itself.

use std::time::{Duration, Instant};

use contact::{Channel, ClientId, Identifier, IdentifierKind, Level};
use sqlx::{Connection as _, SqliteConnection};
use store::Options;
use store::testing::Postgres;
use timeline::{
    Apart, Changes, Chat, ChatLine, Client, Conversation, Entry, FindClients, FindConversations, Merge, Page,
    Reply, Status, StoreError, Wanted,
};
use tokio_util::task::TaskTracker;

use crate::home::{Home, run};
use crate::people::{
    agent, apart, at, chat, chat_line, claim, client, conversation, entry, holder, merge, missed, offer,
    record, reply, ringing, uuid, write,
};

fn first<C>(limit: usize) -> Page<C> {
    Page { after: None, limit }
}

pub(crate) async fn nul_is_refused_and_leaves_no_trace(home: Home) {
    let store = home.open().await;
    let mut arrival = ringing("CA1", None, 0);
    arrival.payload.push('\0');
    let nul = || "a\0b".to_owned();
    let entry = |number| entry(number, None, Channel::Phone, 0);
    let mut to_nobody = reply(1, None, None);
    to_nobody.order.to = nul();
    let bad = [
        Changes { replies: vec![to_nobody], ..Changes::default() },
        Changes { log: vec![(1, arrival)], ..Changes::default() },
        Changes { clients: vec![client(1, Some("a\0b"))], ..Changes::default() },
        Changes { clients: vec![Client { segment: Some(nul()), ..client(1, None) }], ..Changes::default() },
        Changes { clients: vec![Client { owner: Some(nul()), ..client(1, None) }], ..Changes::default() },
        Changes { clients: vec![Client { known_by: Some(nul()), ..client(1, None) }], ..Changes::default() },
        Changes { agents: vec![agent("\0", "7")], ..Changes::default() },
        Changes { reservations: vec![offer(1, 1, "\0", 9)], ..Changes::default() },
        Changes {
            holders: vec![holder(1, IdentifierKind::Phone, "\0", Level::Observed)],
            ..Changes::default()
        },
        Changes { entries: vec![Entry { summary: nul(), ..entry(1) }], ..Changes::default() },
        Changes { entries: vec![Entry { content: nul(), ..entry(1) }], ..Changes::default() },
        Changes { entries: vec![Entry { agent: Some(nul()), ..entry(1) }], ..Changes::default() },
        Changes {
            conversations: vec![Conversation {
                assignee: Some(nul()),
                ..conversation(1, None, Status::Open)
            }],
            ..Changes::default()
        },
        Changes {
            conversations: vec![Conversation { queue: nul(), ..conversation(1, None, Status::Open) }],
            ..Changes::default()
        },
        Changes { claims: vec![claim(1, IdentifierKind::Phone, "\0", "said so")], ..Changes::default() },
        Changes { claims: vec![claim(1, IdentifierKind::Phone, "1", "a\0b")], ..Changes::default() },
        Changes { merges: vec![Merge { by: nul(), ..merge(1, 1, 2, 0) }], ..Changes::default() },
        Changes { merges: vec![Merge { reason: nul(), ..merge(1, 1, 2, 0) }], ..Changes::default() },
        Changes { aparts: vec![Apart { by: nul(), ..apart(1, 2) }], ..Changes::default() },
        Changes { aparts: vec![Apart { reason: nul(), ..apart(1, 2) }], ..Changes::default() },
        Changes { chats: vec![chat("\0", None)], ..Changes::default() },
        Changes { chats: vec![Chat { session: nul(), ..chat("v", None) }], ..Changes::default() },
        Changes { chat_lines: vec![chat_line("\0", 1)], ..Changes::default() },
        Changes {
            chat_lines: vec![ChatLine { message_id: nul(), ..chat_line("v", 1) }],
            ..Changes::default()
        },
        Changes { chat_lines: vec![ChatLine { text: nul(), ..chat_line("v", 1) }], ..Changes::default() },
        Changes {
            chat_lines: vec![ChatLine { agent: Some(nul()), ..chat_line("v", 1) }],
            ..Changes::default()
        },
        Changes {
            replies: vec![Reply { detail: Some(nul()), ..reply(1, None, None) }],
            ..Changes::default()
        },
        Changes {
            replies: vec![Reply { message_id: Some(nul()), ..reply(1, None, None) }],
            ..Changes::default()
        },
    ];
    for changes in bad {
        let mut tx = store.begin().await.unwrap();
        let error = tx.write(&changes).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{error:?} at {changes:?}");
        assert!(tx.commit().await.is_err());
    }
    assert!(store.begin().await.unwrap().digests().await.unwrap().is_empty());
}

pub(crate) async fn nul_in_a_question_finds_nothing(home: Home) {
    let store = home.open().await;
    write(&*store, Changes { clients: vec![client(1, None)], ..Changes::default() }).await;
    let by = FindClients::by(IdentifierKind::Phone, "\0");
    let part = FindClients { identifier: None, q: Some("\0".into()) };
    assert_eq!(store.find_clients(&by, first(9)).await.unwrap(), []);
    assert_eq!(store.find_clients(&part, first(9)).await.unwrap(), []);
    let queue = FindConversations { queue: Some("\0".into()), ..FindConversations::default() };
    assert_eq!(store.conversations(&queue, first(9)).await.unwrap().len(), 0);
    assert_eq!(store.letter("\0").await.unwrap(), None);
    assert_eq!(store.chat("\0").await.unwrap(), None);
    assert_eq!(store.chat_lines("\0", 0, 9).await.unwrap(), []);
    let nul = || vec!["\0".to_owned()];
    let wanted = Wanted { chats: nul(), agents: nul(), ..Wanted::default() };
    let known = store.begin().await.unwrap().read(&wanted).await.unwrap();
    assert!(known.chats.is_empty() && known.agents.is_empty());
    assert_eq!(store.agent("\0").await.unwrap(), None);
    assert_eq!(store.reservations(Some("\0")).await.unwrap(), []);
    assert_eq!(store.waiting(Some("\0"), first(9)).await.unwrap().len(), 0);
    // A process is its own whatever it calls itself.
    store.keep_alive("a\0b", at(5)).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.forget_process("a\0b").await.unwrap();
    assert_eq!(tx.processes().await.unwrap(), []);
    assert_eq!(store.suspect("\0").await.unwrap(), None);
    assert_eq!(store.token("\0").await.unwrap(), None);
    assert_eq!(store.answered("\0", "\0").await.unwrap(), None);
}

pub(crate) async fn large_content_is_kept(home: Home) {
    let store = home.open().await;
    let content = format!("\"{}\"", "дзвінок ".repeat(1_000_000));
    let large = Entry { content, ..entry(1, Some(1), Channel::Email, 0) };
    write(&*store, Changes { entries: vec![large.clone()], ..Changes::default() }).await;
    let read = store.timeline(ClientId::from_uuid(uuid(1)), None, first(1)).await.unwrap();
    assert!(read == [large], "fifteen megabytes came back as they went");
}

pub(crate) async fn a_transaction_given_up_in_the_middle_hurts_nobody(home: Home) {
    let store = home.open().await;
    let identifiers: Vec<Identifier> =
        (0..5_000).map(|n| Identifier { kind: IdentifierKind::Phone, value: format!("+38044{n}") }).collect();
    let wanted = Wanted { identifiers, ..Wanted::default() };
    let tracker = TaskTracker::new();
    for n in 0..20_u64 {
        let (store, wanted) = (store.clone(), wanted.clone());
        let task = tracker.spawn(async move {
            let mut tx = store.begin().await.unwrap();
            tx.write(&Changes { clients: vec![client(1, None)], ..Changes::default() }).await.unwrap();
            loop {
                tx.read(&wanted).await.unwrap();
            }
        });
        // Wherever it is by then.
        tokio::time::timeout(Duration::from_millis(n), std::future::pending::<()>()).await.unwrap_err();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    assert_eq!(record(&*store, vec![ringing("CA1", None, 0)], vec![]).await.unwrap().fresh, 1);
    let digests = store.begin().await.unwrap().digests().await.unwrap();
    assert_eq!(digests.keys().collect::<Vec<_>>(), [&None], "what was given up was not kept");
}

#[test]
fn a_killed_server_is_away_at_once_and_back_without_reopening() {
    let Some(server) = Postgres::start_or_skip() else { return };
    run(async {
        let url = server.create("killed").unwrap();
        let store = store::open(&url, Options::default()).await.unwrap();
        record(&*store, vec![ringing("CA1", Some("+380441234567"), 0)], vec![]).await.unwrap();
        // Connections of every kind are open and idle, and a transaction is under way.
        store.ping().await.unwrap();
        assert_eq!(store.feed_head().await.unwrap(), 3);
        let mut tx = store.begin().await.unwrap();
        tx.write(&Changes { clients: vec![client(7, None)], ..Changes::default() }).await.unwrap();
        server.kill9().unwrap();

        let asked = Instant::now();
        let errors = [
            tx.commit().await.unwrap_err(),
            store.begin().await.err().unwrap(),
            store.ping().await.unwrap_err(),
            store.feed_head().await.unwrap_err(),
            store.bury(&[]).await.unwrap_err(),
            record(&*store, vec![missed("CA1", None, 9)], vec![]).await.unwrap_err(),
        ];
        assert!(errors.iter().all(StoreError::is_transient), "{errors:?}");
        assert!(asked.elapsed() < Duration::from_secs(20), "told within seconds, {:?}", asked.elapsed());

        server.restart().unwrap();
        store.ping().await.unwrap();
        assert_eq!(store.feed_head().await.unwrap(), 3);
        assert_eq!(
            record(&*store, vec![missed("CA1", Some("+380441234567"), 21)], vec![]).await.unwrap().fresh,
            1
        );
        assert!(
            store.clients(&[ClientId::from_uuid(uuid(7))]).await.unwrap().is_empty(),
            "it was not committed"
        );

        // And a restart that nobody noticed.
        server.restart().unwrap();
        let wanted = Wanted::default();
        assert_eq!(store.begin().await.unwrap().read(&wanted).await.unwrap().log_position, 2);
        assert_eq!(
            store.feed_head().await.unwrap(),
            store.feed(0, 99).await.unwrap().last().unwrap().position
        );
    });
}

#[test]
fn a_decider_that_died_gives_the_lock_back() {
    let Some(home) = Home::postgres() else { return };
    run(async {
        let (here, there) = (home.open().await, home.open().await);
        let tx = here.begin().await.unwrap();
        home.execute(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = \
                      (select oid from pg_database where datname = current_database())",
        )
        .await;
        let error = {
            let mut tx = tx;
            tx.read(&Wanted::default()).await.unwrap_err()
        };
        assert!(error.is_transient(), "{error:?}");
        assert_eq!(record(&*there, vec![ringing("CA1", None, 0)], vec![]).await.unwrap().fresh, 1);
        assert_eq!(record(&*here, vec![ringing("CA1", None, 0)], vec![]).await.unwrap().repeated, 1);
    });
}

#[test]
fn a_file_that_others_write_is_waited_for_and_then_away() {
    let home = Home::sqlite();
    run(async {
        let patience = Duration::from_millis(200);
        let options = Options { sqlite_busy_timeout: patience, ..Options::default() };
        let store = store::open(&home.url, options).await.unwrap();
        record(&*store, vec![ringing("CA1", None, 0)], vec![]).await.unwrap();
        let mut other = SqliteConnection::connect(&home.url).await.unwrap();
        sqlx::raw_sql("begin immediate").execute(&mut other).await.unwrap();
        let asked = Instant::now();
        let error = store.begin().await.err().unwrap();
        assert!(error.is_transient(), "{error:?}");
        assert!(asked.elapsed() >= patience, "it did wait");
        assert!(store.bury(&[]).await.unwrap_err().is_transient());
        assert_eq!(store.feed_head().await.unwrap(), 2, "reading goes on");
        sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
        assert_eq!(record(&*store, vec![missed("CA1", None, 9)], vec![]).await.unwrap().fresh, 1);
    });
}

#[test]
fn checkpoints_keep_the_write_ahead_log_short() {
    let home = Home::sqlite();
    run(async {
        let store = home.open().await;
        let wal = format!("{}-wal", home.url.strip_prefix("sqlite://").unwrap());
        // Each batch writes far more pages than its rows say: half a megabyte of text.
        for n in 0..700_u128 {
            let rows = (0..40)
                .map(|k| Entry {
                    content: "x".repeat(6_000),
                    ..entry(n * 40 + k, Some(n), Channel::Email, 0)
                })
                .collect();
            write(&*store, Changes { entries: rows, ..Changes::default() }).await;
        }
        let length = std::fs::metadata(wal).unwrap().len();
        assert!(length < 130 << 20, "{length} bytes though 230 MB were written");
    });
}
