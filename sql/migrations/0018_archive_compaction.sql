-- Files that a manifest on record has taken out of its day, because others took their place, and that the archive may still
-- have: they are deleted next, whoever was killed before that.
create table archive_removal (
  site_id text not null,
  day     date not null,
  path    text not null,
  -- The manifest of the day that took it out.
  number  int  not null,
  primary key (site_id, day, path)
);

-- The manifest of a site that is being written. After a crash its request may still be under way: the next archiver gives
-- its name away before anything else is written for the site.
create table archive_intent (
  site_id text not null primary key,
  day     date not null,
  number  int  not null
);
