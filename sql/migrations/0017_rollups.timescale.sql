-- A continuous aggregate over a plain table is refused. A chunk has the rows of three months.
select create_hypertable('job_stats_hourly', by_range('bucket', interval '90 days'), create_default_indexes => false);
