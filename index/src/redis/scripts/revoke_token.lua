-- Empties a slot that holds the token with a digest.
--
-- KEYS: 1 the slot's record, 2 the subject's list.
-- ARGV: 1 the digest; 2 the slot; 3 the lifetime of the token's record in ms.
-- Answers `{revision, how many}`.
local record = redis.call('GET', KEYS[1])
if not record or digest_of(record) ~= ARGV[1] then return {now_us(), 0} end
redis.call('DEL', KEYS[1])
unfile(KEYS[2], ARGV[2], math.floor(revision_of(record) / 1000) + ARGV[3])
return {now_us(), 1}
