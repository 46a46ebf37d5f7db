-- Empties the slots of a part of a subject's list, and ends its families.
--
-- KEYS: 1 the subject's list.
-- ARGV: 1 what the keys of its records begin with; 2 an application tag, or empty for all; 3 a binding tag, or empty
--   for all; 4 the lowest score to look at (`-inf`, or `(` and a score); 5 how many members to look at.
-- Answers `{revision, how many, next}`, where `next` is the next `ARGV[4]`, or empty at the end.
--
-- The part ends with a whole score, never within one, so what is added or removed meanwhile shifts nothing.
local part = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[4], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[5])
local upto = ''
if #part == 2 * tonumber(ARGV[5]) then upto = part[#part] end
local members = {}
for i = 1, #part, 2 do
  if part[i + 1] ~= upto then table.insert(members, part[i]) end
end
if upto ~= '' then
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], upto, upto)) do table.insert(members, member) end
end
local count = 0
for _, member in ipairs(members) do
  local key, application, binding = entry(ARGV[1], member)
  if (ARGV[2] == '' or application == ARGV[2]) and (ARGV[3] == '' or binding == ARGV[3]) then
    count = count + redis.call('DEL', key)
    redis.call('ZREM', KEYS[1], member)
  end
end
return {text(now_us()), count, upto == '' and '' or '(' .. upto}
