-- As job_stats_hourly: a continuous aggregate needs a hypertable.
select create_hypertable('event_stats_hourly', by_range('bucket', interval '90 days'), create_default_indexes => false);
