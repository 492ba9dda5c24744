-- The spine: the log, what is projected from it, the feed, and the operator's shelves.
-- Twin of ../postgres/0001_spine.sql. Times are microseconds since 1970, ids and digests 16-byte blobs.

-- The log is the truth. It only grows; its unique key is what "once" means.
create table contact_event (
    position    integer primary key,
    key         blob    not null,
    subject     blob    not null,
    source      text    not null,
    id          text    not null,
    type        text    not null,
    time        integer not null,
    received_at integer not null,
    recorded_at integer not null
) strict;
create unique index contact_event_key on contact_event (key);
create index contact_event_subject on contact_event (subject);

-- Apart from the log, so that erasing a person deletes here and leaves the log's order alone.
create table event_payload (
    position integer primary key,
    payload  text not null
) strict;

-- Projections: everything below can be rebuilt from the log.
create table client (
    id              blob    primary key,
    name            text,
    segment         text,
    search          text    not null,
    created_at      integer not null,
    last_contact_at integer not null,
    reached_at      integer,
    rev             integer not null
) strict, without rowid;

create table identifier (
    kind      text    not null,
    value     text    not null,
    client_id blob    not null,
    level     text    not null,
    since     integer not null,
    primary key (kind, value)
) strict, without rowid;
create index identifier_of_client on identifier (client_id);

create table contact (
    id              blob    primary key,
    key             blob    not null,
    subject         text    not null,
    source          text    not null,
    direction       text    not null,
    trust           text    not null,
    client_id       blob,
    conversation_id blob,
    entry_id        blob    not null,
    rev             integer not null,
    state           text    not null,
    occurred_at     integer not null,
    recorded_at     integer not null
) strict;
create unique index contact_key on contact (key);
create index contact_of_source on contact (source, id);
create index contact_of_nobody on contact (id) where client_id is null;

create table entry (
    id              blob    primary key,
    kind            text    not null,
    channel         text    not null,
    direction       text    not null,
    source          text    not null,
    trust           text    not null,
    rev             integer not null,
    occurred_at     integer not null,
    recorded_at     integer not null,
    client_id       blob,
    contact_id      blob    not null,
    conversation_id blob,
    agent           text,
    summary         text    not null,
    content         text    not null
) strict;
create index entry_timeline on entry (client_id, occurred_at, id);

create table conversation (
    id            blob    primary key,
    status        text    not null,
    client_id     blob,
    thread        text    not null,
    channel       text    not null,
    queue         text    not null,
    priority      integer not null,
    assignee      text,
    opened_at     integer not null,
    updated_at    integer not null,
    due_at        integer,
    callback      text,
    last_entry_id blob,
    rev           integer not null
) strict, without rowid;
create index conversation_of_client on conversation (client_id, status, id);
create index conversation_by_status on conversation (status, id);
create index conversation_of_assignee on conversation (assignee, id) where assignee is not null;

-- By which mail of a client an answer finds its conversation: the key is a digest of the Message-ID.
create table message (
    key             blob not null,
    client_id       blob not null,
    contact_id      blob not null,
    conversation_id blob not null,
    primary key (key, client_id)
) strict, without rowid;

-- Every change, numbered. It names what changed and holds nothing of it.
create table feed (
    position integer primary key,
    kind     text    not null,
    id       blob    not null,
    rev      integer not null
) strict;

-- The operator's shelves.
create table dead_letter (
    id          text    primary key,
    source      text,
    received_at integer not null,
    reason      text    not null,
    field       text,
    payload     blob    not null,
    state       text    not null
) strict;
create index dead_letter_by_time on dead_letter (received_at, id);

create table suspect (
    id          text    primary key,
    source      text    not null,
    received_at integer not null,
    peer        text,
    reason      text    not null,
    request     text    not null,
    size        integer not null
) strict;
create index suspect_of_source on suspect (source, received_at, id, size);
create index suspect_by_time on suspect (received_at, id);

create table token (
    id         text    primary key,
    name       text    not null,
    role       text    not null,
    created_at integer not null,
    revoked_at integer
) strict;

create table idempotency (
    caller  text    not null,
    key     text    not null,
    request text    not null,
    status  integer not null,
    body    blob    not null,
    at      integer not null,
    primary key (caller, key)
) strict;
create index idempotency_by_time on idempotency (at);
