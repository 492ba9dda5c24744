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
    value           integer,
    owner           text,
    known_by        text,
    search          text    not null,
    created_at      integer not null,
    last_contact_at integer not null,
    won_back_at     integer,
    reached_at      integer,
    preferences     text    not null,
    merged_into     blob,
    rev             integer not null
) strict, without rowid;
create index client_merged on client (merged_into) where merged_into is not null;

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
-- Those of a client are found by their entries; only a session of a chat may have none.
create index contact_of_chat on contact (client_id) where source >= 'chat/' and source < 'chat0';

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
    contact_id      blob,
    conversation_id blob,
    agent           text,
    summary         text    not null,
    content         text    not null
) strict;
create index entry_timeline on entry (client_id, occurred_at, id);

create table conversation (
    id              blob    primary key,
    status          text    not null,
    client_id       blob,
    thread          text    not null,
    channel         text    not null,
    queue           text    not null,
    priority        integer not null,
    assignee        text,
    opened_at       integer not null,
    updated_at      integer not null,
    routing         text,
    clocks          text,
    waiting_since   integer,
    handed_at integer not null,
    snoozed_until   integer,
    assigned_at     integer,
    answered_at     integer,
    last_answer_at  integer,
    resolved_at     integer,
    due_at          integer,
    wake_at         integer,
    rank            integer,
    callback        text,
    last_entry_id   blob,
    last_contact_id blob,
    continued_in    blob,
    rev             integer not null
) strict, without rowid;
create index conversation_of_client on conversation (client_id, status, id);
create index conversation_by_status on conversation (status, id);
-- Figures are about what was opened in a span of time.
create index conversation_by_opening on conversation (opened_at);
create index conversation_of_assignee on conversation (assignee, id) where assignee is not null;
-- The waiting list in its order, and what to wake for.
create index conversation_waiting on conversation (rank, id) where rank is not null;
create index conversation_to_wake on conversation (wake_at, id) where wake_at is not null;
-- What agents have on their hands. One expression, so that no other index looks as good.
create index conversation_occupying on conversation (assignee, channel)
    where case when assignee is null or continued_in is not null then false when status = 'open' then true
        when status = 'pending' then channel = 'chat' else false end;

-- By which mail of a client an answer finds its conversation: the key is a digest of the Message-ID.
create table message (
    key             blob not null,
    client_id       blob not null,
    contact_id      blob,
    conversation_id blob not null,
    primary key (key, client_id)
) strict, without rowid;
create index message_of_client on message (client_id);

-- What somebody merely says is theirs, and why it is no more than that.
create table claim (
    kind      text    not null,
    value     text    not null,
    client_id blob    not null,
    reason    text    not null,
    since     integer not null,
    primary key (kind, value, client_id)
) strict, without rowid;
create index claim_of_client on claim (client_id);

-- Who was made one with whom, which contact was given to whom, and who is not who they look like.
create table merge (
    id          blob    primary key,
    survivor_id blob    not null,
    absorbed_id blob    not null,
    decided_by  text    not null,
    reason      text    not null,
    decided_at  integer not null,
    undone_at   integer
) strict, without rowid;
create index merge_of_survivor on merge (survivor_id);
create index merge_of_absorbed on merge (absorbed_id);

create table relocation (
    id             blob primary key,
    contact_id     blob not null,
    from_client_id blob,
    to_client_id   blob not null
) strict, without rowid;
create index relocation_from on relocation (from_client_id);
create index relocation_to on relocation (to_client_id);

create table apart (
    lesser_id  blob    not null,
    greater_id blob    not null,
    decided_by text    not null,
    reason     text    not null,
    decided_at integer not null,
    primary key (lesser_id, greater_id)
) strict, without rowid;
create index apart_of_greater on apart (greater_id);

-- What one visitor and we write to each other, line by line.
create table chat (
    visitor         text    primary key,
    source          text    not null,
    client_id       blob,
    conversation_id blob,
    seq             integer not null,
    read_seq        integer not null,
    session         text    not null,
    last_at         integer not null
) strict, without rowid;
create index chat_of_client on chat (client_id);

create table chat_line (
    visitor    text    not null,
    seq        integer not null,
    entry_id   blob    not null,
    message_id text    not null,
    agent      text,
    content    text    not null,
    written_at integer not null,
    primary key (visitor, seq)
) strict, without rowid;

-- Our answers. One in a chat is a line of it (visitor, seq). Somebody wakes for one when it is due, but not
-- once it was sent and read in its chat (wake_at).
create table reply (
    id              blob    primary key,
    conversation_id blob    not null,
    client_id       blob,
    source          text    not null,
    state           text    not null,
    attempts        integer not null,
    doubts          integer not null,
    due_at          integer,
    errand          text    not null,
    detail          text,
    message_id      text,
    instead_of      blob,
    rev             integer not null,
    recorded_at     integer not null,
    visitor         text,
    seq             integer,
    wake_at         integer
) strict;
create index reply_of_client on reply (client_id);
create index reply_to_wake_for on reply (wake_at, id) where wake_at is not null;
create index reply_unread on reply (visitor, seq) where wake_at is not null;

-- Who of us answers, and which conversation is held for whom.
create table agent (
    id         blob    primary key,
    name       text    not null,
    profile    text,
    presence   text    not null,
    consoles   text    not null,
    gone_since integer,
    idle_since integer not null,
    missed     integer not null,
    rev        integer not null
) strict, without rowid;
create unique index agent_name on agent (name);

create table reservation (
    id              blob    primary key,
    conversation_id blob    not null,
    agent           text    not null,
    state           text    not null,
    offered_at      integer not null,
    until           integer not null,
    ended_at        integer,
    rests_until     integer,
    rev             integer not null
) strict, without rowid;
create index reservation_pending on reservation (until, id) where state = 'pending';
create index reservation_of_conversation on reservation (conversation_id, state);
create index reservation_resting on reservation (rests_until, id) where rests_until is not null;

-- No projection: which of our processes are there, and until when they said so.
create table process (
    id    text    primary key,
    until integer not null
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
