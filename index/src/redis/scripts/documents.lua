-- Generations of documents.
local function generation_now() return text(math.floor(now_us() / 1000000)) end
local function raise(document)
  local raised = text(math.max(redis.call('HGET', document, 'g') + 1, tonumber(generation_now())))
  redis.call('HSET', document, 'g', raised)
  return raised
end
