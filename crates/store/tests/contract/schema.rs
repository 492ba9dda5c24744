//! Opening and migrating.

use std::collections::BTreeSet;

use sqlx::{Connection as _, PgConnection, SqliteConnection};
use store::{OpenError, Options, open};
use timeline::{Changes, Client, Conversation, FeedItem, FeedKind, Status};

use crate::home::{Home, run};
use crate::people::{at, client, client_id, conversation, conversation_id, write};

pub(crate) async fn opening_twice_at_once_is_safe(home: Home) {
    let (one, other, third) = tokio::join!(
        open(&home.url, Options::default()),
        open(&home.url, Options::default()),
        store::migrate(&home.url),
    );
    third.unwrap();
    for store in [one.unwrap(), other.unwrap()] {
        store.ping().await.unwrap();
        assert_eq!(store.feed_head().await.unwrap(), 0);
    }
}

pub(crate) async fn a_newer_an_edited_and_a_missing_schema_are_told_apart(home: Home) {
    let look = async || open(&home.url, Options { migrate: false, ..Options::default() }).await.err();
    let go = async || open(&home.url, Options::default()).await.err();
    assert!(matches!(look().await, Some(OpenError::Behind { .. })), "{:?}", look().await);
    assert!(go().await.is_none());
    assert!(look().await.is_none());
    home.execute(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         select 9999, 'of tomorrow', success, checksum, 0 from _sqlx_migrations where version = 1",
    )
    .await;
    for error in [look().await, go().await, store::migrate(&home.url).await.err()] {
        assert!(matches!(error, Some(OpenError::Newer { version: 9999 })), "{error:?}");
    }
    home.execute("delete from _sqlx_migrations where version = 9999").await;
    assert!(look().await.is_none());
    if home.url.starts_with("sqlite") {
        home.execute("update _sqlx_migrations set checksum = x'00'").await;
    } else {
        home.execute(r"update _sqlx_migrations set checksum = '\x00'").await;
    }
    for error in [look().await, go().await] {
        assert!(matches!(error, Some(OpenError::Edited { version: 1 })), "{error:?}");
    }
}

pub(crate) async fn a_database_of_before_is_brought_up_to_date_with_what_it_holds(home: Home) {
    let store = home.open().await;
    let changes = Changes {
        clients: vec![Client { known_by: Some("bo".to_owned()), ..client(1, Some("Olena")) }],
        conversations: vec![Conversation { rank: Some(1), ..conversation(10, Some(1), Status::Open) }],
        feed: vec![FeedItem {
            position: 1,
            kind: FeedKind::Deadline,
            id: conversation_id(10).uuid(),
            rev: 1,
            notice: None,
        }],
        ..Changes::default()
    };
    write(&*store, changes).await;
    drop(store);
    home.execute("alter table client drop column wrote_at").await;
    home.execute("alter table client drop column talks").await;
    home.execute("alter table conversation drop column on_line").await;
    home.execute("alter table feed drop column notice").await;
    home.execute("drop index conversation_beside_mails").await;
    home.execute("drop index conversation_of_queue").await;
    home.execute("drop index conversation_with_callback").await;
    home.execute("delete from _sqlx_migrations where version = 2").await;
    let look = Options { migrate: false, ..Options::default() };
    assert!(matches!(open(&home.url, look).await.err(), Some(OpenError::Behind { version: 2 })));
    let store = home.open().await;
    let work = store.begin().await.unwrap().work(None, at(0)).await.unwrap();
    assert_eq!(work.known_by, [(client_id(1), "bo".to_owned())].into(), "whenever it was");
    let shown = store.feed(0, 9).await.unwrap().remove(0);
    assert_eq!((shown.notice, shown.conversation.map(|row| row.on_line.len())), (None, Some(0)));
}

#[test]
fn the_migrations_are_twins() {
    let files = |database: &str| -> BTreeSet<String> {
        let folder = format!("{}/migrations/{database}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(files("sqlite"), files("postgres"));
    let Some(postgres) = Home::postgres() else { return };
    let sqlite = Home::sqlite();
    run(async {
        drop((sqlite.open().await, postgres.open().await));
        let mut connection = SqliteConnection::connect(&sqlite.url).await.unwrap();
        let ours: BTreeSet<(String, String, bool)> = sqlx::query_as(
            "select t.name, c.name, c.\"notnull\" or c.pk > 0 from sqlite_schema as t, pragma_table_info(t.name) as c \
             where t.type = 'table' and t.name not like 'sqlite_%' and t.name not like '_sqlx%'",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap()
        .into_iter()
        .collect();
        let mut connection = PgConnection::connect(&postgres.url).await.unwrap();
        let theirs: BTreeSet<(String, String, bool)> = sqlx::query_as(
            "select table_name::text, column_name::text, is_nullable = 'NO' from information_schema.columns \
             where table_schema = 'public' and table_name not like '\\_sqlx%'",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap()
        .into_iter()
        .collect();
        assert_eq!(ours, theirs);
        assert!(ours.len() > 80);
        let indexes = "select name from sqlite_schema where type = 'index' and sql is not null order by name";
        let mut connection = SqliteConnection::connect(&sqlite.url).await.unwrap();
        let ours: Vec<String> = sqlx::query_scalar(indexes).fetch_all(&mut connection).await.unwrap();
        let mut connection = PgConnection::connect(&postgres.url).await.unwrap();
        let theirs: Vec<String> = sqlx::query_scalar(
            "select indexname::text collate \"C\" from pg_indexes where schemaname = 'public' \
             and indexname not like '%\\_pkey' order by 1",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        assert_eq!(ours, theirs);
    });
}

#[test]
fn a_url_that_cannot_be_used_is_told_without_its_password() {
    run(async {
        for url in ["mysql://localhost/x", "frontdesk.db", "sqlite://", "sqlite://:memory:"] {
            let error = open(url, Options::default()).await.err().unwrap();
            assert!(matches!(error, OpenError::Url(_)), "{url}: {error:?}");
        }
        // Nobody listens on port 1.
        let error = open("postgres://mia:s3cret@127.0.0.1:1/desk", Options::default()).await.err().unwrap();
        assert_eq!(error.to_string(), "could not connect to PostgreSQL at 127.0.0.1:1, database `desk`");
        assert!(!format!("{error:?}").contains("s3cret"));
    });
}
