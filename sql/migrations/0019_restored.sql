-- Rows that were put back from the archive stay until then. They were archived before and are not again:
-- src/store/archive/restore.ts.
alter table event_late add column restored_until timestamptz;
alter table job add column restored_until timestamptz;
alter table subjob add column restored_until timestamptz;
create index event_late_restored on event_late (restored_until) where restored_until is not null;
