-- With a number as argument, requests go to that many routes at random; with "last" after it, to the last one only.
function init(args)
   local count = tonumber(args[1])
   if not count then return end
   math.randomseed(count)
   local requests = {}
   for number = 0, count - 1 do
      requests[#requests + 1] = wrk.format("GET", string.format("/r%05d/x", number))
   end
   if args[2] == "last" then requests = { requests[#requests] } end
   request = function() return requests[math.random(#requests)] end
end

-- The report as one line of JSON; times are microseconds.
function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      '{"requests":%d,"micros":%d,"p50":%d,"p99":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
