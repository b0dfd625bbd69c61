-- Subjobs whose job (or parent subjob) has not reported. Maintenance finds them, some minutes after they
-- arrived, since a subjob may well come before its job: a list of them must not search all subjobs.
create table orphan (
  subjob_id uuid primary key,
  parent_id uuid
);
-- Subjobs that were inserted before this have been looked at.
alter table horizon add column orphans_checked timestamptz not null default '-infinity';
-- The last orphan that was looked at again; they take turns.
alter table horizon add column orphans_at uuid not null default '00000000-0000-0000-0000-000000000000';
-- Rows lie nearly in the order in which they were inserted: this costs a few pages.
create index subjob_inserted on subjob using brin (inserted_at) with (pages_per_range = 16, autosummarize);
