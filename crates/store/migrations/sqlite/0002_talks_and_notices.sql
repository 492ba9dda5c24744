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
