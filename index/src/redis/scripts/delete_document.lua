-- Deletes a document and remembers its raised generation for a while.
--
-- KEYS: 1 the document, 2 the ids of its kind.
-- ARGV: 1 `any` or the version that is expected; 2 for how many ms the generation is remembered; 3 the id.
-- Answers `deleted`, `absent` or `conflict`.
local version = redis.call('HGET', KEYS[1], 'v')
if not version then return 'absent' end
if ARGV[1] ~= 'any' and ARGV[1] ~= version then return 'conflict' end
redis.call('HDEL', KEYS[1], 'd', 'v')
raise(KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[3])
return 'deleted'
