-- Who wrote to a client last is known with its moment, and who talked with them by their telephones (JSON).
alter table client add column wrote_at integer;
alter table client add column talks text;

-- The calls of a conversation that are not over (JSON).
alter table conversation add column on_line text;

-- What a change of kind `deadline` told (JSON).
alter table feed add column notice text;
