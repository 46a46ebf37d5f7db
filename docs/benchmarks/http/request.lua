-- wrk: POSTs a form, the same for every server; `{n}` in it is a number that no other request has. Arguments: Authorization, form.
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("id", threads)
end

function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
  wrk.headers["Authorization"] = args[1]
  form = args[2]
  count = 0
  if not form:find("{n}", 1, true) then
    local same = wrk.format(nil, nil, nil, form)
    request = function() return same end
  end
end

function request()
  count = count + 1
  return wrk.format(nil, nil, nil, (form:gsub("{n}", id .. "-" .. count)))
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "microseconds": %d, "errors": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
