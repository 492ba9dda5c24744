-- Who wrote to a client last is known with its moment, and who talked with them by their telephones (JSON).
alter table client add column wrote_at timestamptz;
alter table client add column talks text collate "C";

-- The calls of a conversation that are not over (JSON).
alter table conversation add column on_line text collate "C";

-- What a change of kind `deadline` told (JSON).
alter table feed add column notice text collate "C";

-- A chat we answered is over when its client was silent for half an hour: those there are, too.
update conversation set wake_at = least(wake_at, coalesce(last_answer_at, handed_at) + interval '30 minutes')
    where status = 'pending' and channel = 'chat' and continued_in is null;
