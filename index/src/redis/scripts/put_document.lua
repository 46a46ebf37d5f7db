-- Stores a document. `change_document` is the same where a version is expected, so that nothing new is stored.
--
-- KEYS: 1 the document, 2 the ids of its kind.
-- ARGV: 1 `any`, `absent` or the version that is expected; 2 the body; 3 the id.
-- Answers `{version, generation}`, or nothing on a conflict.
local version = redis.call('HGET', KEYS[1], 'v')
if ARGV[1] == 'absent' then
  if version then return false end
elseif ARGV[1] ~= 'any' and ARGV[1] ~= version then
  return false
end
local now = now_us()
if version then now = math.max(now, tonumber(version) + 1) end
redis.call('HSET', KEYS[1], 'd', ARGV[2], 'v', text(now))
redis.call('HSETNX', KEYS[1], 'g', generation_now())
redis.call('PERSIST', KEYS[1])
redis.call('ZADD', KEYS[2], 0, ARGV[3])
return {text(now), redis.call('HGET', KEYS[1], 'g')}
