-- Empties a slot that holds the token with a digest.
--
-- KEYS: 1 the slot's record, 2 the subject's list.
-- ARGV: 1 the digest; 2 the slot; 3 the lifetime of the token's record in ms.
-- Answers `{revision, how many}`.
local record = redis.call('GET', KEYS[1])
if not record or digest_of(record) ~= ARGV[1] then return {now_us(), 0} end
redis.call('DEL', KEYS[1])
local ends = text(listed_end(ARGV[2], revision_of(record), tonumber(ARGV[3])))
-- Few members have the same end.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], ends, ends)) do
  if slot_of(member) == ARGV[2] then redis.call('ZREM', KEYS[2], member) end
end
return {now_us(), 1}
