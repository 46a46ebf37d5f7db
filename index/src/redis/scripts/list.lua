-- Reads a part of a subject's list with its records.
--
-- KEYS: 1 the subject's list.
-- ARGV: 1 what the keys of its records begin with; 2 the lowest end of life to look at, in ms; 3 how many members to
--   skip from there; 4 how many to look at.
-- Answers whether more follow (0 or 1), then member, score and record (or nothing) of each.
local now_ms = math.floor(now_us() / 1000)
local from, skip = ARGV[2], tonumber(ARGV[3])
if tonumber(from) <= now_ms then from, skip = '(' .. text(now_ms), 0 end
local limit = tonumber(ARGV[4])
local part = redis.call('ZRANGEBYSCORE', KEYS[1], from, '+inf', 'WITHSCORES', 'LIMIT', skip, limit + 1)
local more = 0
if #part > 2 * limit then more = 1 end
local answer = {more}
for i = 1, math.min(#part, 2 * limit), 2 do
  table.insert(answer, part[i])
  table.insert(answer, part[i + 1])
  local key = entry(ARGV[1], part[i])
  table.insert(answer, redis.call('GET', key) or '')
end
return answer
