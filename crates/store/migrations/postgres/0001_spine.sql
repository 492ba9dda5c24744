-- The spine: the log, what is projected from it, the feed, and the operator's shelves.
-- Twin of ../sqlite/0001_spine.sql. Digests are kept as uuid: sixteen bytes, compared fast. Texts compare by
-- their bytes (collate "C") as in SQLite; JSON is kept as text, exactly as it was made.
-- Rows that are folded again soon leave room on their page (fillfactor), so that no index is touched.

-- The log is the truth. It only grows; its unique key is what "once" means.
create table contact_event (
    position    bigint           primary key,
    key         uuid             not null,
    subject     uuid             not null,
    source      text collate "C" not null,
    id          text collate "C" not null,
    type        text collate "C" not null,
    time        timestamptz      not null,
    received_at timestamptz      not null,
    recorded_at timestamptz      not null
);
create unique index contact_event_key on contact_event (key);
create index contact_event_subject on contact_event (subject);

-- Apart from the log, so that erasing a person deletes here and leaves the log's order alone.
create table event_payload (
    position bigint           primary key,
    payload  text collate "C" not null
);

-- Projections: everything below can be rebuilt from the log.
create table client (
    id              uuid             primary key,
    name            text collate "C",
    segment         text collate "C",
    value           bigint,
    owner           text collate "C",
    known_by        text collate "C",
    search          text collate "C" not null,
    created_at      timestamptz      not null,
    last_contact_at timestamptz      not null,
    won_back_at     timestamptz,
    reached_at      timestamptz,
    preferences     text collate "C" not null,
    merged_into     uuid,
    rev             bigint           not null
) with (fillfactor = 80);
create index client_merged on client (merged_into) where merged_into is not null;

create table identifier (
    kind      text collate "C" not null,
    value     text collate "C" not null,
    client_id uuid             not null,
    level     text collate "C" not null,
    since     timestamptz      not null,
    primary key (kind, value)
);
create index identifier_of_client on identifier (client_id);

create table contact (
    id              uuid             primary key,
    key             uuid             not null,
    subject         text collate "C" not null,
    source          text collate "C" not null,
    direction       text collate "C" not null,
    trust           text collate "C" not null,
    client_id       uuid,
    conversation_id uuid,
    entry_id        uuid             not null,
    rev             bigint           not null,
    state           text collate "C" not null,
    occurred_at     timestamptz      not null,
    recorded_at     timestamptz      not null
) with (fillfactor = 80);
create unique index contact_key on contact (key);
create index contact_of_source on contact (source, id);
create index contact_of_nobody on contact (id) where client_id is null;
-- Those of a client are found by their entries; only a session of a chat may have none.
create index contact_of_chat on contact (client_id) where source >= 'chat/' and source < 'chat0';

create table entry (
    id              uuid             primary key,
    kind            text collate "C" not null,
    channel         text collate "C" not null,
    direction       text collate "C" not null,
    source          text collate "C" not null,
    trust           text collate "C" not null,
    rev             bigint           not null,
    occurred_at     timestamptz      not null,
    recorded_at     timestamptz      not null,
    client_id       uuid,
    contact_id      uuid,
    conversation_id uuid,
    agent           text collate "C",
    summary         text collate "C" not null,
    content         text collate "C" not null
) with (fillfactor = 80);
create index entry_timeline on entry (client_id, occurred_at, id);

create table conversation (
    id              uuid             primary key,
    status          text collate "C" not null,
    client_id       uuid,
    thread          text collate "C" not null,
    channel         text collate "C" not null,
    queue           text collate "C" not null,
    priority        integer          not null,
    assignee        text collate "C",
    opened_at       timestamptz      not null,
    updated_at      timestamptz      not null,
    routing         text collate "C",
    clocks          text collate "C",
    waiting_since   timestamptz,
    handed_at timestamptz     not null,
    snoozed_until   timestamptz,
    assigned_at     timestamptz,
    answered_at     timestamptz,
    last_answer_at  timestamptz,
    resolved_at     timestamptz,
    due_at          timestamptz,
    wake_at         timestamptz,
    rank            bigint,
    callback        text collate "C",
    last_entry_id   uuid,
    last_contact_id uuid,
    continued_in    uuid,
    rev             bigint           not null
) with (fillfactor = 80);
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
    key             uuid not null,
    client_id       uuid not null,
    contact_id      uuid,
    conversation_id uuid not null,
    primary key (key, client_id)
);
create index message_of_client on message (client_id);

-- What somebody merely says is theirs, and why it is no more than that.
create table claim (
    kind      text collate "C" not null,
    value     text collate "C" not null,
    client_id uuid             not null,
    reason    text collate "C" not null,
    since     timestamptz      not null,
    primary key (kind, value, client_id)
);
create index claim_of_client on claim (client_id);

