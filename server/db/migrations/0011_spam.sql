-- compatible: yes
-- What replicas must agree on when they turn mail away.

-- Greylisting: who tried to write to whom, and when (RFC 6647).
create table greylist (
  -- SHA-256 of client network, reverse-path and recipient
  triplet bytea primary key,
  first_attempt_at timestamptz not null,
  -- set by the first attempt that came late enough
  passed_at timestamptz,
  expires_at timestamptz not null
);
create index greylist_expires on greylist (expires_at);

-- Counts in fixed windows: messages of a client, recipients of an account, failed logins of an address. Losing them in a
-- crash of Postgres costs nothing, so they are not logged.
create unlogged table rate_window (
  key text not null,
  window_start timestamptz not null,
  hits integer not null,
  expires_at timestamptz not null,
  primary key (key, window_start)
);
create index rate_window_expires on rate_window (expires_at);
