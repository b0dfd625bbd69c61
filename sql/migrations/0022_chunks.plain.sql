-- Views of what each edition has in its own way: chunks (here days) of raw events, and the sizes of tables.
create view chunk_health as
select name, starts_at, ends_at, false as is_compressed, ends_at <= frozen_before as is_frozen, bytes
from (
  select relname::text as name, bounds[1]::timestamptz as starts_at, bounds[2]::timestamptz as ends_at,
    pg_total_relation_size(c.oid) as bytes
  from pg_inherits i join pg_class c on c.oid = i.inhrelid, lateral (
    select regexp_match(pg_get_expr(relpartbound, c.oid), $$FROM \('([^']+)'\) TO \('([^']+)'\)$$) as bounds) b
  where i.inhparent = 'event'::regclass) partitions, horizon
order by starts_at;

create view database_size_overview as
select relname::text as table_name, bytes, round(100.0 * bytes / nullif(sum(bytes) over (), 0), 1) as share_pct
from (
  select relname, coalesce((select sum(pg_total_relation_size(relid)) from pg_partition_tree(c.oid)),
    pg_total_relation_size(c.oid))::int8 as bytes
  from pg_class c
  where relkind in ('r', 'p') and not relispartition and relnamespace = current_schema()::regnamespace) sizes
order by bytes desc, 1;
