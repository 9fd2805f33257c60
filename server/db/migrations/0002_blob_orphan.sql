-- compatible: yes
-- Blobs that may have lost their last reference, or never got one. The collector looks again after a grace period, so that
-- a database restored from a backup still finds the bytes of what was deleted since.
create table blob_orphan (
  blob_id bytea primary key,
  since timestamptz not null default now()
);
create index blob_orphan_since on blob_orphan (since);