-- Who was made one with whom, which contact was given to whom, and who is not who they look like.
create table merge (
    id          uuid             primary key,
    survivor_id uuid             not null,
    absorbed_id uuid             not null,
    decided_by  text collate "C" not null,
    reason      text collate "C" not null,
    decided_at  timestamptz      not null,
    undone_at   timestamptz
);
create index merge_of_survivor on merge (survivor_id);
create index merge_of_absorbed on merge (absorbed_id);

create table relocation (
    id             uuid primary key,
    contact_id     uuid not null,
    from_client_id uuid,
    to_client_id   uuid not null
);
create index relocation_from on relocation (from_client_id);
create index relocation_to on relocation (to_client_id);

create table apart (
    lesser_id  uuid             not null,
    greater_id uuid             not null,
    decided_by text collate "C" not null,
    reason     text collate "C" not null,
    decided_at timestamptz      not null,
    primary key (lesser_id, greater_id)
);
create index apart_of_greater on apart (greater_id);

-- What one visitor and we write to each other, line by line.
create table chat (
    visitor         text collate "C" primary key,
    source          text collate "C" not null,
    client_id       uuid,
    conversation_id uuid,
    seq             bigint           not null,
    read_seq        bigint           not null,
    session         text collate "C" not null,
    last_at         timestamptz      not null
) with (fillfactor = 80);
create index chat_of_client on chat (client_id);

create table chat_line (
    visitor    text collate "C" not null,
    seq        bigint           not null,
    entry_id   uuid             not null,
    message_id text collate "C" not null,
    agent      text collate "C",
    content    text collate "C" not null,
    written_at timestamptz      not null,
    primary key (visitor, seq)
);

-- Our answers. One in a chat is a line of it (visitor, seq). Somebody wakes for one when it is due, but not
-- once it was sent and read in its chat (wake_at).
create table reply (
    id              uuid             primary key,
    conversation_id uuid             not null,
    client_id       uuid,
    source          text collate "C" not null,
    state           text collate "C" not null,
    attempts        bigint           not null,
    doubts          bigint           not null,
    due_at          timestamptz,
    errand          text collate "C" not null,
    detail          text collate "C",
    message_id      text collate "C",
    instead_of      uuid,
    rev             bigint           not null,
    recorded_at     timestamptz      not null,
    visitor         text collate "C",
    seq             bigint,
    wake_at         timestamptz
) with (fillfactor = 80);
create index reply_of_client on reply (client_id);
create index reply_to_wake_for on reply (wake_at, id) where wake_at is not null;
create index reply_unread on reply (visitor, seq) where wake_at is not null;

-- Who of us answers, and which conversation is held for whom.
create table agent (
    id         uuid             primary key,
    name       text collate "C" not null,
    profile    text collate "C",
    presence   text collate "C" not null,
    consoles   text collate "C" not null,
    gone_since timestamptz,
    idle_since timestamptz      not null,
    missed     integer          not null,
    rev        bigint           not null
);
create unique index agent_name on agent (name);

create table reservation (
    id              uuid             primary key,
    conversation_id uuid             not null,
    agent           text collate "C" not null,
    state           text collate "C" not null,
    offered_at      timestamptz      not null,
    until           timestamptz      not null,
    ended_at        timestamptz,
    rests_until     timestamptz,
    rev             bigint           not null
);
create index reservation_pending on reservation (until, id) where state = 'pending';
create index reservation_of_conversation on reservation (conversation_id, state);
create index reservation_resting on reservation (rests_until, id) where rests_until is not null;

-- No projection: which of our processes are there, and until when they said so.
create table process (
    id    text collate "C" primary key,
    until timestamptz      not null
);

-- Every change, numbered. It names what changed and holds nothing of it.
create table feed (
    position bigint           primary key,
    kind     text collate "C" not null,
    id       uuid             not null,
    rev      bigint           not null
);

-- The operator's shelves.
create table dead_letter (
    id          text collate "C" primary key,
    source      text collate "C",
    received_at timestamptz      not null,
    reason      text collate "C" not null,
    field       text collate "C",
    payload     bytea            not null,
    state       text collate "C" not null
);
create index dead_letter_by_time on dead_letter (received_at, id);

create table suspect (
    id          text collate "C" primary key,
    source      text collate "C" not null,
    received_at timestamptz      not null,
    peer        text collate "C",
    reason      text collate "C" not null,
    request     text collate "C" not null,
    size        bigint           not null
);
create index suspect_of_source on suspect (source, received_at, id, size);
create index suspect_by_time on suspect (received_at, id);

create table token (
    id         text collate "C" primary key,
    name       text collate "C" not null,
    role       text collate "C" not null,
    created_at timestamptz      not null,
    revoked_at timestamptz
);

create table idempotency (
    caller  text collate "C" not null,
    key     text collate "C" not null,
    request text collate "C" not null,
    status  integer          not null,
    body    bytea            not null,
    at      timestamptz      not null,
    primary key (caller, key)
);
create index idempotency_by_time on idempotency (at);
