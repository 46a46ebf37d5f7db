-- Empties the slots of a part of a subject's list, and ends its families.
--
-- KEYS: 1 the subject's list.
-- ARGV: 1 what the keys of its records begin with; 2 an application tag, or empty for all; 3 a binding tag, or empty
--   for all; 4 the cursor, first 0; 5 about how many members to look at.
-- Answers `{revision, how many, next}`, where `next` is the next `ARGV[4]`, or 0 at the end.
--
-- The list is gone through by member and not by end of life: a member that is there all the time is met, also where its slot
-- gets another token or its family another end meanwhile.
local scanned = redis.call('ZSCAN', KEYS[1], ARGV[4], 'COUNT', ARGV[5])
local part, count = scanned[2], 0
for i = 1, #part, 2 do
  local member = part[i]
  local key, application, binding = entry(ARGV[1], member)
  if (ARGV[2] == '' or application == ARGV[2]) and (ARGV[3] == '' or binding == ARGV[3]) then
    count = count + redis.call('DEL', key)
    redis.call('ZREM', KEYS[1], member)
  end
end
return {text(now_us()), count, scanned[1]}
