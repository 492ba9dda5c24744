-- Who wrote to a client last is known with its moment, and who talked with them by their telephones (JSON).
alter table client add column wrote_at timestamptz;
alter table client add column talks text collate "C";

-- The calls of a conversation that are not over (JSON).
alter table conversation add column on_line text collate "C";

-- What a change of kind `deadline` told (JSON).
alter table feed add column notice text collate "C";
