-- Writes something, so that `WAIT` on this connection asks for all that was written before, whoever wrote it.
--
-- KEYS: 1 a key that nobody reads.
-- Answers the store's clock in us.
redis.call('SET', KEYS[1], '', 'PX', 1)
return text(now_us())
