-- Who wrote to a client last is known with its moment, and who talked with them by their telephones (JSON).
alter table client add column wrote_at integer;
alter table client add column talks text;

-- The calls of a conversation that are not over (JSON).
alter table conversation add column on_line text;

-- What a change of kind `deadline` told (JSON).
alter table feed add column notice text;

-- A chat we answered is over when its client was silent for half an hour: those there are, too.
update conversation set wake_at = min(
    coalesce(wake_at, coalesce(last_answer_at, handed_at) + 1800000000),
    coalesce(last_answer_at, handed_at) + 1800000000
) where status = 'pending' and channel = 'chat' and continued_in is null;

-- What a decision may bear on beside what it is about: all that is open, without mails that owe no call, of which an
-- address of a web site's forms has tens of thousands.
create index conversation_beside_mails on conversation (client_id)
    where case when continued_in is not null or status = 'resolved' then false
        when channel = 'email' then callback is not null else true end;

-- Lists of one queue. Whoever looks for something rarer than a queue asks for `queue || ''`, which this is not.
create index conversation_of_queue on conversation (queue, id);
-- Calls that came to be owed in a span of time, however old their conversation.
create index conversation_with_callback on conversation (updated_at) where callback is not null;
