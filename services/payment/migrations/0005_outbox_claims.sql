-- Until when somebody is sending the event, so that nobody else does (shared_kernel/outbox.py); NULL while nobody is.
ALTER TABLE outbox ADD COLUMN claimed_until TEXT;
